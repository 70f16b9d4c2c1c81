"""What a person does with panes: add, close, rename, and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workbench.tui import catalog
from workbench.tui.actions import library, models
from workbench.tui.actions.flow import ask, flow
from workbench.tui.actions.pane_row import insert_pane
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.pane_settings import PaneSettings

if TYPE_CHECKING:
    from workbench.tui.screens.bench import BenchScreen


@flow
async def duplicate(screen: BenchScreen) -> None:
    """A second pane beside the chosen one, with a prompt of its own."""
    pane = screen.chosen_pane
    await insert_pane(screen, lambda: screen.session.duplicate_variant(screen.find(pane)))


@flow
async def add(screen: BenchScreen) -> None:
    """A further pane, with a prompt chosen from the library."""
    pane = screen.chosen_pane
    name = await library.pick_prompt(screen, "Add a pane with the prompt")
    if name is None:
        return
    source = screen.session.variants[screen.find(pane)]
    new = msgspec.structs.replace(source, name=name.rpartition("/")[2], prompt=name, examples_off=())
    await insert_pane(screen, lambda: screen.session.add_variant(new))


@flow
async def close(screen: BenchScreen) -> None:
    """Take the chosen pane away; its prompt stays in the library."""
    session, pane = screen.session, screen.chosen_pane
    prompt = session.variants[screen.find(pane)].prompt
    alone = sum(variant.prompt == prompt for variant in session.variants) == 1
    if prompt in session.prompts.edited and alone:
        answer = await ask(
            screen,
            "Close the pane",
            f"Its prompt {prompt} has unsaved changes.",
            [("save", "Save and close"), ("drop", "Close without saving"), ("stay", "Stay")],
            destructive=("drop",),
        )
        if answer == "stay":
            return
        if answer == "save":
            session.prompts.save(prompt)
        else:
            session.prompts.revert(prompt)
    screen.gather()
    index = screen.find(pane)
    session.close_variant(index)
    panes = [other for other in screen.panes if other is not pane]
    chosen = panes[min(index, len(panes) - 1)] if pane is screen.chosen_pane else screen.chosen_pane
    screen.lay_out_panes(panes, chosen)
    await screen.show_chosen()
    screen.focus_pane(chosen)


@flow
async def rename(screen: BenchScreen) -> None:
    """Another name on the pane's border and in every report."""
    pane = screen.chosen_pane
    variant = screen.session.variants[screen.find(pane)]
    name = await screen.app.push_screen_wait(
        NameInput("Rename the pane", "The name stands on the border and in every report.", variant.name)
    )
    if name:
        screen.session.change_variant(screen.find(pane), name=name)
        await screen.show_chosen()


@flow
async def settings(screen: BenchScreen) -> None:
    """The side panel: name and sampling of the chosen pane."""
    pane = screen.chosen_pane
    index = screen.find(pane)
    variant = screen.session.variants[index]
    unsupported = catalog.find_unsupported(screen.pool, screen.session, index)
    settled = await screen.app.push_screen_wait(PaneSettings(variant, unsupported, screen.folder))
    if settled is None:
        return
    new = settled.variant
    screen.session.change_variant(
        screen.find(pane), name=new.name, sampling=new.sampling, reproducible=new.reproducible
    )
    await screen.refresh_after_change()
    if settled.then == "prompt":
        library.open_prompt(screen)
    elif settled.then == "model":
        models.model(screen)
