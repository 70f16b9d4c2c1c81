"""OutputPane: one variant's answer, from `loading` to its score.

Fed with the events of its stream.
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

from workbench.errors import WorkbenchError
from workbench.inference.types import Admitted, Chunk, Completion, Failure, Likelihood, Progress, fold
from workbench.runs.cell_step import CellStep
from workbench.sanitize import sanitize_line
from workbench.scoring.scorer import Score
from workbench.tui.badges import list_badges, make_first_badge, show_dim
from workbench.tui.call_stream import CallBegan, CallEnded, CallsEnded, CallsProgress, PaneEvent, show_calls_progress
from workbench.tui.figures import cut_middle, list_completion, list_progress, show_curve, show_likelihood
from workbench.tui.pane_facts import PaneFacts
from workbench.tui.pane_letter import name_pane
from workbench.tui.widgets.call_text import CallText
from workbench.tui.widgets.packed_line import PackedLine
from workbench.tui.widgets.plain import Static, plain_line

PaneState = Literal["idle", "loading", "queued", "running", "done", "cancelled", "failed"]
_STATES: tuple[PaneState, ...] = ("idle", "loading", "queued", "running", "done", "cancelled", "failed")
BUSY: frozenset[PaneState] = frozenset({"loading", "queued", "running"})


class OutputPane(Vertical, can_focus=True, can_focus_children=False):
    """A column: its name, a line of badges and of what differs from the other panes, the streamed answer, figures."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask('run_one')", "run", id="pane.run"),
        Binding("s", "ask('settings')", "settings", id="pane.settings"),
        Binding("m", "ask('model')", "model", id="pane.model"),
        Binding("n", "ask('rename')", "rename", id="pane.rename", show=False),
        Binding("e", "ask('explain')", "explain", id="pane.explain"),
        Binding("t", "ask('tokens')", "tokens", id="pane.tokens"),
        Binding("y", "ask('copy')", "copy", id="pane.copy"),
        Binding("v", "ask('view')", "view", id="pane.view", show=False),
        Binding("p", "ask('adapters')", "adapters", id="pane.adapters"),
        Binding("plus,equals_sign", "ask('scale_up')", "raise adapter scale", id="pane.scale_up", show=False),
        Binding("minus", "ask('scale_down')", "lower adapter scale", id="pane.scale_down", show=False),
        Binding("b", "ask('without_adapters')", "duplicate without adapters", id="pane.without", show=False),
        Binding("d", "ask('difference')", "diff", id="pane.difference"),
        Binding("w", "ask('expected')", "log-likelihood of the expected answer", id="pane.expected", show=False),
        Binding("a", "ask('add')", "add", id="pane.add"),
        Binding("x", "ask('close')", "close", id="pane.close"),
        Binding("z", "ask('zoom')", "zoom", id="pane.zoom", show=False),
        Binding("less_than_sign", "ask('move_left')", "move left", id="pane.move_left", show=False),
        Binding("greater_than_sign", "ask('move_right')", "move right", id="pane.move_right", show=False),
        Binding("left,h", "ask('previous')", "previous pane", id="pane.previous", show=False),
        Binding("right,l", "ask('next')", "next pane", id="pane.next", show=False),
        Binding("u", "unfold", "unfold steps", id="pane.unfold", show=False),
        Binding("up,k", "scroll(-1)", "scroll up", id="pane.up", show=False),
        Binding("down,j", "scroll(1)", "scroll down", id="pane.down", show=False),
        Binding("pageup", "scroll(-10)", "page up", id="pane.page_up", show=False),
        Binding("pagedown", "scroll(10)", "page down", id="pane.page_down", show=False),
    ]

    state: reactive[PaneState] = reactive("idle")
    mark: reactive[str] = reactive("")
    """how the answer compares with the chosen pane's, such as `≠ A`"""
    stale: reactive[bool] = reactive(False)
    """whether the answer is to something else than what would be asked now"""

    output = getters.query_one(CallText)

    @dataclass
    class CommandRequested(Message):
        """A key of this pane was pressed."""

        pane: OutputPane
        command: str

        @property
        def control(self) -> OutputPane:
            return self.pane

    @dataclass
    class Chosen(Message):
        """The pane got the focus."""

        pane: OutputPane

    @dataclass
    class AnswerFinished(Message):
        """The answer ended: done, or cancelled with what there was."""

        pane: OutputPane
        completion: Completion

    def __init__(self) -> None:
        super().__init__()
        self.index = 0
        """its position in the row, which may change while something is awaited"""
        self.chunks: list[Chunk] = []
        self.steps: tuple[CellStep, ...] = ()
        """the calls that the answer took, where there are several"""
        self.whole: Completion | None = None
        """the answer of several calls, with the tokens and times of all"""
        self._calls_progress: CallsProgress | None = None
        self.unfolded = False
        """whether the texts of a chain's steps are shown"""
        self.scores: tuple[Score, ...] = ()
        self.seen = ""
        self.failure: WorkbenchError | None = None
        self._waits_for = ""
        self.expected: Likelihood | None = None
        self._shown_name, self._edited = "", False
        self._facts = PaneFacts()
        self._scorers: tuple[str, ...] = ()
        self._meta, self._figures = PackedLine(id="pane-meta"), PackedLine(id="pane-figures")
        self._scales = PackedLine(id="pane-scales")
        self._curve: tuple[tuple[float, float | None], ...] = ()

    def compose(self) -> ComposeResult:
        yield self._meta
        yield Static(id="pane-expected")
        yield CallText()
        yield self._scales
        yield self._figures

    @property
    def letter(self) -> str:
        return name_pane(self.index)

    @property
    def tokens_per_second(self) -> float:
        """How fast the answer comes, or came; 0 before its second token."""
        return self.chunks[-1].tokens_per_second if self.chunks else 0.0

    @property
    def completion(self) -> Completion:
        return self.whole if self.whole is not None else fold(self.chunks)

    def show_variant(self, name: str, edited: bool, facts: PaneFacts) -> None:
        """The name in the border, and what tells this pane from the others.

        edited: whether its prompt has unsaved changes.
        """
        changed = facts != self._facts
        self._shown_name, self._edited, self._facts = name, edited, facts
        self.set_class(bool(facts.adapters), "-adapted")
        self._show_title()
        self._show_meta(shrink=changed)
        self.show_curve(self._curve)

    def _show_title(self) -> None:
        sign = " ●" if self._edited else ""
        room = self.outer_size.width - len(f"╭─ A  {sign} ─╮")
        name = sanitize_line(self._shown_name)
        self.border_title = plain_line(f"{self.letter}  {cut_middle(name, room) if room > 0 else name}{sign}")

    def on_resize(self) -> None:
        self._show_title()

    def begin(self) -> None:
        """Empty the pane for a new answer."""
        self.chunks, self.steps, self.whole, self._calls_progress = [], (), None, None
        self.scores, self.seen = (), ""
        self.failure = None
        self.stale = False
        self.output.clear()
        self.show_expected(None)
        self.show_curve(())
        self._show_figures()
        self._show_meta()
        self._waits_for = ""
        self.state = "queued"

    def feed(self, events: Sequence[PaneEvent]) -> None:
        """Take what came out of the engine since the last frame."""
        for event in events:
            if isinstance(event, Progress):
                self.state = event.state
                self._show_progress(event)
            elif isinstance(event, Failure):
                self.fail(WorkbenchError(event.message, event.hint, event.details))
            elif isinstance(event, Chunk):
                self._accept(event)
            elif isinstance(event, CallsProgress):
                self._calls_progress = event
            elif isinstance(event, CallBegan):
                self.output.begin_call(event)
            elif isinstance(event, CallEnded):
                self.output.end_call(event)
            elif isinstance(event, CallsEnded):
                self.steps, self.whole = event.steps, event.completion
                self._fold_calls()
            elif isinstance(event, Admitted) and event.budget.pictures:
                self.output.append("".join(f"▣ {one.text}\n" for one in event.budget.pictures) + "\n", "note")
        if self.state == "running":
            figures = list_progress(self.chunks[-1]) if self.chunks else ()
            self._show_figures(*show_calls_progress(self._calls_progress), *figures)

    def _accept(self, chunk: Chunk) -> None:
        self._drop_note()
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
        self._show_figures(*list_completion(completion))
        if not completion.text and not completion.thinking and self.state == "done":
            alone = not self.output.text  # no calls stand above it
            self.output.append("(empty answer: the model stopped at once)" if alone else "\n\n(empty answer)", "note")
        if completion.notes:
            self.output.append("\n\n" + "\n".join(f"Note: {note}" for note in completion.notes), "note")
        self.post_message(self.AnswerFinished(self, completion))

    def action_unfold(self) -> None:
        """Show the texts of a chain's steps, or a line for each."""
        self.unfolded = not self.unfolded
        if self.state == "done":
            self._fold_calls()

    def _fold_calls(self) -> None:
        if self.whole is not None:
            self.output.fold_calls(self.steps, self.whole.text, self.unfolded)

    def fail(self, error: WorkbenchError) -> None:
        """Show why there is no answer; what had streamed so far stays above it."""
        self.failure = error
        self._drop_note()
        if not self.chunks:
            self._show_figures()  # how far the loading came is over
        gap = "\n\n" if self.output.text else ""
        hint = f"\n\n{error.hint}" if error.hint else ""
        self.output.append(f"{gap}{error.message}{hint}\n\nPress enter to retry.", "note")
        self.state = "failed"

    def show_scores(self, scores: tuple[Score, ...], seen: str = "") -> None:
        """seen: that what answered has seen the case before, so that the scores are too good."""
        self.scores, self.seen = scores, seen
        self._scorers = tuple(score.scorer for score in scores if score.applies)
        self._show_meta()

    def show_expected(self, likelihood: Likelihood | None) -> None:
        """The log-likelihood of the expected answer; None removes it."""
        self.expected = likelihood
        text = show_likelihood(likelihood) if likelihood else ""
        self.query_one("#pane-expected", Static).update(Content(text), layout=False)

    def show_curve(self, curve: Sequence[tuple[float, float | None]], problem: str = "") -> None:
        """The pane's adapters, and how likely the expected answer is at several scales of the first; or a problem.

        curve: (scale, probability), in order; None is not known yet.
        """
        self._curve = tuple(curve)
        named = [Content.assemble((sanitize_line(text), "$accent")) for text in self._facts.adapters]
        parts = [problem] if problem else show_curve(self._curve, self._facts.scale)
        self._scales.show([*named, *(show_dim(sanitize_line(part)) for part in parts)])

    @property
    def badge(self) -> Content:
        """Sign and value of the first score that applies: `✓ 1.00`; empty without one."""
        return make_first_badge(self.scores)

    @property
    def sign(self) -> str:
        """One character for the tabs: the score's sign, else the state's."""
        signs = {"loading": "…", "queued": "…", "running": "▸", "failed": "!", "cancelled": "◌"}
        return self.badge.plain[:1] or signs.get(self.state, " ")

    def _show_meta(self, shrink: bool = False) -> None:
        facts = self._facts
        parts = [show_dim(sanitize_line(text)) for text in (facts.model, *facts.others)]
        warnings = [Content.assemble((sanitize_line(text), "$text-warning")) for text in (self.seen, *facts.warnings)]
        waiting = self.state in BUSY or (self.state == "done" and not self.scores)
        badges = list_badges(self.scores, self._scorers if waiting else ())
        self._meta.show([*badges, *warnings, *parts], shrink)

    def _show_progress(self, progress: Progress) -> None:
        self._drop_note()
        self._waits_for = progress.note if not self.output.text else ""
        self.output.append(self._waits_for, "note")
        loading = progress.state == "loading" and progress.fraction is not None
        self._show_figures(f"loading {progress.fraction:.0%}" if loading else progress.note)

    def _drop_note(self) -> None:
        """What its model waited for is over."""
        if self._waits_for:
            self.output.clear()
        self._waits_for = ""

    def _show_figures(self, *figures: str) -> None:
        self._figures.show([Content(figure) for figure in figures])

    def watch_state(self, state: PaneState) -> None:
        self.set_class(False, *(f"-{name}" for name in _STATES if name != state), update=False)
        self.set_class(True, f"-{state}")  # one look at the stylesheet, not one for each state
        self._show_subtitle()
        self._show_meta()

    def watch_mark(self) -> None:
        self._show_subtitle()

    def watch_stale(self) -> None:
        self.set_class(self.stale, "-stale")
        self._show_subtitle()

    def _show_subtitle(self) -> None:
        mark = self.mark if self.state in ("idle", "done") else self.state
        self.border_subtitle = plain_line(" · ".join(filter(None, ("stale" if self.stale else "", mark))))

    def on_focus(self) -> None:
        self.post_message(self.Chosen(self))

    def action_ask(self, command: str) -> None:
        self.post_message(self.CommandRequested(self, command))

    def action_scroll(self, rows: int) -> None:
        self.output.scroll_relative(y=rows, animate=False)
