"""NewBenchForm: what a new bench is made of, as guessed from its cases. Dismissed with it, or with None."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList

from workbench import paths
from workbench.errors import BenchError, FileError, WorkbenchError
from workbench.runs.new_bench import BENCH_SUFFIX, PANE_KINDS, BenchRequest, NewBench
from workbench.runs.task_kind import TASK_KINDS
from workbench.tui.widgets.choice_row import Choice, ChoiceRow
from workbench.tui.widgets.dialog import FormDialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Button, Label
from workbench.units import format_plural

Part = Literal["cases", "model", "adapter"]
_PAUSE = 0.15
"""seconds after the last keystroke before the cases are read"""
_TASKS = {"classify": "classify", "extract": "extract JSON", "answer": "answer", "text": "free text"}
_KINDS = {str(kind): kind for kind in TASK_KINDS}
_HELP = {
    "new-data": "A file or folder of cases; right completes its name, ctrl+o opens a list.",
    "new-expected": "The column of the expected answers, where it has no usual name.",
    "new-kind": "What the model is asked to do; guessed from the expected answers. Left and right change it.",
    "new-model": "Enter picks another model.",
    "new-panes": "Space switches a pane. Few-shot examples are never cases; + adapter asks for a LoRA adapter.",
    "new-scorers": "Space switches a scorer; the first is the badge. The bench's file takes any other.",
    "new-name": "The bench is saved beside its cases, its prompts in a folder of the same name.",
}


class NewBenchForm(FormDialog[NewBench | None]):
    """One field a row; what is not said is guessed, and shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="new.leave"),
        Binding("ctrl+s", "create", "create", id="new.create", tooltip="Create the bench", priority=True),
        Binding("ctrl+o", "browse", "browse", id="new.browse", tooltip="Browse for a file", priority=True),
        Binding("down", "app.focus_next", "next field", show=False, id="new.next"),
        Binding("up", "app.focus_previous", "previous field", show=False, id="new.previous"),
    ]

    def __init__(
        self,
        request: BenchRequest,
        plan: Callable[[BenchRequest], NewBench],
        pick: Callable[[Part], Awaitable[str]],
        found: tuple[str, ...] = (),
    ) -> None:
        """plan: called on a thread. pick: asks for a part in a list; "" for none. found: names of files of cases."""
        super().__init__()
        self._request, self._plan, self._pick, self._found = request, plan, pick, found
        self._problem = self._notes = ""

    def compose(self) -> ComposeResult:
        data = "" if self._request.data == Path() else str(self._request.data)
        with Vertical(classes="dialog", id="new-bench") as dialog:
            dialog.border_title = "New bench"
            with Horizontal(classes="field"):
                yield Label("cases")
                yield Input(
                    data,
                    placeholder="such as reviews.csv",
                    id="new-data",
                    compact=True,
                    suggester=SuggestFromList(self._found),
                )
            with Horizontal(classes="field"):
                yield Label("")
                yield Label("", id="new-seen")
            with Horizontal(classes="field"):
                yield Label("expected")
                yield Input(self._request.expected, id="new-expected", compact=True)
            with Horizontal(classes="field -tall"):
                yield Label("task")
                yield ChoiceRow("new-kind", [Choice(kind, _TASKS[kind]) for kind in TASK_KINDS], several=False)
            with Horizontal(classes="field -tall"):
                yield Label("labels", id="new-labels-title")
                yield Label("", id="new-labels")
            with Horizontal(classes="field"):
                yield Label("model")
                yield Button(f"{self._request.model or '…'}  ▾", id="new-model", classes="fixed", compact=True)
            with Horizontal(classes="field -tall"):
                yield Label("panes")
                yield ChoiceRow("new-panes", [Choice(kind, kind) for kind in PANE_KINDS], several=True)
            with Horizontal(classes="field -tall"):
                yield Label("scorers")
                yield ChoiceRow("new-scorers", (), several=True)
            with Horizontal(classes="field"):
                yield Label("save as")
                yield Input(self._request.name, id="new-name", compact=True)
                yield Label(BENCH_SUFFIX, id="new-suffix")
            yield Label("", id="new-help")
            yield Label("enter create   up/down move   ^o browse   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self._show_choices()
        self.query_one("#new-data").focus()
        self._replan()

    # --- what is typed and chosen --------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._show_help(event.widget.id or "")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        data = _read_path(self.query_one("#new-data", Input).value)
        expected = self.query_one("#new-expected", Input).value.strip()
        name = self.query_one("#new-name", Input).value.strip()
        if data != self._request.data:  # other cases are another task
            self._request = replace(self._request, kind=None, scorers=None)
        self._request = replace(self._request, data=data, expected=expected, name=name)
        self._replan(_PAUSE)

    @on(ChoiceRow.ChoiceMade)
    def _chosen(self, event: ChoiceRow.ChoiceMade) -> None:
        row = event.row
        if row.id == "new-kind":
            self._request = replace(self._request, kind=_KINDS[row.chosen[0]], scorers=None)
        elif row.id == "new-scorers":
            self._request = replace(self._request, scorers=row.chosen)
        else:
            panes = tuple(kind for kind in PANE_KINDS if kind in row.chosen)
            self._request = replace(self._request, panes=panes)
            if event.toggled == "adapter" and "adapter" in row.chosen:
                self._ask("adapter")
                return
        self._replan()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self._ask("model")

    def action_browse(self) -> None:
        self._ask("cases")

    def _ask(self, part: Part) -> None:
        self.run_worker(self._ask_for(part), group="ask", exclusive=True)

    async def _ask_for(self, part: Part) -> None:
        picked = await self._pick(part)
        if not is_open(self):
            return
        if part == "adapter":
            panes = tuple(kind for kind in self._request.panes if kind != "adapter" or picked)
            self._request = replace(self._request, adapter=picked, panes=panes)
        elif picked and part == "model":
            self._request = replace(self._request, model=picked)
        elif picked:
            self.query_one("#new-data", Input).value = picked
        self._show_choices()
        self._replan()

    # --- what comes of it ----------------------------------------------------------------------------------------

    @on(Input.Submitted)
    @on(ChoiceRow.ChoiceSubmitted)
    def action_create(self) -> None:
        """Read everything as it stands now, and be done unless something is missing."""
        self._replan(create=True)

    def _replan(self, pause: float = 0, create: bool = False) -> None:
        self.run_worker(self._read(pause, create), group="plan", exclusive=True)

    async def _read(self, pause: float, create: bool) -> None:
        await asyncio.sleep(pause)
        planned = problem = None
        try:
            if self._request.data != Path():
                planned = await asyncio.to_thread(self._plan, self._request)
        except WorkbenchError as error:
            problem = error
        if not is_open(self):  # it was left meanwhile
            return
        if planned is None:
            if not isinstance(problem, BenchError):  # the cases themselves cannot be read
                self._write("new-seen", "")
            self._show_problem(problem.message if problem else "Choose a file of cases." if create else "")
        elif create and self.is_current:
            self.dismiss(planned)
        else:
            self._show(planned)

    def _show(self, planned: NewBench) -> None:
        columns = ", ".join(planned.columns)
        self._write("new-seen", f"✓ {format_plural(planned.rows, 'row')} · {columns}")
        expected = self.query_one("#new-expected", Input)
        expected.placeholder = planned.expected or "no column found; name it here"
        keys = bool(planned.task.keys) and not planned.task.labels
        self._write("new-labels-title", "keys" if keys else "labels")
        self._write("new-labels", _list_short(planned.task.labels or planned.task.keys))
        self.query_one("#new-model", Button).label = f"{planned.bench.variants[0].model}  ▾"
        self.query_one("#new-name", Input).placeholder = planned.path.name.removesuffix(BENCH_SUFFIX)
        kinds = [Choice(kind, _TASKS[kind]) for kind in TASK_KINDS]
        self.query_one("#new-kind", ChoiceRow).show(kinds, (planned.task.kind,))
        scorers = [Choice(name, name) for name in planned.fitting]
        self.query_one("#new-scorers", ChoiceRow).show(scorers, planned.scorers)
        self._show_choices(planned)
        self._problem, self._notes = "", " ".join(planned.decisions)
        self._show_help((self.focused.id or "") if self.focused else "")

    def _show_choices(self, planned: NewBench | None = None) -> None:
        shots = max((len(prompt.examples) for prompt in planned.prompts), default=0) if planned else 0
        lacking = planned is not None and "few-shot" in self._request.panes and not shots
        found = format_plural(shots, "row") if shots else "too few rows" if lacking else ""
        labels = {
            "few-shot": f"few-shot ({found})" if found else "few-shot",
            "adapter": f"+ {Path(self._request.adapter).name or 'adapter'}",
        }
        panes = [Choice(kind, labels.get(kind, kind)) for kind in PANE_KINDS]
        self.query_one("#new-panes", ChoiceRow).show(panes, self._request.panes)

    def _show_problem(self, text: str) -> None:
        """Show what keeps the bench from being made; "" for nothing yet."""
        self._problem, self._notes = text, ""
        self._show_help("new-data")

    def _show_help(self, id: str) -> None:
        """The problem if there is one, else about a field; at the cases, what was decided by them."""
        label = self.query_one("#new-help", Label)
        label.set_class(bool(self._problem), "-problem")
        label.update(self._problem or (id == "new-data" and self._notes) or _HELP.get(id, ""))

    def _write(self, id: str, text: str) -> None:
        self.query_one(f"#{id}", Label).update(text)


def _read_path(text: str) -> Path:
    """What was typed or pasted; as it stands where it is no path, which is told when it is read."""
    try:
        return paths.read_pasted(text)
    except FileError:
        return Path(text.strip())


def _list_short(names: tuple[str, ...]) -> str:
    return " · ".join(names[:12]) + (" · …" if len(names) > 12 else "")
