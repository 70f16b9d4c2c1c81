"""The tokens of the prompt that is being edited, for the meter, always of its latest version only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.prompting.context_fit import Budget
from workbench.runs.generation import GenerationSpec, list_requests
from workbench.runs.passage_finder import PassageFinder

OnCount = Callable[[GenerationSpec, Budget | None, str], object]


def _count_share(budget: Budget) -> float:
    """How much of the context is used; the tokens where it is not known how large that is."""
    return budget.used / budget.limit if budget.limit else float(budget.used)


class TokenCounter:
    """At most one count is of interest: the last one asked for."""

    def __init__(self, pool: Pool, on_count: OnCount, finder: PassageFinder) -> None:
        """on_count: gets each outcome, None when the model could not count; and why a prompt cannot be rendered.
        finder: retrieves passages."""
        self._pool, self._on_count, self._finder = pool, on_count, finder
        self._latest: GenerationSpec | None = None
        self._task: asyncio.Task[None] | None = None

    def count(self, spec: GenerationSpec) -> None:
        """Count a draft, unless it is the one that was counted last."""
        if spec == self._latest:
            return
        self.forget()
        self._latest = spec
        self._task = asyncio.create_task(self._count(spec))

    async def _count(self, spec: GenerationSpec) -> None:
        """Render on a thread: a long prompt takes a while, and keys go on."""
        try:
            asked = await asyncio.to_thread(self._finder.fill_spec, spec)
            requests = await asyncio.to_thread(list_requests, asked)
        except WorkbenchError as error:
            self._on_count(spec, None, error.message)
            return
        try:
            budgets = [await self._pool.client(one.model).count(one.request) for one in requests]
        except WorkbenchError:
            self._on_count(spec, None, "")
        else:
            self._on_count(spec, max(budgets, key=_count_share), "")  # the step that fills its context most

    def is_latest(self, spec: GenerationSpec) -> bool:
        return spec == self._latest

    def forget(self) -> None:
        """Count again even if nothing changed: the model may have come back."""
        self._latest = None
        if self._task is not None:
            self._task.cancel()
