"""Actions on the prompts of the library: open, save under a name, rename, delete, restore."""

from __future__ import annotations

import asyncio
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.runs.project import find_root
from workbench.runs.prompt_rename import list_users
from workbench.tui import catalog
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.prompt_picker import PromptPicker
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker, PickerCommand
from workbench.units import format_plural

_NAME = "A name such as queues/short."


async def pick_prompt(bench: BenchController, ui: Ui, title: str, current: str = "") -> str | None:
    """A prompt of the library; further keys rename, duplicate and delete there."""
    library = bench.session.library
    commands: tuple[PickerCommand, ...] = ("rename", "duplicate", "delete")
    while True:
        entries = await asyncio.to_thread(library.entries)
        empty = f"The library {library.folder} is empty. ctrl+\\, then Save prompt as… adds to it."
        scores = bench.state.runs.read_scores()
        picked = await ui.push(PromptPicker(title, entries, scores, empty, commands, current))
        if picked is None or not picked.id:
            return None
        if picked.command == "enter":
            return picked.id
        try:
            await _change_library(bench, ui, picked.id, picked.command)
        except WorkbenchError as error:
            ui.show_error(error)


async def _change_library(bench: BenchController, ui: Ui, name: str, command: str) -> None:
    if command == "delete":
        await _delete(bench, ui, name)
        return
    new = await ui.push(NameInput(f"{command.capitalize()} prompt", _NAME, name))
    if new is None or new == name:
        return
    if command == "duplicate":
        bench.session.library.duplicate(name, new)
        return
    await _rename(bench, ui, name, new)


async def _rename(bench: BenchController, ui: Ui, name: str, new: str) -> None:
    """Rename a prompt in every bench of the project, after a look at what that changes."""
    bench.typed.commit()
    plan = await asyncio.to_thread(bench.session.plan_rename, name, new)
    answers = [("rename", "Rename"), ("stay", "Cancel")]
    text = plan.describe(find_root(bench.session.library.folder))
    if await ui.ask(f"Rename {name} to {new}?", text, answers) != "rename":
        return
    bench.session.rename_prompt(plan)
    bench.edit.editor.mark_renamed(name, new)
    await bench.show_chosen()
    ui.toast(f"Changed {format_plural(len(plan.edits), 'other file')}.", title=f"Renamed {name} to {new}", timeout=4)


async def _delete(bench: BenchController, ui: Ui, name: str) -> None:
    session = bench.session
    users = [variant.name for variant in session.variants if variant.prompt == name]
    others = await asyncio.to_thread(list_users, session.library, name, session.settings)
    users += [path.name for path in others if path.resolve() != session.path.resolve()]
    used = f" Used by: {', '.join(users)}." if users else ""
    answers = [("delete", "Delete"), ("stay", "Keep")]
    text = f"{name} moves to the trash.{used}"
    if await ui.ask("Delete the prompt?", text, answers, destructive=("delete",)) == "delete":
        trash = session.library.delete(name)
        ui.toast(f"Moved to {trash}.", title=f"Deleted {name}", timeout=8)


async def open_prompt(bench: BenchController, ui: Ui) -> None:
    """Another prompt of the library for the chosen pane."""
    pane, current = bench.chosen_pane, bench.variant.prompt
    name = await pick_prompt(bench, ui, "Open a prompt in this pane", current)
    if name is not None and name != current:
        bench.session.change_variant(bench.find(pane), prompt=name, examples_off=())
        await bench.refresh()


async def save_prompt_as(bench: BenchController, ui: Ui) -> None:
    """The chosen pane's prompt under another name, which the pane uses from then on."""
    pane, current = bench.chosen_pane, bench.variant.prompt
    name = await ui.push(NameInput("Save prompt as", _NAME, current))
    if name and name != current:
        bench.session.save_prompt_as(bench.find(pane), name)
        await bench.refresh()
        ui.toast(f"Saved {name}.", timeout=3)


async def revert_prompt(bench: BenchController, ui: Ui) -> None:
    """Discard the unsaved changes of the chosen pane's prompt."""
    name = bench.variant.prompt
    answers = [("revert", "Revert"), ("stay", "Keep changes")]
    text = f"All unsaved changes to {name} are lost."
    if await ui.ask("Revert the prompt?", text, answers, destructive=("revert",)) == "revert":
        bench.session.prompts.revert(name)
        await bench.refresh()


async def restore_prompt(bench: BenchController, ui: Ui) -> None:
    """Restore a deleted prompt from the trash."""
    library = bench.session.library
    picked = await ui.push(Picker("Restore a prompt", catalog.list_trash(library.trash.list()), "The trash is empty."))
    if picked is not None:
        name = library.restore(Path(picked.id))
        ui.toast(f"Restored {name}.", timeout=3)
        await bench.refresh()
