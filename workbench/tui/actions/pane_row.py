"""A new pane in the row of panes: shown, chosen and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tui.widgets.output_pane import OutputPane

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


async def insert_pane(screen: BenchScreen, position: int) -> None:
    kept = [*screen.panes[:position], OutputPane(position), *screen.panes[position:]]
    screen.chosen = position
    await screen.rebuild_panes(kept)
    await screen.show_chosen()
    if isinstance(screen.focused, OutputPane):
        screen.panes[position].focus()
    screen.run_panes(panes=[screen.panes[position]])
