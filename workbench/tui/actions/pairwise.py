"""Action that lets a model compare the answers of the newest run of the bench, two by two."""

from __future__ import annotations

import asyncio

from workbench.analysis.pairwise import choose_pairs
from workbench.runs.view import RunView
from workbench.scoring.scorers.pairwise import PairwiseConfig
from workbench.tui import catalog
from workbench.tui.actions.dialogs import pick_or_browse
from workbench.tui.actions.measurement import find_newest_run
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.measurement_view import MeasurementView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.pairwise_task import PairwiseTask
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker
from workbench.units import format_plural


async def judge(bench: BenchController, ui: Ui) -> None:
    """Choose a judge and its question, then compare every two variants on each case, in both orders."""
    session, runs = bench.session, bench.state.runs
    newest = await asyncio.to_thread(find_newest_run, bench)
    view = await asyncio.to_thread(RunView, runs.store, newest.id)
    pairs = choose_pairs(view)
    rows = catalog.list_models(session.models, session.bench.models)
    empty = "No models found. ^o opens a file; add folders with model_folders in the settings."
    picker = Picker("The judge", rows, empty, ("browse",))
    picked = await pick_or_browse(ui, picker, "Open a model", "models", bench.folder)
    if picked is None or not picked.id:
        return
    question = await ui.push(
        NameInput(
            "Question for the judge",
            f"{picked.id} compares {format_plural(len(pairs), 'pair')} of variants of run {newest.id} on each case"
            " where their answers differ, without names and in both orders.",
            "Which answer is better?",
        )
    )
    if question is None:
        return
    made = PairwiseConfig(model=(picked.id,), rubric=question).build(bench.folder)
    task = PairwiseTask(view, made, pairs, runs)
    ui.launch(task)
    await ui.push(MeasurementView(f"Pairwise comparison by {picked.id}", task))
