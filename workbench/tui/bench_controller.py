"""BenchController: keeps the session and what the bench screen shows in step. Actions work on it instead of the screen.

A pane's position may change while something is awaited: hold on to the pane, and `find` it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil
from textual.timer import Timer

from workbench.errors import WorkbenchError
from workbench.models.reference import Adapter, Applied, Model, resolve_adapters
from workbench.prompting.context_fit import Budget
from workbench.runs.bench import Variant
from workbench.runs.generation import GenerationSpec
from workbench.runs.step_edits import split_target
from workbench.scoring.trust import without_code
from workbench.tui import catalog
from workbench.tui.app_state import AppState
from workbench.tui.bench_panes import BenchPanes
from workbench.tui.pane_letter import name_pane
from workbench.tui.pane_notes import PaneNotes
from workbench.tui.scale_curve import count_room
from workbench.tui.score_tracker import ScoreTracker
from workbench.tui.speeds import Speeds
from workbench.tui.status_line import make_case_title, make_shown_case, make_title
from workbench.tui.token_counter import OnCount, TokenCounter
from workbench.tui.typed_text import TypedText
from workbench.tui.ui import Ui
from workbench.tui.widgets.case_view import ShownCase
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.plain import plain_line
from workbench.tui.widgets.title_bar import TitleBar


class BenchController(BenchPanes):
    """What actions and keys do to the bench."""

    def __init__(
        self, state: AppState, ui: Ui, set_timer: Callable[[float, Callable[[], object]], Timer], on_count: OnCount
    ) -> None:
        """on_count: gets the token counts of the chosen pane's prompt, on any thread."""
        self.scores = ScoreTracker(state.pool, state.session.settings.expected_logprob)
        super().__init__(state.session, state.pool, self.scores.drop, self._show_admitted, state.finder)
        self.state, self._ui = state, ui
        self.pool = state.pool
        self.title_bar = TitleBar()
        self.speeds = Speeds()
        self.typed = TypedText(self.session, self.edit, ui, set_timer, self.after_change)
        self._counter = TokenCounter(state.pool, on_count, state.finder)
        self._notes = PaneNotes(self.session, ui)
        self.stepping = asyncio.Lock()  # through the history, one step at a time
        self.changed_outside: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        return self.session.path.parent

    # --- panes ---------------------------------------------------------------------------------------------------

    async def choose(self, pane: OutputPane) -> None:
        """Edit another pane; nothing happens where it was closed meanwhile."""
        if pane not in self.panes or pane is self.chosen_pane:
            return
        changed = self.typed.commit()
        self._chosen = pane
        await self.show_chosen()
        if changed:
            self.after_change()

    async def focus(self, index: int) -> None:
        """Choose the pane at an index, if there is one, and put the cursor there."""
        if index < len(self.panes):
            pane = self.panes[index]
            await self.choose(pane)
            self.focus_pane(pane)

    async def insert_pane(self, add: Callable[[], int], choose: bool = True) -> None:
        """A new pane: shown, chosen and run. add: puts the variant into the session and returns its index.

        choose: whether it is edited then. Raises what `add` raises; then there is no pane either.
        """
        (pane,) = await self.row.make_panes(1)
        self.typed.commit()
        try:
            index = add()
        except WorkbenchError:
            await pane.remove()
            raise
        self.lay_out_panes([*self.panes[:index], pane, *self.panes[index:]], pane if choose else self.chosen_pane)
        on_pane = self.is_on_pane
        await self.show_chosen()
        if choose and on_pane:
            self.focus_pane(pane)
        if pane in self.panes:
            self.run_panes(panes=[pane])

    async def move_pane(self, step: int) -> None:
        """Exchange the chosen pane with a neighbour; nothing happens at the end of the row."""
        index, pane = self.chosen, self.chosen_pane
        if not 0 <= index + step < len(self.panes):
            return
        self.typed.commit()
        self.session.move_variant(index, index + step)
        panes = [other for other in self.panes if other is not pane]
        self.lay_out_panes([*panes[: index + step], pane, *panes[index + step :]], pane)
        await self.show_chosen()

    async def replace_bench(
        self, variants: Sequence[Variant], replace: Callable[[], None], keep_typed: bool = False
    ) -> None:
        """Show what `replace` makes of the session, which has these variants; a pane stays with the one of its name,
        or of its place.

        keep_typed: what was typed is taken into the session before, instead of given up.
        """
        spare = await self.row.make_panes(len(variants))
        if keep_typed:
            self.typed.commit()
        else:
            self.edit.editor.mark_taken()
        old, panes = [variant.name for variant in self.session.variants], self.panes
        replace()
        new = [variant.name for variant in self.session.variants]
        known = {name: pane for name, pane in zip(old, panes, strict=True) if name in new}
        if len(old) == len(new):  # a variant that was only renamed
            known |= {name: pane for was, name, pane in zip(old, new, panes, strict=True) if not {was, name} & {*known}}
        kept = [known.get(name) or spare.pop() for name in new]
        for pane in spare:
            pane.remove()
        self.lay_out_panes(kept, self.chosen_pane if self.chosen_pane in kept else kept[0])
        await self.refresh()

    # --- showing -------------------------------------------------------------------------------------------------

    async def show_chosen(self) -> None:
        """The prompt, examples and case of the chosen pane, on the left; what was typed there is taken first."""
        self.typed.commit()
        variant = self.variant
        try:
            self.edit.show_prompt(self.find_target(), variant)
        except WorkbenchError as error:
            self.edit.show_unreadable(variant.prompt, error)
        await self.show_case()
        self.show_passages()
        self.show_titles()
        self.row.mark_differences(self.chosen)
        self.count_tokens()

    async def show_case(self) -> None:
        await self.edit.case.load(self._read_case)
        for news in self.session.take_news():
            self._ui.warn(news, title="Dataset", timeout=5)

    def _read_case(self) -> ShownCase:
        self.typed.take_case()  # it may have been typed while the view was busy
        return make_shown_case(self.session)

    def show_passages(self) -> None:
        """What the chosen pane retrieved for its case, or what keeps it from being known."""
        case = self.runner.case(self.chosen_pane)
        progress = self.state.finder.progress
        news = f"{progress.doing.lower()} {progress.done * 100 // max(progress.total, 1)}%" if progress else ""
        self.edit.passages.load(self.variant.retrieval, case.all_passages if case else None, news)

    def show_titles(self) -> None:
        """Names and marks on every border. What was changed since the last time can be undone from now on."""
        self.session.note_step()
        variants, edited = self.session.variants, self.session.prompts.edited
        self.edit.editor.border_title = plain_line(self._name_edited(edited))
        ignored = [catalog.find_unsupported(self.pool, self.session, index) for index in range(len(variants))]
        self.row.show_variants(variants, edited, self.chosen, ignored)
        self.row.set_class(self.session.is_expected_outdated, "-outdated")
        self.edit.case.border_title = plain_line(make_case_title(self.session))
        self.show_status()

    def _name_edited(self, edited: Sequence[str]) -> str:
        """The prompt in the editor, of a chain with the step, whether it is unsaved, and the panes that use it."""
        variants, name, step = self.session.variants, self.variant.prompt, ""
        sharing = ", ".join(name_pane(index) for index, other in enumerate(variants) if other.prompt == name)
        try:
            target = self.find_target()
            count = len(self.session.edit_targets(self.chosen))
            step = f"  step {target.step} of {count}" if target.step else ""
            name = split_target(target.name)[0]
        except WorkbenchError:
            pass  # the editor says why
        return f"Prompt  {name}{' ●' if name in edited else ''}{step}  ({sharing})"

    def show_status(self) -> None:
        """The status line and the tabs."""
        self.title_bar.show(make_title(self.session, self.runner, self.pool, self.chosen))
        self.row.show_signs(self.chosen)

    def count_tokens(self) -> None:
        """Show in the meter what the chosen pane's prompt takes, and a template's error where it is typed.

        The pane's own request reports its budget; only a prompt that is not requested as it reads is counted apart.
        """
        try:
            spec, pane = self.session.spec(self.chosen), self.chosen_pane
            requested = self.runner.shown(pane) == spec
            if requested and (budget := self.runner.budget(pane)):
                self._counter.forget()
                self.edit.show_budget(budget)
            elif not requested or pane not in self.runner.busy:
                self._counter.count(spec)
        except WorkbenchError as error:
            self._counter.forget()
            self.edit.show_budget(None, error.message)

    def _show_admitted(self, pane: OutputPane) -> None:
        """The prompt of a pane was admitted or refused."""
        if pane is self._chosen:
            self.show_passages()
            self.count_tokens()

    def show_count(self, spec: GenerationSpec, budget: Budget | None, problem: str) -> None:
        """Show a count, or why the template cannot be rendered, unless the prompt has changed since."""
        if self._counter.is_latest(spec):
            self.edit.show_budget(budget, problem)
            if budget is None:
                self._counter.forget()

    # --- changing and running ------------------------------------------------------------------------------------

    def after_change(self) -> None:
        """What the panes ask has changed, but not what is on the left."""
        self.show_titles()
        if self.session.live:
            self.run_panes(only_changed=True)
        else:
            self.mark_stale()
        self.count_tokens()

    def mark_stale(self) -> None:
        """Say on each pane whether it would be asked something else now."""
        for pane in self.panes:
            try:
                pane.stale = self.runner.shown(pane) not in (None, self.session.spec(self.find(pane)))
            except WorkbenchError:
                pane.stale = self.runner.shown(pane) is not None  # what would be asked cannot even be rendered

    async def refresh(self) -> None:
        """Show the session again after an action changed it, and run what is affected."""
        await self.show_chosen()
        self.after_change()

    async def go_to_case(self, number: int) -> None:
        self.typed.commit()
        if self.session.go_to_case(number):
            await self.show_case()
            self.after_change()

    async def accept_changes(self, changed: frozenset[str]) -> None:
        """Show prompts that another program changed where nothing was typed; elsewhere say so, saving will ask."""
        new = changed - self.changed_outside
        self.typed.commit()
        self.changed_outside = frozenset(name for name in changed if name in self.session.prompts.edited)
        for name in new:
            if name in self.session.prompts.edited:
                text = "Your changes are kept; saving will ask which version to keep."
            else:
                self.session.prompts.revert(name)
                text = "The new version is shown."
            self._ui.toast(text, title=f"{name} was changed by another program", timeout=5)
        if new:
            await self.refresh()

    def know(self, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        """Models and adapters were found in the background; panes that lacked theirs can run now."""
        self.session.know(models, adapters)
        lacking = [pane for pane in self.panes if pane.state == "failed"]
        if lacking:
            self.run_panes(only_changed=True, panes=lacking)
            self.count_tokens()

    def run_panes(self, only_changed: bool = False, panes: list[OutputPane] | None = None) -> None:
        """Ask for these panes, or all of them, the chosen one first."""
        asked = self.panes if panes is None else panes
        self.runner.run(sorted(asked, key=lambda pane: pane is not self.chosen_pane), only_changed)
        if not only_changed:
            self._notes.note([spec.prompt for pane in asked if (spec := self.runner.shown(pane))])
        self.show_status()

    def open_scoring(self, trusted: bool) -> None:
        """Score the panes with the bench's scorers; those that run code of the bench only if it is trusted.

        Raises ScorerError.
        """
        specs = self.session.bench.scorers
        self.scores.open(specs if trusted else without_code(specs), self.folder)

    def probe_expected(self, pane: OutputPane) -> None:
        """After the live answers, the logprob of the expected one."""
        spec = self.runner.shown(pane)
        if spec is not None and pane.state == "done" and not spec.prompt.steps:
            self.scores.probe(pane, spec, self.runner.sent(pane))

    def probe_scales(self, pane: OutputPane) -> None:
        """After the live answers, the expected one at several scales of the pane's first adapter.

        Not on a server, where each request may cost.
        """
        spec, session = self.runner.shown(pane), self.session
        adapted = [one for one in session.variants if one.has_adapter]
        used = next((choice for choice in session.variants[self.find(pane)].adapters if choice.on), None)
        ready = spec is not None and pane.state == "done" and session.settings.adapter_scales
        if spec is None or not ready or used is None or spec.model.format == "remote" or spec.prompt.steps:
            return
        try:
            full = msgspec.structs.replace(used, scale=1.0)
            (applied,) = resolve_adapters((full,), self.folder, session.adapters)
            info = self.pool.info(spec.model)
        except WorkbenchError:
            return  # its pane says so
        room = count_room(len(adapted), info, psutil.virtual_memory().available)
        adapter = Applied(applied.adapter, used.scale)
        self.scores.scales.start(pane, spec, adapter, self.runner.sent(pane), room)

    def toggle_expected(self) -> bool:
        """Show the logprob of the expected answer in every pane, or hide it; whether it is shown now."""
        self.scores.toggle_probe()
        self.row.set_class(self.scores.probing, "-expecting")
        for pane in self.panes:
            if self.scores.probing:
                self.probe_expected(pane)
            else:
                self.scores.drop(pane)
                self.probe_scales(pane)
                pane.show_expected(None)
        return self.scores.probing
