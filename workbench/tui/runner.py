"""Runner: carries the panes' answers from the engines to the panes.

One task asks for each pane, a new one cancels it, and one timer of the screen drains all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from workbench.datasets import Case
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Admitted, Failure
from workbench.prompting.context_fit import Budget, RenderedPrompt
from workbench.prompting.prompt import Message
from workbench.runs.chain_client import AnswerMemory
from workbench.runs.conversation import asks_several
from workbench.runs.generation import GenerationSpec
from workbench.runs.passage_finder import PassageFinder
from workbench.tui.call_stream import PaneEvent, stream_calls
from workbench.tui.stream import PaneStream
from workbench.tui.widgets.output_pane import BUSY, OutputPane

TOP_LOGPROBS = 5
"""alternatives that come with each token; they cost next to nothing beside a decode step"""

MakeDraft = Callable[[OutputPane], GenerationSpec]


class Runner:
    """The answers of all panes."""

    def __init__(
        self,
        pool: Pool,
        make_draft: MakeDraft,
        replaced: Callable[[OutputPane], object],
        admitted: Callable[[OutputPane], object],
        finder: PassageFinder,
    ) -> None:
        """replaced: called when what a pane shows is given up. admitted: when its prompt was taken or refused. finder:
        retrieves passages."""
        self._pool, self._finder = pool, finder
        self._replaced = replaced
        self._admitted = admitted
        self._prompts: dict[OutputPane, RenderedPrompt | None] = {}
        self._budgets: dict[OutputPane, Budget] = {}
        self._cases: dict[OutputPane, Case] = {}
        self._make_draft = make_draft
        self._streams: dict[OutputPane, PaneStream] = {}
        self._shown: dict[OutputPane, GenerationSpec] = {}
        self._memories: dict[OutputPane, AnswerMemory] = {}
        self._rendering = asyncio.Lock()
        self.total = 0

    def run(self, panes: Iterable[OutputPane], only_changed: bool = False) -> int:
        """Start the panes; with `only_changed`, those that would ask something else than they show."""
        started = 0
        for pane in panes:
            try:
                spec = self._make_draft(pane)
            except WorkbenchError as error:
                self._fail(pane, error)
                continue
            if only_changed and self._shown.get(pane) == spec and pane.state != "cancelled":
                continue
            self._shown[pane] = spec
            self._start(pane, spec)
            started += 1
        self.total = len(self.busy)
        return started

    def _start(self, pane: OutputPane, spec: GenerationSpec) -> None:
        self._give_up(pane)
        pane.begin()
        self._streams.setdefault(pane, PaneStream()).start(self._generate(pane, spec))

    async def _generate(self, pane: OutputPane, spec: GenerationSpec) -> AsyncGenerator[PaneEvent, None]:
        """Render and ask in the pane's own task, one pane at a time: the first one's engine works while the next one
        renders. It is done on a thread: a long prompt takes a while, and keys go on."""
        async with self._rendering:
            asked = await asyncio.to_thread(self._finder.fill_spec, spec)
            several = asks_several(asked.prompt, asked.case)
            request = None if several else await asyncio.to_thread(asked.request, TOP_LOGPROBS)
        if request is None:
            self._cases[pane] = asked.case
            memory = self._memories.setdefault(pane, AnswerMemory())
            async with aclosing(stream_calls(self._pool, asked, memory, TOP_LOGPROBS)) as events_of_calls:
                async for call_event in events_of_calls:
                    yield call_event
            return
        self._prompts[pane], self._cases[pane] = request.prompt, asked.case
        async with aclosing(self._pool.client(spec.model).generate(request)) as events:
            async for event in events:
                yield event

    def _give_up(self, pane: OutputPane) -> None:
        self._prompts.pop(pane, None)
        self._cases.pop(pane, None)
        self._budgets.pop(pane, None)
        self._replaced(pane)

    def _fail(self, pane: OutputPane, error: WorkbenchError) -> None:
        self._streams.setdefault(pane, PaneStream()).abandon()
        self._shown.pop(pane, None)
        self._give_up(pane)
        pane.begin()
        pane.fail(error)

    def stop(self) -> bool:
        """Cancel everything that runs; whether anything did."""
        busy = self.busy
        self._finder.cancel()
        for pane in busy:
            self._streams[pane].cancel()
        return bool(busy)

    def shown(self, pane: OutputPane) -> GenerationSpec | None:
        """What the pane was asked last."""
        return self._shown.get(pane)

    def case(self, pane: OutputPane) -> Case | None:
        """The case with the passages that were retrieved for it; None before they are found."""
        return self._cases.get(pane)

    def sent(self, pane: OutputPane) -> tuple[Message, ...]:
        """The messages of that; none before they were sent."""
        prompt, budget = self._prompts.get(pane), self._budgets.get(pane)
        return prompt.without(budget.dropped) if prompt and budget else ()

    def budget(self, pane: OutputPane) -> Budget | None:
        """How its prompt divides over the context; None before it was admitted."""
        return self._budgets.get(pane)

    def forget(self, pane: OutputPane) -> None:
        """A pane was closed."""
        self._memories.pop(pane, None)
        stream = self._streams.pop(pane, None)
        if stream:
            stream.abandon()
        self._shown.pop(pane, None)
        self._give_up(pane)

    @property
    def busy(self) -> list[OutputPane]:
        return [pane for pane, stream in self._streams.items() if stream.active and pane.state in BUSY]

    def drain(self) -> bool:
        """Hand every pane what came for it since the last frame; whether anything came."""
        came = False
        for pane, stream in self._streams.items():
            events = stream.drain()
            if events:
                came = True
                self._feed(pane, events)
        return came

    def _feed(self, pane: OutputPane, events: list[PaneEvent]) -> None:
        pane.feed(events)
        for event in events:
            if isinstance(event, Admitted):
                self._budgets[pane] = event.budget
            if isinstance(event, (Admitted, Failure)):
                self._admitted(pane)
