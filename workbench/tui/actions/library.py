"""What a person does with the prompts of the library: open, save under a name, rename, delete, restore."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.tui import catalog
from workbench.tui.actions.flow import ask, flow, say
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Picker

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


async def pick_prompt(screen: BenchScreen, title: str, current: str = "") -> str | None:
    """A prompt of the library; further keys rename, duplicate and delete there."""
    wishes = [
        ("ctrl+e", "rename", "rename"),
        ("ctrl+d", "duplicate", "duplicate"),
        ("ctrl+x", "delete", "delete"),
    ]
    while True:
        entries = await asyncio.to_thread(screen.session.library.entries)
        empty = f"The library {screen.session.library.folder} is empty. `Save prompt as` in the palette fills it."
        choices = catalog.list_prompts(entries)
        picked = await screen.app.push_screen_wait(Picker(title, choices, empty, wishes, current))
        if picked is None or not picked.id:
            return None
        if picked.wish == "enter":
            return picked.id
        try:
            await _change_library(screen, picked.id, picked.wish)
        except WorkbenchError as error:
            say(screen, error)


async def _change_library(screen: BenchScreen, name: str, wish: str) -> None:
    session = screen.session
    if wish == "delete":
        users = [variant.name for variant in session.variants if variant.prompt == name]
        used = f" The panes {', '.join(users)} use it." if users else ""
        text = f"{name} goes to the trash folder.{used}"
        answers = [("delete", "Delete"), ("stay", "Keep")]
        if await ask(screen, "Delete the prompt", text, answers, destructive=("delete",)) == "delete":
            trash = session.library.delete(name)
            screen.notify(f"It lies in {trash}.", title=f"Deleted {name}", timeout=8)
        return
    title, verb = ("Rename the prompt", "rename") if wish == "rename" else ("Duplicate the prompt", "duplicate")
    new = await screen.app.push_screen_wait(NameInput(title, "A name such as queues/short.", name))
    if new is None or new == name:
        return
    if verb == "rename":
        screen.gather()
        session.rename_prompt(name, new)
        screen.edit.editor.mark_renamed(name, new)
        await screen.show_chosen()
    else:
        session.library.duplicate(name, new)


@flow
async def open_prompt(screen: BenchScreen) -> None:
    """Another prompt of the library for the chosen pane."""
    pane = screen.chosen_pane
    current = screen.session.variants[screen.find(pane)].prompt
    name = await pick_prompt(screen, "Prompt of this pane", current)
    if name is not None and name != current:
        screen.session.change_variant(screen.find(pane), prompt=name, examples_off=())
        await screen.refresh_after_change()


@flow
async def save_prompt_as(screen: BenchScreen) -> None:
    """The chosen pane's prompt under another name; the pane goes on with that."""
    pane = screen.chosen_pane
    current = screen.session.variants[screen.find(pane)].prompt
    name = await screen.app.push_screen_wait(NameInput("Save the prompt as", "A name such as queues/short.", current))
    if name and name != current:
        screen.session.save_prompt_as(screen.find(pane), name)
        await screen.refresh_after_change()
        screen.notify(f"Saved {name}.", timeout=3)


@flow
async def revert_prompt(screen: BenchScreen) -> None:
    """Forget the unsaved changes of the chosen pane's prompt."""
    name = screen.session.variants[screen.chosen].prompt
    text = f"Every unsaved change to {name} is forgotten."
    answers = [("revert", "Revert"), ("stay", "Keep the changes")]
    if await ask(screen, "Revert the prompt", text, answers, destructive=("revert",)) == "revert":
        screen.session.prompts.revert(name)
        await screen.refresh_after_change()


@flow
async def restore_prompt(screen: BenchScreen) -> None:
    """Bring a deleted prompt back from the trash."""
    library = screen.session.library
    choices = catalog.list_trash(library.trash.list())
    picked = await screen.app.push_screen_wait(Picker("Restore a prompt", choices, "The trash is empty."))
    if picked is not None:
        name = library.restore(Path(picked.id))
        screen.notify(f"{name} is back in the library.", timeout=3)
        await screen.refresh_after_change()
