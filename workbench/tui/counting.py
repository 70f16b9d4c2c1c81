"""Counting: the tokens of the prompt that is being edited, for the meter, always of its latest version only.

Knows nothing of widgets: the outcome is handed to whoever asked, on an engine's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from workbench.evaluation.launch import Draft
from workbench.hosting.pool import Pool
from workbench.prompting.budget import Budget

Tell = Callable[[Draft, Budget | None], object]


class Counting:
    """At most one count is of interest: the last one asked for."""

    def __init__(self, pool: Pool, tell: Tell) -> None:
        """tell: gets each outcome, None when the model could not count; it may be called on any thread."""
        self._pool, self._tell = pool, tell
        self._latest: Draft | None = None

    def count(self, draft: Draft) -> None:
        """Count a draft, unless it is the one that was counted last. Raises PromptError when it cannot be rendered."""
        measure = draft.measure()
        if draft == self._latest:
            return
        self._latest = draft

        def counted(future: Future[tuple[int, ...]]) -> None:
            info = self._pool.info(draft.model)
            if future.cancelled() or future.exception() is not None or info is None:
                self._tell(draft, None)
            else:
                self._tell(draft, draft.budget(measure, future.result(), info))

        self._pool.count(draft.model, measure.drafts, draft.prompt.mode).add_done_callback(counted)

    def is_latest(self, draft: Draft) -> bool:
        return draft == self._latest

    def forget(self) -> None:
        """Count again even if nothing changed: the model may have come back."""
        self._latest = None
