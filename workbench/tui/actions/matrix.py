"""What a person does with a run: begin, pause and stop it, look at it from all sides, keep what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgspec

from workbench.errors import WorkbenchError
from workbench.evaluation.again import run_again
from workbench.evaluation.bench import Variant
from workbench.evaluation.cell import Cell
from workbench.evaluation.datasets import Case
from workbench.evaluation.datasets.amend import change_case
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.plan import Plan
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.view import RunView, Sort
from workbench.evaluation.votes import Votes
from workbench.evaluation.words import tell
from workbench.prompting.render import render
from workbench.store.runs import change_run
from workbench.tui.actions.cases import write
from workbench.tui.actions.flow import ask, flow, settle_trust
from workbench.tui.cell_text import describe_cell
from workbench.tui.change_text import describe_changes
from workbench.tui.dialogs.cell_view import CellPage, CellView, Wanted
from workbench.tui.dialogs.confusion import ConfusionView
from workbench.tui.dialogs.difference import Answer, Difference
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Choice, Picker
from workbench.tui.dialogs.plots import Dot, Plots
from workbench.tui.dialogs.reader import Reader
from workbench.tui.figures import show_bytes, show_seconds

if TYPE_CHECKING:
    from workbench.evaluation.run import Evaluation
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.screens.matrix import MatrixScreen

LONG_SECONDS = 60.0
MANY_CELLS = 5_000
"""a run that may take longer, or has more cells and no estimate, asks before it begins"""


_REPORTS = (
    Choice("html", "HTML", "one page with charts and every case, for anyone's browser"),
    Choice("md", "Markdown", "tables and findings, for a pull request"),
    Choice("json", "JSON", "scores, intervals and pairs, for a program"),
    Choice("csv", "CSV", "every cell, for a spreadsheet"),
    Choice("parquet", "Parquet", "every cell, for data frames"),
)


@flow
async def run(screen: MatrixScreen) -> None:
    """Begin a run of the bench, or go on with the one on show if it was stopped."""
    evaluations = screen.evaluations
    if evaluations.current is not None and evaluations.current.running:
        screen.notify("The run goes on: space pauses it, x stops it.", timeout=3)
        return
    if not await settle_trust(screen, evaluations.session):
        raise WorkbenchError("The run needs the bench's code to judge answers.", "Agree to it, or remove that scorer.")
    stopped = screen.view is not None and screen.view.state in ("stopped", "interrupted")
    await _start(screen, (lambda: evaluations.prepare_again(screen.run)) if stopped else evaluations.prepare)


async def _start(screen: MatrixScreen, prepare: Callable[[], tuple[Evaluation, Plan]]) -> None:
    """Begin what was prepared, after a question where it would take long."""
    evaluation, plan = await asyncio.to_thread(prepare)
    screen.tell("\n".join([*plan.problems, *plan.warnings]))
    if _is_long(plan):
        answer = await ask(screen, "Run the whole dataset", describe_plan(plan), [("run", "Run"), ("stay", "Not now")])
        if answer == "stay":
            return
    screen.run = ""
    screen.evaluations.begin(evaluation, plan)


@flow
async def raise_limit(screen: MatrixScreen) -> None:
    """Give the variants whose answers were cut off a higher max_tokens, and run the bench again."""
    session = screen.evaluations.session
    cut = {one.name: one.cut for one in screen.summary.variants if one.cut} if screen.summary else {}
    places = {at: variant for at, variant in enumerate(session.variants) if variant.name in cut}
    if not places:
        screen.notify("No answer of the open bench was cut off.", timeout=3)
        return
    highest = max(variant.sampling.max_tokens for variant in places.values())
    names = ", ".join(variant.name for variant in places.values())
    told = (
        f"{sum(cut.values()):,} answers of {names} were cut off, at up to {highest:,} tokens. Complete ones are reused."
    )
    typed = await screen.app.push_screen_wait(NameInput("A higher max_tokens", told, str(4 * highest)))
    if typed is None:
        return
    if not typed.isdecimal() or int(typed) <= highest:
        raise WorkbenchError(f"max_tokens: expected a number above {highest:,}, found {typed}.", "Try again.")
    for at, variant in places.items():
        session.change_variant(at, sampling=msgspec.structs.replace(variant.sampling, max_tokens=int(typed)))
    await _start(screen, screen.evaluations.prepare)


def _is_long(plan: Plan) -> bool:
    left = plan.cells - plan.done - plan.cached
    return left > MANY_CELLS if plan.seconds is None else plan.seconds > LONG_SECONDS


def describe_plan(plan: Plan) -> str:
    """What a run is about to do, in a few lines."""
    about = "about " if plan.estimated else ""
    lines = [f"{plan.cases:,} cases × {plan.variants} variants" + (f" × {plan.repeats}" if plan.repeats > 1 else "")]
    lines.append(f"{plan.cells:,} cells, {plan.done:,} done, {about}{plan.cached:,} answers known already")
    lines += [
        f"{model.model}: {model.cells:,} cells ({', '.join(model.variants)}), {show_bytes(model.memory_bytes)}"
        for model in plan.models
    ]
    lines.append(f"time: about {show_seconds(plan.seconds)}" if plan.seconds is not None else "time: not known yet")
    lines.append(f"memory: {show_bytes(plan.memory_bytes)} at most; {show_bytes(plan.free_bytes)} are free")
    return "\n".join([*lines, *plan.problems])


def pause(screen: MatrixScreen) -> None:
    """Pause the run, or go on with it."""
    current = screen.evaluations.current
    if current is not None and current.running:
        current.turn_pause()
    else:
        screen.notify("Nothing runs; ctrl+r begins.", timeout=3)


def pause_model(screen: MatrixScreen) -> None:
    """Pause the model of the column under the cursor alone, or go on with it."""
    current = screen.evaluations.current
    if current is not None and current.running and screen.names:
        screen.notify(current.turn_pause_of(screen.names[screen.table.column]), timeout=3)
    else:
        screen.notify("Nothing runs; ctrl+r begins.", timeout=3)


@flow
async def stop(screen: MatrixScreen) -> None:
    """End the run; what is finished is kept."""
    current = screen.evaluations.current
    if current is None or not current.running:
        screen.notify("Nothing runs.", timeout=3)
        return
    current.stop()
    screen.notify("Stopping. Finished cells are kept; ctrl+r goes on later.", timeout=4)


@flow
async def choose_class(screen: MatrixScreen) -> None:
    """Only the cases with one expected answer."""
    view = _view(screen)
    answers = await asyncio.to_thread(lambda: view.answers)
    choices = [Choice("all", "all classes"), *(Choice(f"={answer}", answer or "(empty)") for answer in answers)]
    picked = await screen.app.push_screen_wait(Picker("Only this expected answer", choices, "No case names one."))
    if picked is not None:
        screen.change_filter(expected=None if picked.id == "all" else picked.id.removeprefix("="))


@flow
async def choose_order(screen: MatrixScreen) -> None:
    """By case, by a variant's score, or by how much the variants disagree."""
    choices = [Choice("case", "as in the file"), Choice("disagreement", "most disagreement first")]
    choices += [Choice(f"+{name}", f"{name}: lowest score first") for name in screen.names]
    choices += [Choice(f"-{name}", f"{name}: highest score first") for name in screen.names]
    picked = await screen.app.push_screen_wait(Picker("Sort", choices, ""))
    if picked is None:
        return
    if picked.id == "case":
        screen.sort = Sort()
    elif picked.id == "disagreement":
        screen.sort = Sort("disagreement", metric=screen.metric, descending=True)
    else:
        screen.sort = Sort("score", picked.id[1:], screen.metric, descending=picked.id[0] == "-")
    screen.look_anew()


@flow
async def plot(screen: MatrixScreen) -> None:
    """Scores with their intervals, against time and tokens."""
    if screen.summary is None:
        raise WorkbenchError("There are no figures yet.", "They come with the first finished cells.")
    dots = [
        Dot(
            variant.name,
            variant.scores[screen.metric].value,
            variant.scores[screen.metric].low,
            variant.scores[screen.metric].high,
            variant.latency_p50,
            variant.tokens_in + variant.tokens_out,
        )
        for variant in screen.summary.variants
        if screen.metric in variant.scores and variant.scores[screen.metric].n
    ]
    if not dots:
        raise WorkbenchError(f"No cell has a value of {screen.metric} yet.", "m turns to another metric.")
    await screen.app.push_screen_wait(Plots(screen.metric.replace("_", " "), dots))


@flow
async def confusion(screen: MatrixScreen) -> None:
    """What was answered for what."""
    tables = screen.summary.confusion if screen.summary is not None else ()
    if not tables:
        raise WorkbenchError(
            "There is no confusion matrix.", "It needs finished cells and expected answers that repeat, as labels do."
        )
    names = [table.variant for table in tables]
    here = screen.names[screen.table.column]
    await screen.app.push_screen_wait(ConfusionView(tables, names.index(here) if here in names else 0))


@flow
async def open_run(screen: MatrixScreen) -> None:
    """An earlier run of any bench."""
    picked = await _pick_run(screen, "Runs")
    if picked:
        screen.show_run(picked)


async def _pick_run(screen: MatrixScreen, title: str, without: str = "") -> str:
    from workbench.store.damage import describe_damaged_runs
    from workbench.tui.run_list import list_choices

    store = screen.evaluations.store
    listed = await asyncio.to_thread(list_choices, store)
    if damaged := await asyncio.to_thread(describe_damaged_runs, store):
        screen.tell(damaged)
    choices = [choice for choice in listed if choice.id != without]
    empty = "No other run yet: ctrl+r begins one."
    picked = await screen.app.push_screen_wait(Picker(title, choices, empty, (), screen.run))
    return picked.id if picked is not None else ""


@flow
async def open_cell(screen: MatrixScreen, row: int, column: int) -> None:
    """A cell in full, and what a person then wants with it."""
    view = _view(screen)
    names = screen.names

    def read(row: int, column: int) -> CellPage:
        found = view.rows(screen.filter, screen.sort, row, 1)
        if not found:
            return CellPage("gone", describe_cell(view.case(1), None, ""), 1, names[column])
        number = found[0].number
        cell, case = view.cell(names[column], number), view.case(number)
        sent = tell_prompt(cell, case) if cell is not None else ""
        return CellPage(f"case {number}, {names[column]}", describe_cell(case, cell, sent), number, names[column])

    wanted = await screen.app.push_screen_wait(CellView(read, row, column, screen.table.count, len(names)))
    if wanted is not None:
        screen.table.go_to(wanted.row, wanted.column)
        await _carry_out(screen, wanted)


async def _carry_out(screen: MatrixScreen, wanted: Wanted) -> None:
    """What a person wants with the cell they looked at."""
    view, name, number = _view(screen), wanted.variant, wanted.case
    cell = await asyncio.to_thread(view.cell, name, number)
    if wanted.wish == "pane":
        screen.show_on_bench(number, name)
    elif cell is None:
        raise WorkbenchError("This cell is not finished yet.", "Wait for it, or choose another.")
    elif wanted.wish == "copy":
        screen.app.copy_to_clipboard(cell.completion.text)
        screen.notify(f"Copied the answer of {name}.", timeout=2)
    elif wanted.wish == "expect":
        await _make_expected(screen, number, cell)
    else:
        await _run_again(screen, cell)


async def _make_expected(screen: MatrixScreen, number: int, cell: Cell) -> None:
    """The answer becomes the expected one of its case; the run keeps what it was scored by."""
    session = screen.evaluations.session
    if session.bench.dataset is None:
        raise WorkbenchError("This bench has no dataset to change.", "Open the bench that was run.")
    answer, folder = cell.completion.text.strip(), session.path.parent
    amendment = await asyncio.to_thread(change_case, session.bench.dataset, folder, number, None, answer)
    if await write(screen, f"Make this the expected answer of case {number}", amendment):
        await asyncio.to_thread(session.reload_cases)


async def _run_again(screen: MatrixScreen, cell: Cell) -> None:
    """Exactly this again, and whether the answer is the same."""
    view = _view(screen)
    done = await asyncio.to_thread(run_again, view, cell.variant, cell.case, cell.repeat, screen.evaluations.pool)
    if done.same:
        screen.notify("The same answer as then.", title=f"Case {cell.case}, {cell.variant}")
        return
    then, now = Answer("then", done.before.completion.text), Answer("now", done.now.text)
    await screen.app.push_screen_wait(Difference(then, [now]))


@flow
async def vote(screen: MatrixScreen) -> None:
    """Which of two answers is better, without knowing whose they are."""
    view, evaluations = _view(screen), screen.evaluations
    votes = await asyncio.to_thread(Votes, evaluations.store, view)
    await _app(screen).show_votes(votes, lambda: evaluations.figures.rate(view.id))


@flow
async def compare_runs(screen: MatrixScreen) -> None:
    """What was fixed and what broke since an earlier run."""
    view = _view(screen)
    earlier = await _pick_run(screen, "Compare with which earlier run?", without=view.id)
    if earlier:
        asked = screen.evaluations.figures.compare(view.id, earlier, screen.metric)
        changes = await asyncio.wrap_future(asked)
        await screen.app.push_screen_wait(Reader(f"{view.id} against {earlier}", describe_changes(changes)))


@flow
async def report(screen: MatrixScreen) -> None:
    """The results as a file beside the bench."""
    view, summary = _view(screen), screen.summary
    if summary is None:
        raise WorkbenchError("There are no figures yet.", "They come with the first finished cells.")
    picked = await screen.app.push_screen_wait(Picker("Write a report", _REPORTS, ""))
    if picked is None:
        return
    path = screen.evaluations.session.path.parent / f"{view.run.bench}-{view.id}.{picked.id}"
    await asyncio.to_thread(screen.evaluations.write_report, view.id, summary, path)
    screen.notify(str(path), title="Wrote", timeout=6)


@flow
async def annotate(screen: MatrixScreen) -> None:
    """A person's own words about the run."""
    run = _view(screen).run
    note = await screen.app.push_screen_wait(NameInput("Note", "Kept with the run, shown in the list.", run.note))
    if note is not None:
        await asyncio.to_thread(change_run, screen.evaluations.store, run.key, note=note)


@flow
async def pin(screen: MatrixScreen) -> None:
    """Make the run the baseline that later ones are compared with, or no longer."""
    run = _view(screen).run
    await asyncio.to_thread(change_run, screen.evaluations.store, run.key, pinned=not run.pinned)
    screen.notify("No longer a baseline." if run.pinned else "This run is a baseline now.", timeout=3)


@flow
async def in_words(screen: MatrixScreen) -> None:
    """What the figures say, in a paragraph."""
    if screen.summary is None:
        raise WorkbenchError("There are no figures yet.", "They come with the first finished cells.")
    said = [tell(screen.summary, screen.metric), *(f"Note: {note}" for note in screen.summary.notes)]
    await screen.app.push_screen_wait(Reader("What the figures say", "\n\n".join(said)))


def tell_prompt(cell: Cell, case: Case) -> str:
    """The messages that a cell's prompt became, role by role; "" where its provenance was not kept."""
    if not cell.provenance:
        return ""
    draft = Provenance.decode(cell.provenance).draft(case, cell.repeat)
    variant = Variant("", "", "", examples_off=tuple(draft.examples_off))
    messages = render(draft.prompt, case.values, enabled_examples(variant, draft.prompt))
    return "\n\n".join(f"{message.role}:\n{message.content}" for message in messages)


def _app(screen: MatrixScreen) -> WorkbenchApp:
    return cast("WorkbenchApp", screen.app)


def _view(screen: MatrixScreen) -> RunView:
    if screen.view is None:
        raise WorkbenchError("There is no run to look at yet.", "ctrl+r begins one; o opens an earlier one.")
    return screen.view
