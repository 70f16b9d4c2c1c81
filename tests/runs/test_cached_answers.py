from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workbench.errors import StoreError
from workbench.inference.types import Completion
from workbench.runs import cache
from workbench.runs.cache import AnswerKeys, CachedAnswers
from workbench.store.cell_records import StoredCompletion

KNOWN = {
    b"ended": StoredCompletion(Completion(text="ended", output_tokens=5), digest=b"ended", reusable=True),
    b"cut at 3": StoredCompletion(Completion(text="cut", output_tokens=3), digest=b"cut at 3", reusable=True),
}


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    asked: list[list[bytes]] = []

    def find(store: Any, digests: list[bytes]) -> dict[bytes, StoredCompletion]:
        asked.append(sorted(digests))
        return {digest: KNOWN[digest] for digest in digests if digest in KNOWN}

    monkeypatch.setattr(cache, "find_completions", find)
    return asked


async def test_cells_that_ask_together_are_answered_by_one_query(queries: list[list[bytes]]) -> None:
    answers = CachedAnswers(None)  # type: ignore[arg-type]  # the query is the fixture's
    keys = [
        AnswerKeys(b"ended", b"ended at 9", 9),
        AnswerKeys(b"ended", b"cut at 3", 3),
        AnswerKeys(b"new", b"new at 9", 9),
    ]
    found = await asyncio.gather(*(answers.find(one) for one in keys))
    assert [one.completion.text if one else None for one in found] == ["ended", "cut", None]
    assert len(queries) == 1
    assert await answers.find(keys[0]) is KNOWN[b"ended"]
    assert len(queries) == 2


async def test_a_cancelled_cell_takes_nothing_from_the_others(queries: list[list[bytes]]) -> None:
    answers = CachedAnswers(None)  # type: ignore[arg-type]
    gone = asyncio.ensure_future(answers.find(AnswerKeys(b"new", b"new at 9", 9)))
    stays = asyncio.ensure_future(answers.find(AnswerKeys(b"ended", b"ended at 9", 9)))
    gone.cancel()
    assert await stays is KNOWN[b"ended"]
    assert gone.cancelled()


async def test_a_store_that_cannot_be_read_says_so_to_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: Any, digests: list[bytes]) -> dict[bytes, StoredCompletion]:
        raise StoreError("Cannot read the store.")

    monkeypatch.setattr(cache, "find_completions", fail)
    answers = CachedAnswers(None)  # type: ignore[arg-type]
    found = await asyncio.gather(
        *(answers.find(AnswerKeys(name, name, 9)) for name in (b"one", b"two")), return_exceptions=True
    )
    assert [str(one) for one in found] == ["Cannot read the store."] * 2
