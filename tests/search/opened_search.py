"""Searches of the tests, each with a pool and a store of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.inference.pool import Pool
from workbench.search.budget import SearchBudget
from workbench.search.journal import SearchEvent
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchRequest
from workbench.settings import Settings
from workbench.store.store import Store


class Watched(list[SearchEvent]):
    """The events of a search, and what is called with each of them."""

    def of(self, kind: type[Any]) -> list[Any]:
        """Those of one kind."""
        return [event for event in self if isinstance(event, kind)]


@contextmanager
def open_search(
    bench: Path, method: str, emit: Callable[[SearchEvent], None] | None = None, calls: int = 4000, **more: Any
) -> Iterator[tuple[PromptSearch, Watched]]:
    """A search of the bench's variant `ask` that may make so many calls, and its events as they come."""
    events = Watched()

    def note(event: SearchEvent) -> None:
        events.append(event)
        if emit:
            emit(event)

    named = {"variant": "ask", "budget": SearchBudget(calls=calls), **more}
    request = SearchRequest(str(bench), method=method, **named)  # type: ignore[arg-type]
    pool, store = Pool(), Store(bench.parent / "workbench.sqlite")
    try:
        yield PromptSearch(request, Settings(), pool, store, note), events
    finally:
        pool.close()
        store.close()
