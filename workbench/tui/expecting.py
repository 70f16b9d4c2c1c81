"""Expecting: how probable a pane's model finds the answer that the case expects, for what the pane shows now.

One short batch behind everything that runs; what an edit makes stale is called off. Knows nothing of widgets: the
outcome is handed to whoever asked, on an engine's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future

from workbench.engines.engine import Likelihood
from workbench.errors import WorkbenchError
from workbench.evaluation.launch import Draft
from workbench.hosting.pool import Pool, Ticket
from workbench.prompting.prompt import Message

_PRIORITY = 1
"""behind the live answers, so that it delays none of them"""

Tell = Callable[[Hashable, Draft, Likelihood], object]


class Expecting:
    """At most one weighing a pane. on: whether anything is weighed."""

    def __init__(self, pool: Pool, tell: Tell, on: bool) -> None:
        """tell: gets the pane, what it was asked, and the likelihood; it may be called on any thread."""
        self._pool, self._tell, self.on = pool, tell, on
        self._tickets: dict[Hashable, Ticket] = {}

    def weigh(self, pane: Hashable, draft: Draft, messages: tuple[Message, ...]) -> None:
        """Weigh the case's expected answer after what the pane sent; does nothing where there is none."""
        self.drop(pane)
        if not self.on or not draft.case.expected:
            return

        def weighed(future: Future[tuple[Likelihood, ...]]) -> None:
            if not future.cancelled() and future.exception() is None:
                self._tell(pane, draft, future.result()[0])

        try:
            under_way = self._pool.weigh(
                draft.model,
                messages,
                (draft.case.expected,),
                draft.prompt.mode,
                draft.adapters,
                _PRIORITY,
                draft.reproducible or None,
            )
        except WorkbenchError:
            return  # the engines are closed: nobody looks on any more
        self._tickets[pane] = under_way.ticket
        under_way.likelihoods.add_done_callback(weighed)

    def drop(self, pane: Hashable) -> None:
        """Call off what is under way for a pane; nothing happens where that is done."""
        ticket = self._tickets.pop(pane, None)
        if ticket is not None:
            ticket.cancel()
