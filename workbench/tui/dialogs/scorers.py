"""ScorerChecklist: which scorers a bench has, in which order and with which options, tried on the current answer.

Dismissed with the list as a bench holds it, or with None.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from workbench.errors import ScorerError
from workbench.sanitize import sanitize
from workbench.scoring.catalog import ScorerHelp, describe_scorers
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import Score, ScoringInput
from workbench.scoring.scorer_set import score_safely
from workbench.scoring.trust import Spec
from workbench.tui.badges import make_badge
from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, Option, OptionList, Static
from workbench.yaml_tree import YamlParseError, parse_yaml, to_plain

Part = str | tuple[str, str] | Content


class ScorerRow(NamedTuple):
    """A line of the list. options: as they are typed, `key: value` with commas between."""

    kind: str
    options: str
    on: bool

    @property
    def spec(self) -> Spec:
        """As a bench lists it. Raises ScorerError."""
        try:
            options = to_plain(parse_yaml("{" + self.options + "}"))
        except YamlParseError as error:
            raise ScorerError(f"{self.kind}: the options cannot be read: {error.problem.message}") from error
        return {self.kind: options} if options else self.kind


class ScorerList(OptionList):
    """Enter takes the list; a click switches a scorer on or off."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.apply", "apply", id="scorers.apply", tooltip="Apply the scorers"),
        Binding("space", "screen.switch", "on/off", id="scorers.toggle", tooltip="Switch the scorer on or off"),
        Binding(
            "f",
            "screen.move_first",
            "first",
            id="scorers.first",
            tooltip="Make it the first scorer, which leads the figures",
        ),
    ]


class ScorerChecklist(Dialog[tuple[Spec, ...] | None]):
    """Those of the bench first, in its order, then every other there is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel", id="scorers.leave")]

    options = getters.query_one(ScorerList)
    field = getters.query_one(Input)

    def __init__(self, specs: Sequence[Spec], folder: Path, answer: ScoringInput | None) -> None:
        """folder: the bench's. answer: what the example scores; None where there is no answer yet."""
        super().__init__()
        self._folder, self._answer = folder, answer
        self._help = {one.name: one for one in describe_scorers()}
        own = [_read_spec(spec) for spec in specs]
        used = {row.kind for row in own}
        self._index = 0
        """the scorer on show"""
        self._rows = [*own, *(ScorerRow(name, "", False) for name in self._help if name not in used)]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole", id="scorers") as dialog:
            dialog.border_title = "Scorers"
            with Horizontal():
                yield ScorerList()
                with VerticalScroll(can_focus=False):
                    yield Static(id="scorer-help")
            yield Input(placeholder="options, such as ignore_case: false", compact=True)
            yield Static(id="scorer-example")
            yield Label("space on/off   f first   tab options   enter apply   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self._fill(0)
        self.options.focus()

    # --- keys ----------------------------------------------------------------------------------------------------

    def action_switch(self) -> None:
        row = self._rows[self._index]
        self._rows[self._index] = row._replace(on=not row.on)
        self._fill(self._index)

    def action_move_first(self) -> None:
        """The first scorer is the one that runs are sorted and summed up by."""
        self._rows.insert(0, self._rows.pop(self._index)._replace(on=True))
        self._fill(0)

    def action_apply(self) -> None:
        try:
            specs = tuple(row.spec for row in self._rows if row.on)
            make_scorers(specs, self._folder)
        except ScorerError as error:
            self._show_example(self._rows[self._index], Content.assemble((sanitize(error.message), "$text-error")))
            return
        self.dismiss(specs)

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        self.action_switch()

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index == self.options.highlighted:  # no move that another one has overtaken
            self._show_row(event.option_index)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        row = self._rows[self._index]
        if event.value == self.field.value != row.options:
            self._rows[self._index] = row._replace(options=event.value)
            self._try_out(self._rows[self._index])

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.options.focus()

    # --- showing -------------------------------------------------------------------------------------------------

    def _fill(self, index: int) -> None:
        rows = [Option(f"{'☑' if row.on else '☐'} {row.kind.replace('_', ' ')}") for row in self._rows]
        self.options.set_options(rows)
        self.options.highlighted = index
        self._show_row(index)

    def _show_row(self, index: int) -> None:
        """Help, options and example of a scorer; what is typed into the field is that scorer's from now on."""
        self._index, row = index, self._rows[index]
        self.field.value = row.options
        self.query_one("#scorer-help", Static).update(self._describe(row.kind))
        self._try_out(row)

    def _describe(self, kind: str) -> Content:
        help = self._help.get(kind)
        return _describe(help) if help else Content(f"No such scorer: {sanitize(kind)}")

    def _try_out(self, row: ScorerRow) -> None:
        if self._answer is None:
            self._show_example(row, Content("No answer yet: run the pane to see a score here."))
        else:
            self.run_worker(partial(self._score, row, self._answer), thread=True, group="example", exclusive=True)

    def _score(self, row: ScorerRow, answer: ScoringInput) -> None:
        """The example on a thread: a regular expression may take its time."""
        shown = describe_example(row, answer, self._folder)
        self.app.call_from_thread(self._show_example, row, shown)

    def _show_example(self, row: ScorerRow, content: Content) -> None:
        if is_open(self) and self._rows[self._index] == row:
            self.query_one("#scorer-example", Static).update(content)


def describe_example(row: ScorerRow, answer: ScoringInput, folder: Path) -> Content:
    """What a scorer gives an answer, or why that cannot be shown here."""
    try:
        (scorer,) = make_scorers([row.spec], folder)
    except ScorerError as error:
        lines = [line.strip() for line in error.message.splitlines()]
        return Content.assemble((sanitize(lines[-1]), "$text-error"))
    if scorer.heavy:
        return Content("Scores in a process of its own: apply it to see its score on the pane.")
    if scorer.grader_requests(answer.text, answer.case):
        return Content("Asks a model for each answer: its scores appear in runs.")
    return _describe_score(score_safely(scorer, answer))


def _describe_score(score: Score) -> Content:
    badge = make_badge(score) if score.applies else Content("does not apply")
    return Content.assemble("this answer  ", badge, (f"  {sanitize(score.explanation)}", "$foreground 60%"))


def _read_spec(spec: Spec) -> ScorerRow:
    kind, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()), ("", {}))
    return ScorerRow(kind, ", ".join(f"{key}: {_write(value)}" for key, value in (options or {}).items()), True)


def _write(value: Any) -> str:
    """A value as JSON, which YAML reads too."""
    return msgspec.json.encode(value).decode()


def _describe(kind: ScorerHelp) -> Content:
    parts: list[Part] = [(kind.name, "bold $primary"), (f"  {kind.group}\n", "$foreground 60%"), sanitize(kind.help)]
    parts += [f"\n{sanitize(kind.notes)}"] if kind.notes else []
    for option in kind.options:
        default = f" = {option.default}" if option.default else ""
        limits = f", {option.range}" if option.range else ""
        parts += [(f"\n\n{option.name}", "bold"), (f"  {option.type}{limits}{default}", "$foreground 60%")]
        parts += [f"\n{sanitize(option.help)}"] if option.help else []
    return Content.assemble(*parts, ("\n\nin a bench  ", "$foreground 60%"), sanitize(kind.example))
