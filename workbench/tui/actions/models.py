"""Which model a pane runs on, and what is laid over it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import AdapterChoice, ModelChoice
from workbench.models.reference import model_at
from workbench.tui import catalog
from workbench.tui.actions.flow import flow, pick_file
from workbench.tui.actions.pane_row import insert_pane
from workbench.tui.dialogs.adapter_panel import AdapterPanel, Wish
from workbench.tui.dialogs.engines import EnginesView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Picker
from workbench.tui.engine_text import EngineFacts

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.screens.bench import BenchScreen


@flow
async def model(screen: BenchScreen) -> None:
    """Another model for the chosen pane: one that was found, or any file."""
    pane = screen.chosen_pane
    current = screen.session.variants[screen.find(pane)].model
    choices = catalog.list_models(screen.session.models, screen.session.bench.models)
    empty = "No models were found. ^f looks for a file; model_folders in the settings adds folders."
    wishes = [("ctrl+f", "browse", "browse files"), ("ctrl+e", "adjust", "template and context")]
    picked = await screen.app.push_screen_wait(Picker("Model of this pane", choices, empty, wishes, current))
    if picked is None:
        return
    name = picked.id
    if picked.wish == "browse":
        path = await pick_file(screen, "Choose a model", (".gguf",))
        if path is None:
            return
        name = _remember(screen, path)
    elif picked.wish == "adjust" and name:
        await _adjust_model(screen, name)
    if name:
        screen.session.change_variant(screen.find(pane), model=name)
        await screen.refresh_after_change()


def _remember(screen: BenchScreen, path: Path) -> str:
    """Keep a file a person chose in the bench, so that it is found again."""
    chosen = model_at(path)
    screen.session.remember_model(chosen.name, ModelChoice(str(path)))
    return chosen.name


async def _adjust_model(screen: BenchScreen, name: str) -> None:
    """A context size and a chat template of a person's own, remembered in the bench."""
    known = screen.session.bench.models.get(name) or ModelChoice(name)
    size = await screen.app.push_screen_wait(
        NameInput(
            f"Context of {name}",
            "Tokens of context to open the model with; 0 takes what it was trained with.",
            str(known.context_tokens or 0),
        )
    )
    if size is None:
        return
    if not size.isdigit():
        raise WorkbenchError(f"{size!r} is not a number of tokens.", "Write a whole number such as 4096.")
    template = await screen.app.push_screen_wait(
        NameInput(
            f"Chat template of {name}",
            "A file with a Jinja chat template to use instead of the model's own; - keeps the model's own.",
            "-" if known.chat_template is None else "(unchanged)",
        )
    )
    if template is None:
        return
    text = known.chat_template
    if template == "-":
        text = None
    elif template != "(unchanged)":
        text = catalog.read_template(template, screen.folder)
    choice = msgspec.structs.replace(known, chat_template=text, context_tokens=int(size) or None)
    screen.session.remember_model(name, choice)


@flow
async def engines(screen: BenchScreen) -> None:
    """What every engine is doing."""

    def look() -> list[EngineFacts]:
        pool = screen.pool
        return [
            EngineFacts(
                one.model.name,
                one.state,
                one.memory_bytes,
                pool.status(one.model),
                one.info,
                screen.speeds.of(one.model),
            )
            for one in pool.residents()
        ]

    await screen.app.push_screen_wait(EnginesView(look))


@flow
async def browse_models(screen: BenchScreen) -> None:
    """The models and adapters on this machine; enter takes one for the chosen pane."""
    pane, session = screen.chosen_pane, screen.session
    index = screen.find(pane)
    base, laid = None, []
    with contextlib.suppress(WorkbenchError):
        base = session.model(index)
    with contextlib.suppress(WorkbenchError):
        laid = [one.adapter for one in session.draft(index).adapters]
    before = session.bench.models
    taken = await cast("WorkbenchApp", screen.app).browse_models(session, screen.pool, base, laid)
    if taken is not None and taken.kind == "model":
        session.change_variant(screen.find(pane), model=taken.name)
    elif taken is not None:
        session.add_adapter(screen.find(pane), taken.name)
    if taken is not None or session.bench.models != before:
        await screen.refresh_after_change()


@flow
async def adapters(screen: BenchScreen) -> None:
    """What is laid over the chosen pane's model; the answer follows every change."""
    pane = screen.chosen_pane

    def change(wish: Wish, position: int) -> Sequence[AdapterChoice]:
        session, index = screen.session, screen.find(pane)
        if wish == "remove":
            session.remove_adapter(index, position)
        elif wish == "toggle":
            session.toggle_adapter(index, position)
        else:
            session.step_scale(index, position, 1 if wish == "up" else -1)
        screen.after_change()
        return session.variants[index].adapters

    while True:
        variant = screen.session.variants[screen.find(pane)]
        panel = AdapterPanel(f"Adapters of {variant.name}", variant.adapters, change)
        if await screen.app.push_screen_wait(panel) != "add":
            return
        name = await _pick_adapter(screen)
        if name is not None:
            screen.session.add_adapter(screen.find(pane), name)
            screen.after_change()


async def _pick_adapter(screen: BenchScreen) -> str | None:
    empty = "No adapters were found. ^f looks for one; model_folders in the settings adds folders."
    choices = catalog.list_adapters(screen.session.adapters)
    wishes = [("ctrl+f", "browse", "browse files")]
    picked = await screen.app.push_screen_wait(Picker("Lay an adapter over the model", choices, empty, wishes))
    if picked is None or picked.wish == "enter":
        return picked.id if picked else None
    path = await pick_file(screen, "Choose adapter_config.json or a GGUF adapter", (".gguf", ".json"))
    if path is None:
        return None
    return str(path.parent if path.name == "adapter_config.json" else path)


async def step_scale(screen: BenchScreen, steps: int) -> None:
    """Make the chosen pane's first adapter stronger or weaker."""
    if not screen.session.variants[screen.chosen].adapters:
        screen.notify("No adapter is laid over this pane; p adds one.", timeout=3)
        return
    screen.session.step_scale(screen.chosen, 0, steps)
    screen.after_change()


@flow
async def without_adapters(screen: BenchScreen) -> None:
    """The same pane without its adapters, beside it."""
    pane = screen.chosen_pane
    if not screen.session.variants[screen.find(pane)].adapters:
        raise WorkbenchError("No adapter is laid over this pane.", "p adds one; ctrl+d duplicates the pane.")
    await insert_pane(screen, lambda: screen.session.add_without_adapters(screen.find(pane)))
