"""Runner: carries the panes' answers from the engines to the panes.

Keeps one stream for each pane, and drains all of them from one timer of the screen. Decides nothing about prompts or
models: what to ask is a Draft of the session's, how to ask it is Launch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench.errors import WorkbenchError
from workbench.evaluation.launch import Draft, Launch, Sink
from workbench.hosting.pool import Pool
from workbench.prompting.prompt import Message
from workbench.tui.stream import PaneStream
from workbench.tui.widgets.output_pane import BUSY, OutputPane

GUESSES = 5
"""how many alternatives each token comes with; telling them costs next to nothing beside a decode step"""

MakeDraft = Callable[[OutputPane], Draft]


class Runner:
    """The answers of all panes."""

    def __init__(self, pool: Pool, make_draft: MakeDraft, replaced: Callable[[OutputPane], object]) -> None:
        """replaced: told when what a pane shows is given up."""
        self._pool = pool
        self._replaced = replaced
        self._launches: dict[OutputPane, Launch] = {}
        self._make_draft = make_draft
        self._streams: dict[OutputPane, PaneStream] = {}
        self._shown: dict[OutputPane, Draft] = {}
        self.total = 0

    def run(self, panes: Iterable[OutputPane], only_changed: bool = False) -> int:
        """Start the panes; with `only_changed`, those that would ask something else than they show."""
        started = 0
        for pane in panes:
            try:
                draft = self._make_draft(pane)
            except WorkbenchError as error:
                self._fail(pane, error)
                continue
            if only_changed and self._shown.get(pane) == draft and pane.state != "cancelled":
                continue
            self._shown[pane] = draft
            started += self._start(pane, draft)
        self.total = len(self.busy)
        return started

    def _start(self, pane: OutputPane, draft: Draft) -> bool:
        stream = self._streams.setdefault(pane, PaneStream())
        self._give_up(pane)
        pane.begin()
        try:
            stream.start(lambda sink: self._launch(pane, draft, sink))
        except WorkbenchError as error:
            self._fail(pane, error)
            return False
        return True

    def _launch(self, pane: OutputPane, draft: Draft, sink: Sink) -> Launch:
        launch = self._launches[pane] = Launch(self._pool, draft, sink, GUESSES)
        return launch

    def _give_up(self, pane: OutputPane) -> None:
        self._launches.pop(pane, None)
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
        for pane in busy:
            self._streams[pane].cancel()
        return bool(busy)

    def shown(self, pane: OutputPane) -> Draft | None:
        """What the pane was asked last."""
        return self._shown.get(pane)

    def sent(self, pane: OutputPane) -> tuple[Message, ...]:
        """The messages of that; none before they were sent."""
        launch = self._launches.get(pane)
        return launch.messages if launch else ()

    def forget(self, pane: OutputPane) -> None:
        """A pane was closed."""
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
                pane.feed(events)
        return came
