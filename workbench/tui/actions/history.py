"""Actions that undo and redo changes of the bench."""

from __future__ import annotations

from workbench.errors import BenchError
from workbench.runs.session_history import Change
from workbench.tui.bench_controller import BenchController
from workbench.tui.ui import Ui


async def undo(bench: BenchController, ui: Ui) -> None:
    """Undo the last change of panes, prompts, examples, settings, adapters or cases."""
    change = await _step(bench, back=True)
    ui.toast(f"{change.text}. ctrl+y redoes it.", title="Undone", timeout=3)


async def redo(bench: BenchController, ui: Ui) -> None:
    """Redo what was undone last."""
    change = await _step(bench, back=False)
    ui.toast(f"{change.text}.", title="Redone", timeout=3)


async def _step(bench: BenchController, back: bool) -> Change:
    """Undo the last change, or redo it, and show where it was. Raises BenchError where there is none."""
    async with bench.stepping:
        session = bench.session
        session.note_step()
        step = session.history.peek(back)
        if step is None:
            raise BenchError(f"There is nothing to {'undo' if back else 'redo'}.", "Inside a text, ctrl+z is its own.")

        def move() -> None:
            session.note_step()
            if session.history.peek(back) is step:  # else something was changed while the panes were made
                session.move_in_history(back)

        before = bench.panes
        await bench.replace_bench((step.before if back else step.after).bench.variants, move, keep_typed=True)
        await _show_change(bench, step.change)
        if new := [pane for pane in bench.panes if pane not in before]:
            bench.run_panes(only_changed=True, panes=new)
        return step.change


async def _show_change(bench: BenchController, change: Change) -> None:
    """Choose the pane that a change is about, if there is one."""
    variants = bench.session.variants
    found = [index for index, variant in enumerate(variants) if variant.name == change.variant]
    if change.prompt and bench.variant.prompt != change.prompt:
        found = [index for index, variant in enumerate(variants) if variant.prompt == change.prompt]
    if found:
        on_pane, pane = bench.is_on_pane, bench.panes[found[0]]
        await bench.choose(pane)
        if on_pane:
            bench.focus_pane(pane)
