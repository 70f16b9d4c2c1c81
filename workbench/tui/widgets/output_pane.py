"""OutputPane: one variant's answer, from `loading` to its score.

Fed with engine events by whoever drains its stream; it knows neither engines nor scorers, only what to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from workbench.engines.engine import Chunk, Completion, Event, Failure, Likelihood, Progress, fold
from workbench.errors import WorkbenchError
from workbench.evaluation.scorers import Score
from workbench.sanitize import sanitize
from workbench.tui.figures import show_completion, show_likelihood, show_progress
from workbench.tui.widgets.plain import Static, plain_line
from workbench.tui.widgets.stream_text import StreamText

PaneState = Literal["idle", "loading", "queued", "running", "done", "cancelled", "failed"]
_STATES: tuple[PaneState, ...] = ("idle", "loading", "queued", "running", "done", "cancelled", "failed")
BUSY: frozenset[PaneState] = frozenset({"loading", "queued", "running"})


class OutputPane(Vertical, can_focus=True, can_focus_children=False):
    """A column: name, model, score badge, streamed answer, figures."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask('run_one')", "run this", id="pane.run"),
        Binding("s", "ask('settings')", "settings", id="pane.settings"),
        Binding("m", "ask('model')", "model", id="pane.model"),
        Binding("n", "ask('rename')", "rename", id="pane.rename"),
        Binding("e", "ask('explain')", "explain", id="pane.explain"),
        Binding("t", "ask('tokens')", "tokens", id="pane.tokens"),
        Binding("y", "ask('copy')", "copy", id="pane.copy"),
        Binding("v", "ask('view')", "view whole", id="pane.view", show=False),
        Binding("p", "ask('adapters')", "adapters", id="pane.adapters"),
        Binding("plus,equals_sign", "ask('scale_up')", "stronger", id="pane.scale_up", show=False),
        Binding("minus", "ask('scale_down')", "weaker", id="pane.scale_down", show=False),
        Binding("b", "ask('without_adapters')", "without", id="pane.without", show=False),
        Binding("d", "ask('difference')", "difference", id="pane.difference"),
        Binding("w", "ask('expected')", "likelihood of the expected", id="pane.expected", show=False),
        Binding("a", "ask('add')", "add pane", id="pane.add"),
        Binding("x", "ask('close')", "close", id="pane.close"),
        Binding("left,h", "ask('previous')", "previous pane", id="pane.previous", show=False),
        Binding("right,l", "ask('next')", "next pane", id="pane.next", show=False),
        Binding("up,k", "scroll(-1)", "scroll up", id="pane.up", show=False),
        Binding("down,j", "scroll(1)", "scroll down", id="pane.down", show=False),
        Binding("pageup", "scroll(-10)", "page up", id="pane.page_up", show=False),
        Binding("pagedown", "scroll(10)", "page down", id="pane.page_down", show=False),
    ]

    state: reactive[PaneState] = reactive("idle")
    mark: reactive[str] = reactive("")
    """how the answer compares with the chosen pane's, such as `≠ A`"""

    output = getters.query_one(StreamText)

    @dataclass
    class Asked(Message):
        """A person asked for something that concerns this pane."""

        pane: OutputPane
        wish: str

        @property
        def control(self) -> OutputPane:
            return self.pane

    @dataclass
    class Chosen(Message):
        """The pane got the focus."""

        pane: OutputPane

    @dataclass
    class Finished(Message):
        """The answer ended: done, or cancelled with what there was."""

        pane: OutputPane
        completion: Completion

    def __init__(self) -> None:
        super().__init__()
        self.index = 0
        """where it stands in the row; it may move while something is awaited, so ask for it anew"""
        self.chunks: list[Chunk] = []
        self.scores: tuple[Score, ...] = ()
        self.seen = ""
        self.failure: WorkbenchError | None = None
        self.expected: Likelihood | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="pane-what")
        yield Static(id="pane-badge")
        yield Static(id="pane-expected")
        yield StreamText()
        yield Static(id="pane-figures")

    @property
    def letter(self) -> str:
        return "ABCDEFGH"[self.index]

    @property
    def tokens_per_second(self) -> float:
        """How fast the answer comes, or came; 0 before its second token."""
        return self.chunks[-1].tokens_per_second if self.chunks else 0.0

    @property
    def completion(self) -> Completion:
        return fold(self.chunks)

    def show_variant(self, name: str, prompt: str, model: str, adapters: str = "") -> None:
        """The name in the border, and lines that say what runs: the prompt, the model, what is laid over it."""
        self.border_title = plain_line(f"{self.letter}  {name}")
        self.query_one("#pane-what", Static).update(Content(sanitize(f"{prompt}\n{model}\n{adapters}")))

    def begin(self) -> None:
        """Empty the pane for a new answer."""
        self.chunks = []
        self.scores, self.seen = (), ""
        self.failure = None
        self.output.clear()
        self.show_expected(None)
        self._show_figures("")
        self._show_badge()
        self.state = "queued"

    def feed(self, events: Sequence[Event]) -> None:
        """Take what came out of the engine since the last frame."""
        for event in events:
            if isinstance(event, Progress):
                self.state = event.state
                self._show_progress(event)
            elif isinstance(event, Failure):
                self.fail(WorkbenchError(event.message, event.hint, event.details))
            else:
                self._take(event)
        if self.state == "running":
            self._show_figures(show_progress(self.chunks[-1]) if self.chunks else "")

    def _take(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        if chunk.text:
            self.state = "running"
            self.output.append(chunk.text, "thinking" if chunk.thinking else "answer")
        if chunk.stop_reason is None:
            return
        completion = self.completion
        if chunk.unclosed:  # what streamed as reasoning turns out to be the answer
            self.output.clear()
            self.output.append(completion.text, "answer")
        self.state = "cancelled" if chunk.stop_reason == "cancelled" else "done"
        self._show_figures(show_completion(completion))
        if not completion.text and not completion.thinking and self.state == "done":
            self.output.append("(the model ended at once, without a word)", "note")
        if completion.notes:
            self.output.append("\n\n" + "\n".join(f"Note: {note}" for note in completion.notes), "note")
        self.post_message(self.Finished(self, completion))

    def fail(self, error: WorkbenchError) -> None:
        """Show why there is no answer; what had streamed so far stays above it."""
        self.failure = error
        gap = "\n\n" if self.output.text else ""
        hint = f"\n\n{error.hint}" if error.hint else ""
        self.output.append(f"{gap}{error.message}{hint}\n\nPress enter here to try again.", "note")
        self.state = "failed"

    def show_scores(self, scores: tuple[Score, ...], seen: str = "") -> None:
        """seen: that what answered has seen the case before, so that the scores are too good."""
        self.scores, self.seen = scores, seen
        self._show_badge()

    def show_expected(self, likelihood: Likelihood | None) -> None:
        """How probable the model finds the case's expected answer; None takes it away."""
        self.expected = likelihood
        text = show_likelihood(likelihood) if likelihood else ""
        self.query_one("#pane-expected", Static).update(Content(text), layout=False)

    @property
    def badge(self) -> Content:
        """Sign and value of the first score that applies: `✓ 1.00`; empty without one."""
        score = next((score for score in self.scores if score.applies), None)
        if score is None:
            return Content("")
        sign, colour = ("✓", "$text-success") if score.value >= 1 else ("✗", "$text-error")
        if score.scale != "unit":
            sign, colour = "•", "$foreground"  # no share of what could be had: a length, a time
        elif 0 < score.value < 1:
            sign, colour = "◐", "$text-warning"
        return Content.assemble((f"{sign} {score.value:.2f}", colour))

    @property
    def sign(self) -> str:
        """One character for the tabs: the score's sign, else the state's."""
        signs = {"loading": "…", "queued": "…", "running": "▸", "failed": "!", "cancelled": "◌"}
        return self.badge.plain[:1] or signs.get(self.state, " ")

    def _show_badge(self) -> None:
        applied = [score for score in self.scores if score.applies]
        names = [
            f"  {score.scorer.replace('_', ' ')}{f' {score.value:.2f}' if place else ''}"
            for place, score in enumerate(applied)
        ]
        warning = (f"  {self.seen}", "$text-warning") if self.seen else ""
        badge = Content.assemble(self.badge, warning, ("".join(names), "$foreground 60%"))
        self.query_one("#pane-badge", Static).update(badge, layout=False)

    def _show_progress(self, progress: Progress) -> None:
        loading = progress.state == "loading" and progress.fraction is not None
        self._show_figures(f"loading {progress.fraction:.0%}" if loading else "")

    def _show_figures(self, text: str) -> None:
        self.query_one("#pane-figures", Static).update(Content(text), layout=False)

    def watch_state(self, state: PaneState) -> None:
        for name in _STATES:
            self.set_class(name == state, f"-{name}")
        self._show_subtitle()

    def watch_mark(self) -> None:
        self._show_subtitle()

    def _show_subtitle(self) -> None:
        self.border_subtitle = plain_line(self.mark if self.state in ("idle", "done") else self.state)

    def on_focus(self) -> None:
        self.post_message(self.Chosen(self))

    def action_ask(self, wish: str) -> None:
        self.post_message(self.Asked(self, wish))

    def action_scroll(self, rows: int) -> None:
        self.output.scroll_relative(y=rows, animate=False)
