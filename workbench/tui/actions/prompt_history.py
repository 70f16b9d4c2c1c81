"""The action that opens a prompt's history, and restores a version of it as an edit."""

from __future__ import annotations

from workbench.library.restoring import restore_text
from workbench.tui.bench_controller import BenchController
from workbench.tui.ui import Ui


async def show_history(bench: BenchController, ui: Ui) -> None:
    """The versions of the chosen pane's prompt; one that is chosen becomes its text, unsaved."""
    bench.typed.commit()
    name = bench.variant.prompt
    present = bench.session.prompt(name)
    version = await ui.screens.open_history(name, present, bench.variant.name)
    if version is None:
        return
    prompts = bench.session.prompts
    prompts.edit(name, restore_text(prompts.prompt(name), version))
    await bench.refresh()
    ui.toast("ctrl+z undoes it; ctrl+s saves it.", title=f"Restored a version of {name}", timeout=5)
