"""Actions on panes: add, duplicate, close, rename, and their settings."""

from __future__ import annotations

import contextlib

import msgspec

from workbench.errors import WorkbenchError
from workbench.tui import catalog
from workbench.tui.actions import library, models
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.ui import Ui


async def duplicate(bench: BenchController, ui: Ui) -> None:
    """A copy of the chosen pane beside it, with a prompt of its own."""
    pane = bench.chosen_pane
    await bench.insert_pane(lambda: bench.session.duplicate_variant(bench.find(pane)))


async def add(bench: BenchController, ui: Ui) -> None:
    """A new pane, with a prompt chosen from the library."""
    pane = bench.chosen_pane
    name = await library.pick_prompt(bench, ui, "Add a pane with the prompt")
    if name is None:
        return
    source = bench.session.variants[bench.find(pane)]
    new = msgspec.structs.replace(source, name=name.rpartition("/")[2], prompt=name, examples_off=())
    await bench.insert_pane(lambda: bench.session.add_variant(new))


async def close(bench: BenchController, ui: Ui) -> None:
    """Close the chosen pane; its prompt stays in the library."""
    session, pane = bench.session, bench.chosen_pane
    prompt = bench.variant.prompt
    alone = sum(variant.prompt == prompt for variant in session.variants) == 1
    if prompt in session.prompts.edited and alone:
        answer = await ui.ask(
            "Close the pane?",
            f"Its prompt {prompt} has unsaved changes.",
            [("save", "Save and close"), ("drop", "Close without saving"), ("stay", "Cancel")],
            destructive=("drop",),
        )
        if answer == "stay":
            return
        if answer == "save":
            session.prompts.save(prompt)
        else:
            session.prompts.revert(prompt)
    bench.typed.commit()
    index = bench.find(pane)
    name = session.variants[index].name
    session.close_variant(index)
    panes = [other for other in bench.panes if other is not pane]
    chosen = panes[min(index, len(panes) - 1)] if pane is bench.chosen_pane else bench.chosen_pane
    bench.lay_out_panes(panes, chosen)
    await bench.show_chosen()
    bench.focus_pane(chosen)
    ui.toast("ctrl+z restores it.", title=f"Closed {name}", timeout=3)


async def rename(bench: BenchController, ui: Ui) -> None:
    """Another name for the chosen pane."""
    pane = bench.chosen_pane
    name = await ui.push(NameInput("Rename the pane", "Shown on its border and in every report.", bench.variant.name))
    if name:
        bench.session.change_variant(bench.find(pane), name=name)
        await bench.show_chosen()


async def settings(bench: BenchController, ui: Ui) -> None:
    """Name and sampling of the chosen pane."""
    pane = bench.chosen_pane
    index = bench.find(pane)
    unsupported = catalog.find_unsupported(bench.pool, bench.session, index)
    set_by_prompt: tuple[str, ...] = ()
    with contextlib.suppress(WorkbenchError):  # a prompt that cannot be read says so in its pane
        set_by_prompt = tuple(bench.session.prompt(bench.variant.prompt).options)
    result = await ui.push(PaneSettings(bench.variant, unsupported, bench.folder, set_by_prompt))
    if result is None:
        return
    new = result.variant
    bench.session.change_variant(
        bench.find(pane),
        name=new.name,
        sampling=new.sampling,
        deterministic=new.deterministic,
        default_sampling=new.default_sampling,
    )
    await bench.refresh()
    if result.then == "prompt":
        await library.open_prompt(bench, ui)
    elif result.then == "model":
        await models.model(bench, ui)
    elif result.then == "adapters":
        await models.adapters(bench, ui)


async def zoom(bench: BenchController, ui: Ui) -> None:
    """The whole screen for the chosen pane, or all of them again."""
    bench.toggle_zoom()


async def move_left(bench: BenchController, ui: Ui) -> None:
    """The chosen pane before its neighbour."""
    await bench.move_pane(-1)


async def move_right(bench: BenchController, ui: Ui) -> None:
    """The chosen pane after its neighbour."""
    await bench.move_pane(1)
