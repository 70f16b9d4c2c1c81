"""Actions on a run: start, pause and stop it; filter, sort, plot, compare; report on it; act on one of its cells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from workbench.analysis.narrative import narrate
from workbench.analysis.votes import Votes
from workbench.errors import WorkbenchError
from workbench.reports.registry import report_formats
from workbench.runs.matrix_rows import Sort
from workbench.runs.plan import Plan
from workbench.runs.run import Evaluation
from workbench.runs.tool_file import list_code
from workbench.runs.view import RunView
from workbench.store.cell_figures import read_mean_scores
from workbench.store.damage import describe_damaged_runs
from workbench.store.runs import change_run, list_runs
from workbench.store.store import Store
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.bench_runs import BenchRuns
from workbench.tui.dialogs.confusion import ConfusionView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.plots import Dot, Plots
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.run_browser import RunBrowser
from workbench.tui.run_text import describe_changes, describe_plan, describe_run, is_long
from workbench.tui.ui import CellLocation, Ui
from workbench.tui.widgets.matrix_table import MatrixTable
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.units import format_plural

_SCORED = 50
"""runs of the list, from the newest, that are shown with their scores"""


class MatrixPage(Protocol):
    """What these actions need of the matrix screen."""

    runs: BenchRuns
    browser: RunBrowser
    table: MatrixTable

    def show_run(self, run: str) -> None: ...
    def show_note(self, text: str) -> None: ...
    def change_filter(self, **changes: object) -> None: ...
    def refetch(self) -> None: ...
    def dismiss(self, result: CellLocation | None) -> object: ...


async def run(page: MatrixPage, ui: Ui) -> None:
    """Start a run of the bench, or resume the one on show if it was stopped."""
    runs, view = page.runs, page.browser.view
    if runs.running:
        ui.toast("A run is under way: space pauses it, x stops it.", timeout=3)
        return
    session = runs.session
    if not await confirm_trust(ui, list_code(session.bench), session.path.parent):
        raise WorkbenchError("The run needs the bench's code to score answers.", "Allow it, or remove that scorer.")
    stopped = view is not None and view.state in ("stopped", "interrupted")
    await _start(page, ui, (lambda: runs.prepare_resume(page.browser.run)) if stopped else runs.prepare)


async def _start(page: MatrixPage, ui: Ui, prepare: Callable[[], tuple[Evaluation, Plan]]) -> None:
    """Start what was prepared; asks first where it would take long."""
    evaluation, plan = await asyncio.to_thread(prepare)
    page.show_note("\n".join([*plan.problems, *plan.warnings]))
    if is_long(plan):
        answer = await ui.ask("Run the whole dataset?", describe_plan(plan), [("run", "Run"), ("stay", "Cancel")])
        if answer == "stay":
            return
    page.browser.run = ""
    ui.launch(page.runs.make_task(evaluation, plan))


async def raise_limit(page: MatrixPage, ui: Ui) -> None:
    """Raise max_tokens of the variants whose answers were cut off, and run the bench again."""
    session, summary = page.runs.session, page.browser.summary
    cut = {one.name: one.cut for one in summary.variants if one.cut} if summary else {}
    variants = {index: variant for index, variant in enumerate(session.variants) if variant.name in cut}
    if not variants:
        ui.toast("No answer of the open bench was cut off.", timeout=3)
        return
    highest = max(variant.sampling.max_tokens for variant in variants.values())
    names = ", ".join(variant.name for variant in variants.values())
    text = (
        f"{format_plural(sum(cut.values()), 'answer')} of {names} hit"
        f" the limit of {highest:,} tokens. Complete ones are reused."
    )
    typed = await ui.push(NameInput("Raise max_tokens to", text, str(4 * highest)))
    if typed is None:
        return
    if not typed.isdecimal() or int(typed) <= highest:
        raise WorkbenchError(f"max_tokens: expected a number above {highest:,}, found {typed}.", "Try again.")
    for index, variant in variants.items():
        session.change_variant(index, sampling=msgspec.structs.replace(variant.sampling, max_tokens=int(typed)))
    await _start(page, ui, page.runs.prepare)


async def pause(page: MatrixPage, ui: Ui) -> None:
    """Pause the run, or resume it."""
    if page.runs.current is not None and page.runs.running:
        page.runs.current.toggle_pause()
    else:
        ui.toast("No run is under way; ctrl+r starts one.", timeout=3)


async def pause_model(page: MatrixPage, ui: Ui) -> None:
    """Pause or resume only the model of the selected column."""
    current, names = page.runs.current, page.browser.names
    if current is not None and current.running and names:
        ui.toast(current.toggle_model_pause(names[page.table.column]), timeout=3)
    else:
        ui.toast("No run is under way; ctrl+r starts one.", timeout=3)


async def stop(page: MatrixPage, ui: Ui) -> None:
    """Stop the run; finished cells are kept."""
    if page.runs.current is None or not page.runs.running:
        ui.toast("No run is under way.", timeout=3)
        return
    page.runs.current.cancel()
    ui.toast("Stopping. Finished cells are kept; ctrl+r resumes.")


async def choose_class(page: MatrixPage, ui: Ui) -> None:
    """Only the cases with one expected answer."""
    view = require_view(page)
    answers = await asyncio.to_thread(lambda: view.answers)
    rows = [PickerRow("all", "all"), *(PickerRow(f"={answer}", answer or "(empty)") for answer in answers)]
    picked = await ui.push(Picker("Filter by expected answer", rows, "No case has an expected answer."))
    if picked is not None:
        page.change_filter(expected=None if picked.id == "all" else picked.id.removeprefix("="))


async def choose_order(page: MatrixPage, ui: Ui) -> None:
    """By case, by a variant's score, or by how much the variants disagree."""
    browser = page.browser
    rows = [PickerRow("case", "dataset order"), PickerRow("disagreement", "most disagreement first")]
    rows += [PickerRow(f"+{name}", f"{name}: lowest score first") for name in browser.names]
    rows += [PickerRow(f"-{name}", f"{name}: highest score first") for name in browser.names]
    picked = await ui.push(Picker("Sort by", rows, ""))
    if picked is None:
        return
    if picked.id == "case":
        browser.sort = Sort()
    elif picked.id == "disagreement":
        browser.sort = Sort("disagreement", metric=browser.metric, descending=True)
    else:
        browser.sort = Sort("score", picked.id[1:], browser.metric, descending=picked.id[0] == "-")
    page.refetch()


async def plot(page: MatrixPage, ui: Ui) -> None:
    """Scores with their intervals, against latency and tokens."""
    summary, metric = page.browser.require_summary(), page.browser.metric
    dots = [
        Dot(
            variant.name,
            variant.scores[metric].value,
            variant.scores[metric].low,
            variant.scores[metric].high,
            variant.latency_p50,
            variant.tokens_in + variant.tokens_out,
        )
        for variant in summary.variants
        if metric in variant.scores and variant.scores[metric].n
    ]
    if not dots:
        raise WorkbenchError(f"No cell has a value of {metric} yet.", "m switches to the next metric.")
    await ui.push(Plots(metric.replace("_", " "), dots))


async def confusion(page: MatrixPage, ui: Ui) -> None:
    """Expected against given answers."""
    browser = page.browser
    tables = browser.summary.confusion if browser.summary is not None else ()
    if not tables:
        raise WorkbenchError(
            "There is no confusion matrix.", "It needs finished cells and expected answers that repeat, as labels do."
        )
    names = [table.variant for table in tables]
    here = browser.names[page.table.column]
    await ui.push(ConfusionView(tables, names.index(here) if here in names else 0))


async def open_run(page: MatrixPage, ui: Ui) -> None:
    """An earlier run of any bench."""
    picked = await _pick_run(page, ui, "Runs")
    if picked:
        page.show_run(picked)


async def _pick_run(page: MatrixPage, ui: Ui, title: str, without: str = "") -> str:
    store = page.runs.store
    rows = await asyncio.to_thread(lambda: _describe_runs(store, without))
    if damaged := await asyncio.to_thread(describe_damaged_runs, store):
        page.show_note(damaged)
    picked = await ui.push(Picker(title, rows, "There is no other run yet; ctrl+r starts one.", (), page.browser.run))
    return picked.id if picked is not None else ""


def _describe_runs(store: Store, without: str) -> list[PickerRow]:
    runs = [run for run in list_runs(store) if run.id != without]
    return [describe_run(run, read_mean_scores(store, run.key) if at < _SCORED else []) for at, run in enumerate(runs)]


async def vote(page: MatrixPage, ui: Ui) -> None:
    """Which of two answers is better, without their names."""
    view, runs = require_view(page), page.runs
    votes = await asyncio.to_thread(Votes, runs.store, view)
    await ui.screens.open_votes(votes, lambda: runs.figures.rate(view.id))


async def compare_runs(page: MatrixPage, ui: Ui) -> None:
    """Which cases were fixed and which broke since an earlier run."""
    view = require_view(page)
    earlier = await _pick_run(page, ui, "Compare with which run?", without=view.id)
    if earlier:
        changes = await asyncio.wrap_future(page.runs.figures.compare(view.id, earlier, page.browser.metric))
        await ui.push(TextViewer(f"{view.id} against {earlier}", describe_changes(changes)))


async def report(page: MatrixPage, ui: Ui) -> None:
    """Write the results to a file in the folder that the program was started in."""
    view, summary = require_view(page), page.browser.require_summary()
    formats = [PickerRow(one.suffix, one.title, one.help) for one in report_formats().values()]
    picked = await ui.push(Picker("Write a report", formats, ""))
    if picked is None:
        return
    path = Path.cwd() / f"{view.run.bench}-{view.id}{picked.id}"
    await asyncio.to_thread(page.runs.write_report, view.id, summary, path)
    ui.toast(str(path), title="Report written", timeout=6)


async def annotate(page: MatrixPage, ui: Ui) -> None:
    """A note kept with the run."""
    run = require_view(page).run
    note = await ui.push(NameInput("Note on this run", "Shown in the list of runs.", run.note))
    if note is not None:
        await asyncio.to_thread(change_run, page.runs.store, run.key, note=note)


async def pin(page: MatrixPage, ui: Ui) -> None:
    """Make the run the baseline that later ones are compared with, or unset it."""
    run = require_view(page).run
    await asyncio.to_thread(change_run, page.runs.store, run.key, pinned=not run.pinned)
    ui.toast("This run is no longer a baseline." if run.pinned else "This run is now a baseline.", timeout=3)


async def in_words(page: MatrixPage, ui: Ui) -> None:
    """The results as a paragraph."""
    summary = page.browser.require_summary()
    text = [narrate(summary, page.browser.metric), *(f"Note: {note}" for note in summary.notes)]
    await ui.push(TextViewer("Results in words", "\n\n".join(text)))


def require_view(page: MatrixPage) -> RunView:
    """The run on show. Raises WorkbenchError where there is none."""
    if page.browser.view is None:
        raise WorkbenchError("There is no run to show yet.", "ctrl+r starts one; o opens an earlier one.")
    return page.browser.view
