"""Actions on a prompt search: start, pause, stop, edit, branch, accept, report; and opening it from the bench."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from workbench.errors import SearchError
from workbench.runs.bench import load_bench
from workbench.runs.tool_file import list_code
from workbench.search.acceptance import accept_candidate
from workbench.search.candidate import Candidate
from workbench.search.request import METHOD_NAMES, SearchRequest
from workbench.search.saving import choose_name
from workbench.search.search_dir import SearchDir
from workbench.search.search_report import SEARCH_FORMATS, SearchReport, render_search_markdown, write_search_report
from workbench.tui import catalog
from workbench.tui.actions.bench import save_first
from workbench.tui.actions.dialogs import confirm_trust
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.candidate_editor import CandidateEditor
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.prompt_searches import CandidateEdit, PromptSearches, ShownSearch, StoredSearch
from workbench.tui.ui import AcceptedPrompt, Ui
from workbench.tui.widgets.optimize_form import OptimizeForm
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.tui.widgets.search_view import SearchView
from workbench.units import format_plural


class OptimizePage(Protocol):
    """What these actions need of the screen of a search."""

    searches: PromptSearches
    form: OptimizeForm
    view: SearchView

    @property
    def current(self) -> ShownSearch | None: ...
    @property
    def is_form_shown(self) -> bool: ...
    def show_form(self, shown: bool) -> None: ...
    def poll(self) -> None: ...
    def dismiss(self, result: AcceptedPrompt | None) -> object: ...


# --- from the bench ---------------------------------------------------------------------------------------------------


async def optimize(bench: BenchController, ui: Ui) -> None:
    """Search for a better prompt for the chosen pane; a search under way, or one that ended, is shown as it is."""
    if not await save_first(bench, ui, "A search"):
        return
    accepted = await ui.screens.open_optimize(bench.variant.name)
    if accepted is not None:
        await _put_in_pane(bench, ui, accepted)


async def _put_in_pane(bench: BenchController, ui: Ui, accepted: AcceptedPrompt) -> None:
    """The accepted prompt instead of the one that the search started from; undo goes back to that one."""
    session = bench.session
    names = [variant.name for variant in session.variants]
    if accepted.variant not in names:
        ui.warn(f"The pane {accepted.variant} is gone; {accepted.prompt} is in the library.")
        return
    index = names.index(accepted.variant)
    sampling = msgspec.structs.replace(session.variants[index].sampling, thinking=accepted.thinking)
    session.change_variant(index, prompt=accepted.prompt, examples_off=(), sampling=sampling)
    await bench.focus(index)
    await bench.refresh()
    ui.toast("ctrl+z goes back, ctrl+s keeps it.", title=f"{accepted.variant} uses {accepted.prompt}", timeout=8)


# --- on the screen ----------------------------------------------------------------------------------------------------


async def begin(page: OptimizePage, ui: Ui) -> None:
    """Start what the form describes, or continue an interrupted search that is on show."""
    if page.searches.running:
        raise SearchError("A search is running.", "f7 stops it.")
    current = page.current
    if page.is_form_shown:
        request = page.form.read()
        await _start(page, ui, request)
        return
    if current is None or current.state.ended is not None:
        page.show_form(True)
        return
    search_dir = current.search_dir
    if isinstance(current, StoredSearch) and current.elsewhere:
        raise SearchError("Another process carries this search out.", "Stop it there first.")
    await _start(page, ui, current.request, search_dir)


async def _start(
    page: OptimizePage,
    ui: Ui,
    request: SearchRequest,
    search_dir: SearchDir | None = None,
    branch: CandidateEdit | None = None,
) -> None:
    bench = await asyncio.to_thread(load_bench, Path(request.bench))
    if not await confirm_trust(ui, list_code(bench), Path(request.bench).parent):
        raise SearchError("A search needs the bench's code to score answers.", "Allow it, or remove that scorer.")
    if search_dir is None:
        plan = await asyncio.to_thread(page.searches.plan, request)
        plan.check()
    ui.launch(page.searches.make_task(request, search_dir, branch))
    page.show_form(False)
    page.poll()


async def pause(page: OptimizePage, ui: Ui) -> None:
    """Start no further answers, or go on."""
    task = page.searches.task
    if task is not None and task.running:
        await asyncio.to_thread(task.toggle_pause)
        ui.toast("Paused. p resumes." if task.paused else "Resumed.", timeout=3)


async def finish(page: OptimizePage, ui: Ui) -> None:
    """End the search here: the best so far meets the hand-written prompt on the test part."""
    task = page.searches.task
    if task is None or not task.running:
        return
    text = "The best so far goes to the test, which is opened once. The search does not continue after that."
    answers = [("test", "Test now"), ("stay", "Continue the search")]
    if await ui.ask("End the search and test?", text, answers, destructive=("test",)) == "test":
        await asyncio.to_thread(task.finish)


async def stop(page: OptimizePage, ui: Ui) -> None:
    """Stop; its journal is kept, and ctrl+r continues it."""
    task = page.searches.task
    if task is not None and task.running:
        await asyncio.to_thread(task.cancel)
        ui.toast("Stopping. ctrl+r continues it; the test stays sealed.")


async def edit(page: OptimizePage, ui: Ui) -> None:
    """A version of the candidate by hand: tried next, or first in a new search where this one has ended."""
    candidate = _chosen(page)
    made = await ui.push(CandidateEditor(candidate, f"edited by hand from {candidate.id}"))
    if made is None:
        return
    task = page.searches.task
    if task is not None and task.running:
        task.add(candidate.id, made)
        ui.toast("It is tried before the next batch, after the guards.")
        return
    await _branch(page, ui, made, "This search does not run. Start a new one that begins with your version?")


async def branch(page: OptimizePage, ui: Ui) -> None:
    """A new search that begins with the candidate."""
    candidate = _chosen(page)
    if page.searches.running:
        raise SearchError("A search is running.", "f7 stops it; then b starts one from this candidate.")
    current = page.current
    name = current.search_dir.id if current is not None and current.search_dir is not None else ""
    made = CandidateEdit(candidate.body, candidate.examples, candidate.thinking, f"{candidate.id} of {name}".strip())
    await _branch(page, ui, made, f"A new search begins with {candidate.id}, with the same budget.")


async def _branch(page: OptimizePage, ui: Ui, made: CandidateEdit, text: str) -> None:
    current = page.current
    if current is None:
        return
    answers = [("start", "Start"), ("stay", "Cancel")]
    if await ui.ask("Start a new search?", text, answers) == "start":
        await _start(page, ui, current.request, branch=made)


async def accept(page: OptimizePage, ui: Ui) -> None:
    """Write the candidate into the library as a prompt, and put it into the pane."""
    candidate, current, session = _chosen(page), page.current, page.searches.session
    assert current is not None
    search_dir = current.search_dir
    variant = next((one for one in session.variants if one.name == current.request.variant), None)
    if search_dir is None or variant is None:
        raise SearchError(
            f"The pane {current.request.variant} is gone, so its prompt is unknown.",
            "Open the pane again, then accept.",
        )
    parent = await asyncio.to_thread(_find_parent, current, variant.prompt)
    proposal = await asyncio.to_thread(choose_name, session.library, parent)
    name = await ui.push(NameInput(f"Accept {candidate.id}", _describe_figures(current, candidate), proposal))
    if name is None:
        return
    saved = await asyncio.to_thread(
        accept_candidate, search_dir, session.library, parent, variant.model, candidate, name
    )
    page.dismiss(AcceptedPrompt(variant.name, saved.prompt.name, candidate.thinking))


def _find_parent(current: ShownSearch, prompt: str) -> str:
    """The prompt that the search began with: the pane's, or the parent of one that was accepted before."""
    from workbench.training.search_record import find_record

    record = find_record(prompt)
    own = current.search_dir.id if current.search_dir is not None else ""
    return record.parent if record is not None and record.search == own else prompt


def _describe_figures(current: ShownSearch, candidate: Candidate) -> str:
    """What is known of it: a figure of dev alone flatters."""
    ended = current.state.ended
    if ended is not None and ended.winner.id == candidate.id:
        return "A name in the library. The winner of the search."
    return "A name in the library. Not tested on sealed cases: dev flatters what was chosen there."


def _chosen(page: OptimizePage) -> Candidate:
    """The candidate under the cursor. Raises SearchError for a refused one."""
    candidate = page.view.candidate
    if candidate is None:
        raise SearchError("This candidate was refused.", "Choose one that was tried; the middle says why.")
    return candidate


async def choose(page: OptimizePage, ui: Ui) -> None:
    """Fill in the current field; outside of the form, another search on this bench to look at."""
    field = page.form.focused_field if page.is_form_shown else ""
    session = page.searches.session
    if field == "variant":
        rows = [PickerRow(one.name, one.name, one.prompt) for one in session.variants]
    elif field == "method":
        rows = [PickerRow(name, name) for name in METHOD_NAMES]
    elif field == "reflector":
        rows = catalog.list_models(session.models, session.bench.models)
    else:
        await _open_search(page, ui)
        return
    picked = await ui.push(Picker(field.capitalize(), rows, "There is nothing to choose."))
    if picked is not None:
        page.form.write(field, picked.id)


async def _open_search(page: OptimizePage, ui: Ui) -> None:
    if page.searches.running:
        raise SearchError("A search is running.", "f7 stops it; then others can be shown.")
    found = await asyncio.to_thread(page.searches.list_dirs)
    rows = await asyncio.to_thread(lambda: [_describe_dir(one) for one in found])
    picked = await ui.push(Picker("Searches on this bench", rows, "No search on this bench yet."))
    chosen = next((one for one in found if picked is not None and one.id == picked.id), None)
    if chosen is not None:
        await asyncio.to_thread(page.searches.open, chosen)
        page.show_form(False)
        page.poll()


def _describe_dir(search_dir: SearchDir) -> PickerRow:
    state = search_dir.read_state()
    word = "running" if search_dir.is_alive() else "interrupted"
    if state.ended is not None:
        word = "improved" if state.ended.improved else "no improvement"
    request = state.started.request if state.started is not None else None
    what = f"{request.variant}, {request.method}, " if request is not None else ""
    return PickerRow(search_dir.id, search_dir.id, f"{what}{format_plural(len(state.candidates), 'candidate')}, {word}")


def _make_report(page: OptimizePage) -> SearchReport:
    current = page.current
    if current is None or current.state.ended is None:
        raise SearchError("This search has not ended.", "t ends it and tests the best so far.")
    title = f"{current.request.variant} of {Path(current.request.bench).name}"
    return SearchReport(title, current.state.ended, current.state)


async def show_report(page: OptimizePage, ui: Ui) -> None:
    """The whole result in words."""
    await ui.push(TextViewer("Result", render_search_markdown(_make_report(page))))


async def report(page: OptimizePage, ui: Ui) -> None:
    """Write the result to a file in the folder that the program was started in."""
    made = _make_report(page)
    rows = [PickerRow(suffix, suffix.removeprefix(".").upper()) for suffix in SEARCH_FORMATS]
    picked = await ui.push(Picker("Write a report", rows, ""))
    if picked is None:
        return
    folder = Path.cwd()
    name = await ui.push(
        NameInput(
            "Write the report to", f"A file name in {folder}.", f"optimize-{datetime.now():%Y%m%d-%H%M}{picked.id}"
        )
    )
    if name:
        path = folder / name if Path(name).suffix == picked.id else folder / f"{name}{picked.id}"
        await asyncio.to_thread(write_search_report, made, path)
        ui.toast(str(path), title="Report written", timeout=8)
