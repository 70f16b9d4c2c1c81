"""BenchScreen: what one edits on the left, the variants' answers side by side on the right.

Gathers what a person typed into the session, asks the runner for answers, and shows both. Flows that open dialogs
are in actions.py; what a prompt, a score or a model is, the core decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer

from workbench.errors import BenchError, WorkbenchError
from workbench.evaluation.launch import Draft
from workbench.evaluation.local_code import LocalCode
from workbench.evaluation.trust import find_untrusted, without_code
from workbench.models.reference import Adapter, Model
from workbench.prompting.budget import Budget
from workbench.tui import catalog
from workbench.tui.actions import prompt as prompt_actions
from workbench.tui.actions.bench import ask_for_trust, open_adapter
from workbench.tui.actions.flow import say
from workbench.tui.actions.models import step_scale
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.adapters import Adapters
from workbench.tui.constraints import show_constraints
from workbench.tui.counting import Counting
from workbench.tui.desk import Desk
from workbench.tui.evaluations import Evaluations
from workbench.tui.footer_order import order_bindings
from workbench.tui.heading import tell_case, tell_time, tell_title
from workbench.tui.review import Review
from workbench.tui.runner import Runner
from workbench.tui.speeds import SECONDS, Speeds
from workbench.tui.stream import FRAMES_PER_SECOND
from workbench.tui.trainings import Trainings
from workbench.tui.verdicts import Verdicts
from workbench.tui.widgets.case_view import CaseView, ShownCase
from workbench.tui.widgets.edit_column import EditColumn
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.example_list import ExampleList
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.pane_row import PaneRow
from workbench.tui.widgets.plain import plain_line
from workbench.tui.widgets.title_bar import TitleBar

WATCH_SECONDS = 2.0

KEEP_SECONDS = 1.0
"""after which what was typed is kept as a draft, whether the keyboard rests or not"""


class BenchScreen(Screen[None]):
    """The first screen."""

    HELP_TEXT: ClassVar[str] = """\
Each column is a variant: a prompt, on a model, with some examples switched on and some sampling.
Type in the prompt on the left and the panes answer again as soon as you rest; the sign on top of each
pane is its score for this case (e explains it). Tab walks on; esc stops, or leaves the editor.
"""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f5", "run", "run", id="bench.run", priority=True),
        Binding("escape", "stop", "stop", id="bench.stop"),
        Binding("ctrl+n", "next_case", "next", id="bench.next_case", priority=True),
        Binding("ctrl+p", "previous_case", "back", id="bench.previous_case", priority=True),
        Binding("ctrl+s", "do('save')", "save", id="bench.save", priority=True),
        Binding("ctrl+t", "do('final_prompt')", "tokens", id="bench.tokens", priority=True),
        Binding("ctrl+o", "do('open_prompt')", "open", id="bench.open", priority=True),
        Binding("ctrl+l", "live", "live", id="bench.live", priority=True),
        Binding("ctrl+d", "do('duplicate')", "duplicate", id="bench.duplicate", priority=True),
        Binding("ctrl+e", "do('evaluate')", "evaluate", id="bench.evaluate", priority=True),
        Binding("f9", "do('train')", "train", id="bench.train", priority=True),
        Binding("f10", "do('judge')", "verdict", id="bench.verdict", priority=True),
        Binding("f12", "do('registry')", "adapters", id="bench.registry", priority=True),
        Binding("ctrl+b", "do('browse_models')", "models", id="bench.models", priority=True),
        Binding("f6", "do('engines')", "engines", id="bench.engines", show=False, priority=True),
        Binding(
            "f11", "do('discard_restored')", "discard restored", id="bench.discard_restored", show=False, priority=True
        ),
        Binding("ctrl+g", "do('go_to_case')", "go to case", id="bench.go_to_case", priority=True, show=False),
        Binding("f2", "toggle_editor", "editor", id="bench.editor", show=False, priority=True),
        Binding("left_square_bracket", "split(-5)", "narrower editor", id="bench.split_left", show=False),
        Binding("right_square_bracket", "split(5)", "wider editor", id="bench.split_right", show=False),
        Binding("f7", "step_pane(-1)", "previous pane", id="bench.previous_pane", show=False, priority=True),
        Binding("f8", "step_pane(1)", "next pane", id="bench.next_pane", show=False, priority=True),
        *(
            Binding(f"{number}", f"choose({number - 1})", f"pane {number}", id=f"bench.pane_{number}", show=False)
            for number in range(1, 9)
        ),
    ]

    class Measured(Message):
        """The prompt of the chosen pane was counted."""

        def __init__(self, draft: Draft, budget: Budget | None) -> None:
            super().__init__()
            self.draft, self.budget = draft, budget

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="bench")
        self.title_bar, self.edit, self.row = TitleBar(), EditColumn(), PaneRow()
        self.session = desk.session
        self.session.know(desk.models, desk.adapters)
        self.pool = desk.pool
        self.evaluations = Evaluations(self.session, self.pool)
        self.trainings = Trainings(self.session)
        self.verdicts = Verdicts(self.session, self.evaluations)
        self.adapters = Adapters(self.session, self.evaluations)
        self.review = Review(desk.pool, desk.session.settings.expected_likelihood)
        self.runner = Runner(desk.pool, lambda pane: self.session.draft(self.find(pane)), self.review.drop)
        self.speeds = Speeds()
        self._chosen: OutputPane | None = None
        self._counting = Counting(desk.pool, lambda draft, budget: self.post_message(self.Measured(draft, budget)))
        self._rest: Timer | None = None
        self._keeping: Timer | None = None
        self._changed_outside: frozenset[str] = frozenset()

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the footer's order."""
        return order_bindings(self, super().active_bindings)

    # --- layout --------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.title_bar
        with Horizontal(id="body"):
            yield self.edit
            yield self.row
        yield Footer(show_command_palette=False, compact=True)

    async def on_mount(self) -> None:
        untrusted: tuple[LocalCode, ...] = ()
        try:
            untrusted = find_untrusted(self.session.bench.scorers, self.folder)
            self.open_scoring(trusted=not untrusted)
        except WorkbenchError as error:
            self.session.problems.append(error)
        self.row.set_class(self.review.weighs, "-expecting")
        self.row.lay_out(await self.row.make_panes(len(self.session.variants)))
        await self.show_chosen()
        self.refresh_bindings()
        self.edit.editor.focus()
        self.set_interval(1 / FRAMES_PER_SECOND, self._drain)
        self.set_interval(SECONDS, self._note_speeds)
        self.set_interval(WATCH_SECONDS, self._look_at_files)
        self.set_interval(WATCH_SECONDS, self._look_at_training)
        self.set_interval(WATCH_SECONDS, self._look_at_drafts)
        for problem in self.session.problems:
            say(self, problem)
        for unused in self.session.unused():
            self.notify(unused, title="Opened, but not all of it is used", markup=False, severity="warning", timeout=15)
        if self.session.recovered:
            self.notify(
                f"{', '.join(self.session.recovered)}: ctrl+s saves them; f11, or Discard in ctrl+k, discards them.",
                title=f"Restored unsaved changes from {tell_time(self.session.recovered_from)}",
                timeout=30,
            )
        self.run_panes()
        if untrusted:
            ask_for_trust(self)

    def open_scoring(self, trusted: bool) -> None:
        """Judge the panes by the bench's scorers; those that run foreign code only if it is trusted.

        Raises ScorerError.
        """
        specs = self.session.bench.scorers
        self.review.open(specs if trusted else without_code(specs), self.folder)

    def on_unmount(self) -> None:
        self.review.close()

    @property
    def panes(self) -> list[OutputPane]:
        return self.row.panes

    @property
    def chosen(self) -> int:
        """Where the pane stands whose prompt is edited. It may move while something is awaited: keep `chosen_pane`."""
        return self.panes.index(self.chosen_pane)

    @property
    def chosen_pane(self) -> OutputPane:
        if self._chosen not in self.panes:
            self._chosen = self.panes[0]
        return self._chosen

    def find(self, pane: OutputPane) -> int:
        """Where a pane stands by now. Raises BenchError when it was closed meanwhile."""
        if pane not in self.panes:
            raise BenchError("This pane was closed meanwhile.", "Choose another pane.")
        return self.panes.index(pane)

    def lay_out_panes(self, panes: Sequence[OutputPane], chosen: OutputPane) -> None:
        """Make the row of panes match the session's variants, in the same step in which those were changed."""
        gone = self.row.lay_out(panes)
        self._chosen = chosen
        if self.focused in gone:
            chosen.focus()  # before the widget is removed, so that the focus does not wander to a neighbour
        for pane in gone:
            self.runner.forget(pane)
            pane.remove()

    async def show_chosen(self) -> None:
        """The prompt, examples and case of the chosen pane, on the left; what was typed there is taken first."""
        self.gather()
        variant = self.session.variants[self.chosen]
        try:
            self.edit.show_prompt(self.session.prompt(variant.prompt), variant)
        except WorkbenchError as error:
            self.edit.show_unreadable(variant.prompt, error)
        await self.show_case()
        self.show_titles()
        self.row.mark_differences(self.chosen)
        self._measure()

    async def show_case(self) -> None:
        await self.edit.case.load(self._read_case)
        for news in self.session.take_news():
            self.notify(news, title="Dataset", severity="warning")

    def _read_case(self) -> ShownCase:
        self._gather_case()  # it may have been typed while the view was busy
        return tell_case(self.session)

    def show_titles(self) -> None:
        """Names and marks on every border."""
        variants, edited = self.session.variants, self.session.prompts.edited
        name = variants[self.chosen].prompt
        sharing = ", ".join("ABCDEFGH"[place] for place, other in enumerate(variants) if other.prompt == name)
        self.edit.editor.border_title = plain_line(f"Prompt  {name}{' ●' if name in edited else ''}  ({sharing})")
        ignored = [catalog.find_unsupported(self.pool, self.session, index) for index in range(len(variants))]
        self.row.show_variants(variants, edited, self.chosen, ignored)
        self._show_status()

    def _show_status(self) -> None:
        self.title_bar.show(tell_title(self.session, self.runner, self.pool, self.chosen))
        self.row.show_signs(self.chosen)

    def _note_speeds(self) -> None:
        """Engines write for every screen, so their last minute is kept here."""
        told = {one.model: self.pool.status(one.model) for one in self.pool.residents()}
        self.speeds.note({model: status.tokens_per_second for model, status in told.items() if status})

    # --- typing --------------------------------------------------------------------------------------------------

    @on(TextArea.Changed, "#prompt")
    def _prompt_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        if not self.edit.editor.read_only:
            self._wait_for_rest()

    @on(CaseView.Edited)
    def _case_typed(self) -> None:
        self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        """Act once the keyboard has rested; every key starts the wait anew."""
        if self._rest:
            self._rest.stop()
        self._rest = self.set_timer(self.session.settings.live_delay_ms / 1000, self._rested)
        if self._keeping is None:
            self._keeping = self.set_timer(KEEP_SECONDS, self.keep_typed)

    def keep_typed(self) -> bool:
        """Take what was typed into the session, which keeps it as a draft; the panes go on waiting for rest.

        Returns whether anything is new.
        """
        if self._keeping:
            self._keeping.stop()
            self._keeping = None
        return any([self._gather_case(), self._gather_prompt()])

    def _rested(self) -> None:
        if self.gather():
            self._changed()

    def gather(self) -> bool:
        """Take what was typed into the session; whether anything is new. Call it before acting on the session.

        What was typed belongs to the prompt and the case that it was typed into, whichever is chosen by now.
        """
        waiting = self._rest is not None
        if self._rest:
            self._rest.stop()
            self._rest = None
        return self.keep_typed() or waiting

    def _gather_prompt(self) -> bool:
        editor = self.edit.editor
        try:
            if not editor.is_edited:
                return False
            changed = self.session.edit_prompt(editor.prompt, editor.text)
        except WorkbenchError as error:
            say(self, error)
            return False
        editor.mark_taken()
        return changed

    def _gather_case(self) -> bool:
        found = self.edit.case.take_edits()
        if found is None or found[0].dataset != self.session.bench.dataset:
            return False
        case, edits = found
        changed = [self.session.type_input(name, text, case.number) for name, text in edits.items()]
        return True in changed

    def _changed(self) -> None:
        """Something that the answers depend on is new."""
        self.show_titles()
        self._measure()
        if self.session.live:
            self.run_panes(only_changed=True)

    def after_change(self) -> None:
        """An action changed what the panes ask, but not what stands on the left."""
        self._changed()

    async def refresh_after_change(self) -> None:
        """Show the session anew after an action changed it, and run what is affected."""
        await self.show_chosen()
        self._changed()

    # --- files ---------------------------------------------------------------------------------------------------

    @work(thread=True, group="watch", exclusive=True)
    def _look_at_files(self) -> None:
        """Notice prompts that another program changed; reading them may be slow, so not on the screen's thread."""
        changed = frozenset(self.session.prompts.changed_outside())
        if changed != self._changed_outside:
            self.app.call_from_thread(self._take_changes, changed)  # type: ignore[arg-type]

    def _look_at_drafts(self) -> None:
        problem = self.session.drafts.take_problem()
        if problem is not None:
            say(self, problem)

    async def _look_at_training(self) -> None:
        """When a job that was started here ends, its adapter gets a pane, wherever one is by then."""
        self.trainings.look()
        adapter = self.trainings.take()
        if adapter is not None:
            await open_adapter(self, adapter, choose=False)

    async def _take_changes(self, changed: frozenset[str]) -> None:
        """Show the new version where nothing was typed; elsewhere only say so, saving will ask."""
        new = changed - self._changed_outside
        self.gather()
        self._changed_outside = frozenset(name for name in changed if name in self.session.prompts.edited)
        for name in new:
            if name in self.session.prompts.edited:
                text = "Your changes are kept; saving will ask which version to keep."
            else:
                self.session.prompts.revert(name)
                text = "The new version is shown."
            self.notify(text, title=f"{name} was changed by another program")
        if new:
            await self.refresh_after_change()

    # --- examples ------------------------------------------------------------------------------------------------

    @on(ExampleList.Asked)
    async def _example_asked(self, event: ExampleList.Asked) -> None:
        self.gather()
        variant = self.session.variants[self.chosen]
        if variant.prompt != event.prompt:
            return  # another pane was chosen since
        if event.wish == "toggle" and event.example:
            self.session.toggle_example(self.chosen, event.example)
            variant = self.session.variants[self.chosen]
            self.edit.show_prompt(self.session.prompt(variant.prompt), variant)
            self._changed()
        else:
            prompt_actions.change_examples(self, event.wish, event.example)

    # --- running -------------------------------------------------------------------------------------------------

    def take_models(self, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        """Models and adapters were found in the background; panes that lacked theirs can run now."""
        self.session.know(models, adapters)
        lacking = [pane for pane in self.panes if pane.state == "failed"]
        if lacking:
            self.run_panes(only_changed=True, panes=lacking)
            self._measure()

    def run_panes(self, only_changed: bool = False, panes: list[OutputPane] | None = None) -> None:
        self.runner.run(self.panes if panes is None else panes, only_changed)
        self._show_status()

    def _drain(self) -> None:
        if self.runner.drain():
            self._show_status()

    @on(OutputPane.Finished)
    def _finished(self, event: OutputPane.Finished) -> None:
        draft = self.runner.shown(event.pane)
        if draft and event.completion.stop_reason != "cancelled":
            self.review.judge(event.pane, event.completion, draft)
            self._weigh(event.pane)
        if any(map(show_constraints, self.session.variants)) and len(self.panes) == len(self.session.variants):
            self.show_titles()  # an engine that has answered is known to follow them or not
        self.row.mark_differences(self.chosen)
        self._measure()

    def _weigh(self, pane: OutputPane) -> None:
        """Behind the live answers, how probable the expected one is."""
        draft = self.runner.shown(pane)
        if draft is not None and pane.state == "done":
            self.review.weigh(pane, draft, self.runner.sent(pane))

    @on(Review.Weighed)
    def _weighed(self, event: Review.Weighed) -> None:
        if event.pane.is_attached and event.pane.state == "done" and self.runner.shown(event.pane) == event.draft:
            event.pane.show_expected(event.likelihood)

    def turn_expected(self) -> bool:
        """Tell how probable the expected answer is, or stop telling; whether it is told now."""
        self.review.turn_weighing()
        self.row.set_class(self.review.weighs, "-expecting")
        for pane in self.panes:
            if self.review.weighs:
                self._weigh(pane)
            else:
                self.review.drop(pane)
                pane.show_expected(None)
        return self.review.weighs

    @on(Review.Scored)
    def _scored(self, event: Review.Scored) -> None:
        if event.pane.is_attached and event.pane.completion == event.completion:
            event.pane.show_scores(event.scores, event.seen)
            self._show_status()

    def _measure(self) -> None:
        """Count the chosen pane's prompt for the meter, and show a template's error where it is typed."""
        try:
            self._counting.count(self.session.draft(self.chosen))
        except WorkbenchError as error:
            self._counting.forget()
            self.edit.show_budget(None, error.message)

    @on(Measured)
    def _measured(self, event: Measured) -> None:
        if self._counting.is_latest(event.draft):
            self.edit.show_budget(event.budget)
            if event.budget is None:
                self._counting.forget()

    # --- keys ----------------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        self.gather()
        self.show_titles()
        self.run_panes()

    def action_stop(self) -> None:
        """Stop what runs; when nothing does, go from the editor to the panes."""
        if not self.runner.stop():
            self.chosen_pane.focus()

    def action_live(self) -> None:
        self.session.set_live(not self.session.live)
        self._show_status()
        if self.session.live:
            self.gather()
            self._changed()

    async def action_next_case(self) -> None:
        await self.go_to_case(self.session.number + 1)

    async def action_previous_case(self) -> None:
        await self.go_to_case(self.session.number - 1)

    async def go_to_case(self, number: int) -> None:
        self.gather()
        if self.session.go_to_case(number):
            await self.show_case()
            self._changed()

    async def action_choose(self, index: int) -> None:
        if index < len(self.panes):
            pane = self.panes[index]
            await self.choose(pane)
            self.focus_pane(pane)

    async def action_step_pane(self, step: int) -> None:
        """Edit the next pane; the cursor stays in the editor when it is there."""
        pane = self.panes[(self.chosen + step) % len(self.panes)]
        await self.choose(pane)
        if isinstance(self.focused, OutputPane):
            self.focus_pane(pane)

    def focus_pane(self, pane: OutputPane) -> None:
        if pane in self.panes:
            pane.focus()

    async def choose(self, pane: OutputPane) -> None:
        """Make another pane the one that is edited; nothing happens where it was closed meanwhile."""
        if pane not in self.panes or pane is self.chosen_pane:
            return
        changed = self.gather()
        self._chosen = pane
        await self.show_chosen()
        if changed:
            self._changed()

    @on(OutputPane.Chosen)
    async def _pane_chosen(self, event: OutputPane.Chosen) -> None:
        await self.choose(event.pane)

    @on(OutputPane.Asked)
    async def _pane_asked(self, event: OutputPane.Asked) -> None:
        self.gather()
        await self.choose(event.pane)
        if event.pane is not self.chosen_pane:
            return  # it was closed, or another one chosen, since the key was pressed
        if event.wish.startswith("scale"):
            await step_scale(self, 1 if event.wish == "scale_up" else -1)
        elif event.wish == "run_one":
            self.run_panes(panes=[event.pane])
        elif event.wish in ("previous", "next"):
            step = 1 if event.wish == "next" else -1
            await self.action_choose((self.chosen + step) % len(self.panes))
        else:
            self.action_do(event.wish)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is done before the panes are there."""
        return super().check_action(action, parameters) if self.panes else None

    def action_do(self, name: str) -> None:
        """An action of the palette, by its id."""
        if not self.panes:
            return
        self.gather()
        ACTIONS[name].start(self)

    def action_toggle_editor(self) -> None:
        hidden = self.toggle_class("-no-editor").has_class("-no-editor")
        (self.chosen_pane if hidden else self.edit.editor).focus()

    def action_split(self, step: int) -> None:
        self.edit.widen(step)

    @property
    def folder(self) -> Path:
        return self.session.path.parent
