"""Actions on the chosen pane's model and adapters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from workbench.endpoint import make_endpoint
from workbench.errors import WorkbenchError
from workbench.models.reference import model_at
from workbench.runs.bench import AdapterChoice, ModelChoice
from workbench.tui import catalog
from workbench.tui.actions.dialogs import pick_or_browse
from workbench.tui.bench_controller import BenchController
from workbench.tui.checkup_task import CheckupTask
from workbench.tui.dialogs.adapter_panel import AdapterCommand, AdapterPanel
from workbench.tui.dialogs.doctor_view import DoctorView
from workbench.tui.dialogs.engines import EnginesView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.engine_text import EngineFacts
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker


async def model(bench: BenchController, ui: Ui) -> None:
    """Another model for the chosen pane: one that was found, any file, or one on a server."""
    pane, session = bench.chosen_pane, bench.session
    rows = catalog.list_models(session.models, session.bench.models)
    empty = "No models found. ^o opens a file, f7 a server; add folders with model_folders in the settings."
    picker = Picker("Model of this pane", rows, empty, ("browse", "connect", "adjust"), bench.variant.model)
    picked = await pick_or_browse(ui, picker, "Open a model", "models", bench.folder)
    if picked is None:
        return
    name = picked.id
    if picked.command == "path":
        name = _remember(bench, Path(picked.id))
    elif picked.command == "connect":
        name = await _connect(bench, ui)
    elif picked.command == "adjust" and name:
        await _adjust_model(bench, ui, name)
    if name:
        session.change_variant(bench.find(pane), model=name)
        await bench.refresh()


def _remember(bench: BenchController, path: Path) -> str:
    """Keep a chosen file in the bench, so that it is found again."""
    chosen = model_at(path)
    bench.session.remember_model(chosen.name, ModelChoice(str(path)))
    return chosen.name


async def _connect(bench: BenchController, ui: Ui) -> str:
    """Keep a server's model in the bench, by its address; its name there, "" where none was given."""
    address = await ui.push(
        NameInput(
            "Model on a server",
            "Such as http://127.0.0.1:8080, with #NAME for one of several.",
        )
    )
    if address is None:
        return ""
    endpoint = make_endpoint(address)
    name = endpoint.model.rpartition("/")[2] or endpoint.urls[0].partition("://")[2]
    choice = ModelChoice(remote=endpoint.urls[0], model=endpoint.model)
    known = bench.session.bench.models
    if known.get(name, choice) != choice:
        name = f"{name} at {endpoint.urls[0].partition('://')[2]}"
    bench.session.remember_model(name, choice)
    return name


async def _adjust_model(bench: BenchController, ui: Ui, name: str) -> None:
    """A context size, a chat template and the devices, kept in the bench."""
    known = bench.session.bench.models.get(name) or ModelChoice(name)
    size = await ui.push(
        NameInput(
            f"Context size of {name}",
            "In tokens; 0 uses the size the model was trained with.",
            str(known.context_tokens or 0),
        )
    )
    if size is None:
        return
    if not size.isdigit():
        raise WorkbenchError(f"Context size: expected a whole number, found {size!r}.", "Enter a number such as 4096.")
    template = await ui.push(
        NameInput(
            f"Chat template of {name}",
            "A Jinja file to use instead of the model's own template; - uses the model's own.",
            "-" if known.chat_template is None else "(unchanged)",
        )
    )
    if template is None:
        return
    text = known.chat_template
    if template == "-":
        text = None
    elif template != "(unchanged)":
        text = catalog.read_template(template, bench.folder)
    choice = msgspec.structs.replace(known, chat_template=text, context_tokens=int(size) or None)
    bench.session.remember_model(name, choice)
    try:
        form = catalog.make_devices_form(bench.session, bench.pool, name)
    except WorkbenchError:
        return  # it is computed elsewhere, or its pane says what is wrong with it
    placed = await ui.push(form)
    if placed is not None:
        bench.session.remember_model(name, placed)


async def engines(bench: BenchController, ui: Ui) -> None:
    """What every engine is doing."""
    pool = bench.pool

    def look() -> list[EngineFacts]:
        return [
            EngineFacts(
                one.model.name,
                one.state,
                one.memory_bytes,
                pool.status(one.model),
                one.info,
                bench.speeds.of(one.model),
                one.note,
            )
            for one in pool.loaded_models()
        ]

    await ui.push(EnginesView(look))


async def doctor(bench: BenchController, ui: Ui) -> None:
    """Checks of this installation, with a command for each problem."""
    task = CheckupTask()
    ui.launch(task)
    await ui.push(DoctorView(task))


async def browse_models(bench: BenchController, ui: Ui) -> None:
    """The models and adapters on this machine; enter uses one in the chosen pane."""
    pane, session = bench.chosen_pane, bench.session
    index = bench.find(pane)
    base, applied = None, []
    with contextlib.suppress(WorkbenchError):
        base = session.model(index)
    with contextlib.suppress(WorkbenchError):
        applied = [one.adapter for one in session.spec(index).adapters]
    before = session.bench.models
    await asyncio.to_thread(session.refresh_adapters)
    pick = await ui.screens.open_models(base, applied)
    if pick is not None and pick.kind == "model":
        session.change_variant(bench.find(pane), model=pick.name)
    elif pick is not None:
        session.add_adapter(bench.find(pane), pick.name)
    if pick is not None or session.bench.models != before:
        await bench.refresh()


async def adapters(bench: BenchController, ui: Ui) -> None:
    """The adapters of the chosen pane; the answer follows every change."""
    pane, session = bench.chosen_pane, bench.session

    def change(command: AdapterCommand, position: int) -> Sequence[AdapterChoice]:
        index = bench.find(pane)
        if command == "remove":
            session.remove_adapter(index, position)
        elif command == "toggle":
            session.toggle_adapter(index, position)
        else:
            session.step_scale(index, position, 1 if command == "up" else -1)
        bench.after_change()
        return session.variants[index].adapters

    while True:
        variant = session.variants[bench.find(pane)]
        if await ui.push(AdapterPanel(f"Adapters of {variant.name}", variant.adapters, change)) != "add":
            return
        name = await pick_adapter(bench, ui, "Add an adapter")
        if name is not None:
            session.add_adapter(bench.find(pane), name)
            bench.after_change()


async def pick_adapter(bench: BenchController, ui: Ui, title: str) -> str | None:
    """The name of an adapter that was found, or the path of any other; None for none."""
    empty = "No adapters found. ^o opens one; add folders with model_folders in the settings."
    await asyncio.to_thread(bench.session.refresh_adapters)
    rows = catalog.list_adapters(bench.session.adapters)
    picker, question = Picker(title, rows, empty, ["browse"]), "Open adapter_config.json or a GGUF adapter"
    picked = await pick_or_browse(ui, picker, question, "adapters", bench.folder)
    return picked.id.removesuffix("/adapter_config.json") if picked else None


async def scale_up(bench: BenchController, ui: Ui) -> None:
    """Raise the scale of the chosen pane's first adapter."""
    _step_scale(bench, ui, 1)


async def scale_down(bench: BenchController, ui: Ui) -> None:
    """Lower it."""
    _step_scale(bench, ui, -1)


def _step_scale(bench: BenchController, ui: Ui, steps: int) -> None:
    if not bench.variant.adapters:
        ui.toast("This pane has no adapter; p adds one.", timeout=3)
        return
    bench.session.step_scale(bench.chosen, 0, steps)
    bench.after_change()


async def without_adapters(bench: BenchController, ui: Ui) -> None:
    """The same pane without its adapters, beside it; where there is one already, go there, and back from it."""
    pane, index = bench.chosen_pane, bench.chosen
    pair = bench.session.find_pair(index)
    if pair is not None:
        await bench.focus(pair)
        return
    if not bench.variant.has_adapter:
        raise WorkbenchError("This pane has no adapter.", "p adds one; D duplicates the pane.")
    await bench.insert_pane(lambda: bench.session.add_without_adapters(bench.find(pane)))
