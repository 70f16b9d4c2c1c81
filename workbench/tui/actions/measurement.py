"""Actions that measure the chosen pane on the dataset: examples, adapter scale, wording; and scores of stored runs."""

from __future__ import annotations

import asyncio

from workbench.analysis.adapter_scales import scale_variants
from workbench.analysis.example_effects import leave_one_out
from workbench.analysis.measurement_words import Measurement
from workbench.analysis.thresholds import find_misses
from workbench.errors import BenchError, StoreError
from workbench.runs.bench import Bench, with_variants
from workbench.runs.perturbations import add_perturbations
from workbench.runs.tool_file import list_code
from workbench.runs.view import RunView
from workbench.store.runs import Run, list_runs
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.measurement_view import MeasurementView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.measurements import MeasurementTask
from workbench.tui.ui import Ui

_MOST_REPEATS = 1000


async def effects(bench: BenchController, ui: Ui) -> None:
    """What each few-shot example of the pane earns, by leaving it out."""
    session, variant = bench.session, bench.variant
    made = with_variants(session.bench, leave_one_out(variant, session.prompt(variant.prompt)))
    await _measure(bench, ui, "effects", f"Effect of each example of {variant.name}", made)


async def scales(bench: BenchController, ui: Ui) -> None:
    """The pane's score at several scales of its first adapter."""
    variant = bench.variant
    made = with_variants(bench.session.bench, scale_variants(variant))
    await _measure(bench, ui, "scales", f"Score of {variant.name} by adapter scale", made)


async def robustness(bench: BenchController, ui: Ui) -> None:
    """The pane's score under small changes of its prompt's wording."""
    session, variant = bench.session, bench.variant
    made = add_perturbations(with_variants(session.bench, (variant,)), session.prompt)
    await _measure(bench, ui, "robustness", f"Robustness of {variant.name}", made)


async def _measure(bench: BenchController, ui: Ui, what: Measurement, title: str, made: Bench) -> None:
    session = bench.session
    if not session.cases:
        raise BenchError("This bench has no dataset to measure on.", "ctrl+\\, then Dataset… opens one.")
    if not await confirm_trust(ui, list_code(session.bench), bench.folder):
        raise BenchError("Measuring needs the bench's code to score answers.", "Allow it, or remove that scorer.")
    bench.runner.stop()
    task = MeasurementTask(bench.state.runs, what, bench.variant.name, lambda: made)
    ui.launch(task)
    await ui.push(MeasurementView(title, task))


async def drift(bench: BenchController, ui: Ui) -> None:
    """How the scores of the bench changed from run to run."""
    runs = bench.state.runs
    newest = await asyncio.to_thread(find_newest_run, bench)
    text = await asyncio.wrap_future(runs.figures.measure("drift", "", newest.bench))
    await ui.push(TextViewer("Scores over runs", text))


async def thresholds(bench: BenchController, ui: Ui) -> None:
    """Whether the newest run reaches what the bench demands."""
    session = bench.session
    if not session.bench.thresholds:
        raise BenchError(
            "This bench has no thresholds.", "Add them to its file: thresholds: {exact_match: {min: 0.9}}."
        )
    newest = await asyncio.to_thread(find_newest_run, bench)
    summary = await asyncio.wrap_future(bench.state.runs.figures.summarize(newest.id))
    misses = find_misses(session.bench, summary)
    lines = [str(one) for one in misses] or ["Every threshold is met."]
    await ui.push(TextViewer(f"Thresholds, run {newest.id}", "\n".join(lines)))


async def repeats(bench: BenchController, ui: Ui) -> None:
    """How often each case is answered in a run."""
    session = bench.session
    text = "How often each case is answered. With temperature above 0, more repeats make scores more certain."
    number = await ui.push(NameInput("Repeats", text, f"{session.bench.repeats}"))
    if number is None:
        return
    if not number.isdecimal() or not 1 <= int(number) <= _MOST_REPEATS:
        raise BenchError(f"Repeats: expected a whole number from 1 to {_MOST_REPEATS}, found {number!r}.")
    session.set_repeats(int(number))
    bench.show_titles()
    ui.toast(
        "f6 runs the dataset that many times; ctrl+s saves it in the bench.", title=f"Repeats: {int(number)}", timeout=5
    )


def find_newest_run(bench: BenchController) -> Run:
    """The newest finished run of the open bench, as f6 starts it. Raises StoreError."""
    session, store = bench.session, bench.state.runs.store
    folder = str(session.path.parent.absolute())
    names = {variant.name for variant in session.variants}
    for run in list_runs(store):
        if run.done and run.folder == folder and names & {*RunView(store, run.id).variants}:
            return run
    raise StoreError("No run of this bench is in the store.", "f6 runs the dataset.")
