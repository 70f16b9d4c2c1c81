"""A new pane in the row of panes: shown, chosen and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.tui.widgets.output_pane import OutputPane

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


async def insert_pane(screen: BenchScreen, add: Callable[[], int], choose: bool = True) -> None:
    """add: puts the variant into the session and says where. choose: whether the pane is the one that is edited then.

    Raises what `add` raises; then there is no pane either.
    """
    (pane,) = await screen.row.make_panes(1)
    screen.gather()
    try:
        position = add()
    except WorkbenchError:
        await pane.remove()
        raise
    chosen = pane if choose else screen.chosen_pane
    screen.lay_out_panes([*screen.panes[:position], pane, *screen.panes[position:]], chosen)
    await screen.show_chosen()
    if choose and isinstance(screen.focused, OutputPane):
        screen.focus_pane(pane)
    if pane in screen.panes:
        screen.run_panes(panes=[pane])
