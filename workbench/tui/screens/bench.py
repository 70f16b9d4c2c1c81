"""BenchScreen: what is edited on the left, the variants' answers side by side on the right.

Layout, keys and timers; what they do is in bench_controller.py, and what opens dialogs in actions/.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from workbench.errors import WorkbenchError
from workbench.prompting.context_fit import Budget
from workbench.runs.generation import GenerationSpec
from workbench.runs.new_bench import BenchRequest
from workbench.runs.tool_file import list_code
from workbench.scoring.local_code import LocalCode
from workbench.scoring.trust import find_untrusted
from workbench.training.events import JobEnded
from workbench.tui.actions.bench import add_adapter_pane, ask_for_trust, report_opening
from workbench.tui.actions.benches import new_bench
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.actions.passages import change_passages
from workbench.tui.actions.prompt import change_examples
from workbench.tui.app_state import AppState
from workbench.tui.bench_controller import BenchController
from workbench.tui.constraints import is_constrained
from workbench.tui.keys import KeyedScreen
from workbench.tui.score_tracker import ScoreTracker
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.speeds import SECONDS
from workbench.tui.stream import FRAMES_PER_SECOND
from workbench.tui.widgets.case_view import CaseView
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.example_list import ExampleList
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.passage_list import PassageList

WATCH_SECONDS = 2.0


class BenchScreen(KeyedScreen[None]):
    """The first screen."""

    HELP_TEXT: ClassVar[str] = """\
Each column is a variant: a prompt on a model, with some of its examples and its sampling parameters. Edit the prompt on
the left, and the panes answer again as soon as you pause. The sign at the top of each pane is its score for this case;
e explains it. Tab moves on; esc stops the answers, or leaves the editor.
"""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f5", "run", "run", id="bench.run", priority=True),
        Binding("escape", "stop", "stop", id="bench.stop"),
        Binding("ctrl+down,ctrl+n", "next_case", "next", id="bench.next_case"),
        Binding("ctrl+up,ctrl+p", "previous_case", "prev", id="bench.previous_case"),
        Binding("ctrl+s", "do('save')", "save", id="bench.save", priority=True),
        Binding("f6", "do('evaluate')", "evaluate", id="bench.evaluate", priority=True),
        Binding("ctrl+t", "do('final_prompt')", "inspect", id="bench.tokens", priority=True),
        Binding("ctrl+o", "do('open_prompt')", "open", id="bench.open", priority=True),
        Binding("ctrl+l", "live", "live", id="bench.live", priority=True),
        Binding("D", "do('duplicate')", "duplicate", id="bench.duplicate"),
        Binding("f9", "do('train')", "train", id="bench.train", priority=True),
        Binding("f10", "do('judge')", "verdict", id="bench.verdict", priority=True),
        Binding("f12", "do('registry')", "adapters", id="bench.registry", priority=True),
        Binding("M", "do('browse_models')", "models", id="bench.models"),
        Binding("H", "do('prompt_history')", "history", id="bench.history", show=False),
        Binding("O", "do('optimize')", "optimize", id="bench.optimize", show=False),
        Binding("E", "do('engines')", "engines", id="bench.engines", show=False),
        Binding(
            "f11", "do('discard_restored')", "discard restored", id="bench.discard_restored", show=False, priority=True
        ),
        Binding("g", "do('go_to_case')", "go to case", id="bench.go_to_case", show=False),
        Binding("ctrl+z", "do('undo')", "undo", id="bench.undo", show=False),
        Binding("ctrl+y,ctrl+shift+z", "do('redo')", "redo", id="bench.redo", show=False),
        Binding("alt+n", "do('next_step')", "next step of the chain", id="bench.next_step", show=False, priority=True),
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

    class TokensCounted(Message):
        """The prompt of the chosen pane was counted."""

        def __init__(self, spec: GenerationSpec, budget: Budget | None, problem: str) -> None:
            super().__init__()
            self.spec, self.budget, self.problem = spec, budget, problem

    def __init__(self, state: AppState) -> None:
        super().__init__(id="bench")
        self.state, self.session = state, state.session
        self.ui = ScreenUi(self)
        self.controller = BenchController(
            state, self.ui, self.set_timer, lambda *counted: self.post_message(self.TokensCounted(*counted))
        )
        self.edit = self.controller.edit
        self._leaving = False
        self._ended: JobEnded | None = None

    @property
    def panes(self) -> list[OutputPane]:
        return self.controller.panes

    # --- layout --------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.controller.title_bar
        with Horizontal(id="body"):
            yield self.edit
            yield self.controller.row
        yield KeyFooter()

    async def on_mount(self) -> None:
        bench, session = self.controller, self.session
        untrusted: tuple[LocalCode, ...] = ()
        try:
            untrusted = find_untrusted(list_code(session.bench), bench.folder)
            bench.open_scoring(trusted=not untrusted)
        except WorkbenchError as error:
            session.problems.append(error)
        bench.row.set_class(bench.scores.probing, "-expecting")
        bench.row.lay_out(await bench.row.make_panes(len(session.variants)))
        await bench.show_chosen()
        self.refresh_bindings()
        self.edit.editor.focus()
        self.set_interval(1 / FRAMES_PER_SECOND, self._drain)
        self.set_interval(SECONDS, self._note_speeds)
        for watch in (self._watch_files, self._watch_training, self._watch_autosave):
            self.set_interval(WATCH_SECONDS, watch)
        report_opening(bench, self.ui)
        bench.run_panes()
        if untrusted:
            self.ui.start(ask_for_trust(bench, self.ui))

    def on_unmount(self) -> None:
        self.controller.scores.close()

    # --- timers --------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        if self.controller.runner.drain():
            self.controller.show_status()
        if self.state.finder.progress:
            self.controller.show_passages()

    def _note_speeds(self) -> None:
        """Engines generate for every screen, so their last minute is kept here."""
        pool = self.controller.pool
        found = {one.model: pool.status(one.model) for one in pool.loaded_models()}
        self.controller.speeds.note({model: status.tokens_per_second for model, status in found.items() if status})

    @work(thread=True, group="watch", exclusive=True)
    def _watch_files(self) -> None:
        """Notice prompts that another program changed; reading them may be slow."""
        changed = frozenset(self.session.prompts.changed_outside())
        if changed != self.controller.changed_outside:
            self.app.call_from_thread(self.controller.accept_changes, changed)  # type: ignore[arg-type]

    def _watch_autosave(self) -> None:
        problem = self.session.autosaves.pop_problem()
        if problem is not None:
            self.ui.show_error(problem)

    async def _watch_training(self) -> None:
        """When a job ends, every list has its adapter; that of one started here gets a pane, wherever one is."""
        self.state.jobs.poll()
        ended = self.state.jobs.ended
        if ended is not None and ended is not self._ended:
            await asyncio.to_thread(self.session.refresh_adapters)
        self._ended = ended
        adapter = self.state.jobs.take_adapter()
        if adapter is not None:
            await add_adapter_pane(self.controller, self.ui, adapter, choose=False)

    # --- what widgets and engines report -------------------------------------------------------------------------

    @on(TextArea.Changed, "#prompt")
    def _prompt_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        if not self.edit.editor.read_only:
            self.controller.typed.wait()

    @on(CaseView.CaseEdited)
    def _case_typed(self) -> None:
        self.controller.typed.wait()

    @on(ExampleList.ExampleRequested)
    def _example_requested(self, event: ExampleList.ExampleRequested) -> None:
        bench = self.controller
        bench.typed.commit()
        if bench.variant.prompt != event.prompt:
            return  # another pane was chosen since
        self.ui.start(change_examples(bench, self.ui, event.command, event.example))

    @on(PassageList.PassageRequested)
    def _passage_requested(self, event: PassageList.PassageRequested) -> None:
        bench = self.controller
        bench.typed.commit()
        self.ui.start(change_passages(bench, self.ui, event.command, event.passage))

    @on(OutputPane.AnswerFinished)
    def _answered(self, event: OutputPane.AnswerFinished) -> None:
        bench = self.controller
        spec = bench.runner.shown(event.pane)
        if spec and event.completion.stop_reason != "cancelled":
            filled = replace(spec, case=bench.runner.case(event.pane) or spec.case)
            bench.scores.score(event.pane, event.completion, filled)
            bench.probe_expected(event.pane)
            bench.probe_scales(event.pane)
        if any(map(is_constrained, self.session.variants)) and len(self.panes) == len(self.session.variants):
            bench.show_titles()  # now the engine is known to honour them or not
        bench.row.mark_differences(bench.chosen)
        bench.count_tokens()

    @on(ScoreTracker.ExpectedProbed)
    def _expected_probed(self, event: ScoreTracker.ExpectedProbed) -> None:
        pane = event.pane
        if pane.is_attached and pane.state == "done" and self.controller.runner.shown(pane) == event.spec:
            pane.show_expected(event.likelihood)

    @on(ScoreTracker.CurveProbed)
    def _curve_probed(self, event: ScoreTracker.CurveProbed) -> None:
        pane = event.pane
        if pane.is_attached and pane.state == "done" and self.controller.runner.shown(pane) == event.spec:
            pane.show_curve(event.curve, event.problem)

    @on(ScoreTracker.ScoresReady)
    def _scored(self, event: ScoreTracker.ScoresReady) -> None:
        if event.pane.is_attached and event.pane.completion == event.completion:
            event.pane.show_scores(event.scores, event.seen)
            self.controller.show_status()

    @on(TokensCounted)
    def _tokens_counted(self, event: TokensCounted) -> None:
        self.controller.show_count(event.spec, event.budget, event.problem)

    @on(OutputPane.Chosen)
    async def _pane_chosen(self, event: OutputPane.Chosen) -> None:
        await self.controller.choose(event.pane)

    @on(OutputPane.CommandRequested)
    async def _pane_requested(self, event: OutputPane.CommandRequested) -> None:
        bench = self.controller
        bench.typed.commit()
        await bench.choose(event.pane)
        if event.pane is not bench.chosen_pane:
            return  # it was closed, or another one chosen, since the key was pressed
        if event.command == "run_one":
            bench.run_panes(panes=[event.pane])
        elif event.command in ("previous", "next"):
            step = 1 if event.command == "next" else -1
            await bench.focus((bench.chosen + step) % len(self.panes))
        else:
            self.action_do(event.command)

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key does anything before the panes are there."""
        return super().check_action(action, parameters) if self.panes else None

    def action_do(self, name: str) -> None:
        """An action of the palette, by its id."""
        if self.panes:
            self.controller.typed.commit()
            self.ui.start(ACTIONS[name].start(self.controller, self.ui))

    def action_run(self) -> None:
        self.controller.typed.commit()
        self.controller.show_titles()
        self.controller.run_panes()

    def action_stop(self) -> None:
        """Stop what runs; when nothing does, go from the editor to the panes."""
        if not self.controller.runner.stop():
            self.controller.chosen_pane.focus()

    def action_live(self) -> None:
        self.session.set_live(not self.session.live)
        self.controller.show_titles()
        if self.session.live:
            self.controller.typed.commit()
            self.controller.after_change()

    async def action_next_case(self) -> None:
        await self.controller.go_to_case(self.session.number + 1)

    async def action_previous_case(self) -> None:
        await self.controller.go_to_case(self.session.number - 1)

    async def action_choose(self, index: int) -> None:
        await self.controller.focus(index)

    async def action_step_pane(self, step: int) -> None:
        """Edit the next pane; the cursor stays in the editor when it is there."""
        bench = self.controller
        pane = self.panes[(bench.chosen + step) % len(self.panes)]
        await bench.choose(pane)
        if bench.is_on_pane:
            bench.focus_pane(pane)

    def action_toggle_editor(self) -> None:
        if self.controller.row.has_class("-zoomed"):
            self.controller.toggle_zoom()
            self.edit.editor.focus()
            return
        hidden = self.toggle_class("-no-editor").has_class("-no-editor")
        (self.controller.chosen_pane if hidden else self.edit.editor).focus()

    def action_split(self, step: int) -> None:
        self.edit.widen(step)

    def propose(self, request: BenchRequest) -> None:
        """Offer a new bench."""
        self.ui.start(new_bench(self.controller, self.ui, request))

    def review_rows(self, path: Path) -> None:
        """Show a review of synthetic rows."""
        self.ui.start(self.ui.screens.open_synthesis(path))

    def leave(self) -> None:
        """Quit, unless the question whether to is on the screen already."""
        if not self._leaving:
            self._leaving = True
            self.ui.start(self._leave())

    async def _leave(self) -> None:
        try:
            await ACTIONS["leave"].start(self.controller, self.ui)
        finally:
            self._leaving = False

    def keep_typed(self) -> None:
        """Autosave what was typed: the app is about to end."""
        self.controller.typed.keep()
