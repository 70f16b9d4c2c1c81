"""Actions that put another bench in the place of this one: a new one, or one that is there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from workbench import paths
from workbench.runs.new_bench import BENCH_SUFFIX, BenchRequest, NewBench, bench_path, create_bench, plan_bench
from workbench.runs.opening import find_data, list_benches
from workbench.runs.recent import list_recent
from workbench.settings import Settings
from workbench.tui import catalog
from workbench.tui.actions.bench import give_up
from workbench.tui.actions.dialogs import pick_file, pick_or_browse
from workbench.tui.actions.models import pick_adapter
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.new_bench_form import NewBenchForm, Part
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker


async def new_bench(bench: BenchController, ui: Ui, request: BenchRequest | None = None) -> None:
    """A bench from a file of cases, filled in in a form; it is opened instead of this one.

    request: what is known beforehand; None: the cases in the working folder.
    """
    folder = paths.working_folder()
    found = [path.name for path in await asyncio.to_thread(find_data, folder)]
    if request is None or request.data == Path():
        request = BenchRequest(Path(found[0] if found else ""), request.model if request else "")
    plan = partial(_plan, settings=bench.session.settings)
    planned: NewBench | None = await ui.push(
        NewBenchForm(request, plan, partial(_pick_part, bench, ui, folder), tuple(found))
    )
    if planned is not None and await give_up(bench, ui, "Continue"):
        await asyncio.to_thread(create_bench, planned)
        _switch(bench, ui, planned.path)


async def import_file(bench: BenchController, ui: Ui) -> None:
    """A bench from a file of another tool, by a form that shows what is lost; it is opened instead of this one."""
    from workbench.interop.import_plan import ImportPlan, ImportRequest, check_free, write_import
    from workbench.interop.importing import plan_import
    from workbench.tui.dialogs.import_form import ImportForm

    folder = paths.working_folder()

    async def pick() -> str:
        path = await pick_file(ui, "Import", "imports", folder)
        return os.path.relpath(path, folder) if path and path.is_relative_to(folder) else str(path or "")

    def plan(request: ImportRequest) -> ImportPlan:
        planned = plan_import(request, bench.session.settings)
        check_free(planned)
        return planned

    planned: ImportPlan | None = await ui.push(ImportForm(plan, pick))
    if planned is not None and await give_up(bench, ui, "Continue"):
        await asyncio.to_thread(write_import, planned)
        _switch(bench, ui, planned.path)


def _plan(request: BenchRequest, settings: Settings) -> NewBench:
    """As plan_bench; a name that nobody chose is a free one."""
    data = paths.expand(str(request.data)).absolute()
    name = bench_path(data, request.name).name.removesuffix(BENCH_SUFFIX)
    names = [name, *(f"{name}-{number}" for number in range(2, 100))]
    free = next((one for one in names if not any(map(os.path.lexists, (data.parent / one, bench_path(data, one))))), "")
    return plan_bench(request if request.name else replace(request, name=free), settings)


def _switch(bench: BenchController, ui: Ui, path: Path) -> None:
    bench.runner.stop()
    ui.screens.open_bench(path)


async def _pick_part(bench: BenchController, ui: Ui, folder: Path, part: Part) -> str:
    if part == "cases":
        path = await pick_file(ui, "Cases", "cases", folder)
        return os.path.relpath(path, folder) if path and path.is_relative_to(folder) else str(path or "")
    if part == "model":
        rows = catalog.list_models(bench.session.models, {})
        picker = Picker("Model", rows, "No models found. ^o opens a file.", ["browse"])
        picked = await pick_or_browse(ui, picker, "Open a model", "models", folder)
        return picked.id if picked else ""
    return await pick_adapter(bench, ui, "Adapter") or ""


async def open_bench(bench: BenchController, ui: Ui) -> None:
    """Another bench instead of this one."""
    recent = [path for path in await asyncio.to_thread(list_recent) if path != bench.session.path.absolute()]
    near = [path for folder in dict.fromkeys((paths.working_folder(), bench.folder)) for path in list_benches(folder)]
    others = [path for path in near if path.absolute() != bench.session.path.absolute()]
    rows = catalog.list_bench_rows(recent, [path.absolute() for path in others])
    empty = "No other bench found. ^o opens any file; New bench… in ctrl+\\ makes one."
    picker = Picker("Open bench", rows, empty, ["browse"])
    picked = await pick_or_browse(ui, picker, "Open a bench", "benches", bench.folder)
    if picked is not None and await give_up(bench, ui, "Continue"):
        _switch(bench, ui, Path(picked.id))
