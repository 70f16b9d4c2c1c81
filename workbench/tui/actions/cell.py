"""Actions on one cell of a run: read it, copy it, open it on the bench, make it the expected answer, re-run it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from workbench.datasets import Case
from workbench.datasets.turns import first_turn
from workbench.datasets.write_back import change_case
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Message
from workbench.prompting.render import render
from workbench.runs.cell import Cell
from workbench.runs.chain_client import list_sent
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.provenance import Provenance
from workbench.runs.rerun import rerun_cell
from workbench.tui.actions.dialogs import write_change
from workbench.tui.actions.matrix import MatrixPage, require_view
from workbench.tui.cell_text import describe_cell
from workbench.tui.dialogs.cell_view import CellPage, CellRequest, CellView
from workbench.tui.dialogs.difference import DifferenceView, TitledAnswer
from workbench.tui.ui import CellLocation, Ui


async def open_cell(page: MatrixPage, ui: Ui, row: int, column: int) -> None:
    """A cell in full, and what is then done with it."""
    view, browser = require_view(page), page.browser

    def read(row: int, column: int) -> CellPage:
        name = browser.names[column]
        found = view.rows(browser.filter, browser.sort, row, 1)
        if not found:
            return CellPage("gone", describe_cell(view.case(1), None, ""), 1, name)
        number = found[0].number
        cell, case = view.cell(name, number), view.case(number)
        sent = render_prompt(cell, case, page.runs.finder) if cell is not None else ""
        return CellPage(f"case {number}, {name}", describe_cell(case, cell, sent), number, name)

    request = await ui.push(CellView(read, row, column, page.table.count, len(browser.names)))
    if request is not None:
        page.table.go_to(request.row, request.column)
        await _carry_out(page, ui, request)


async def _carry_out(page: MatrixPage, ui: Ui, request: CellRequest) -> None:
    name, number = request.variant, request.case
    cell = await asyncio.to_thread(require_view(page).cell, name, number)
    if request.command == "pane":
        page.dismiss(CellLocation(number, name))
    elif cell is None:
        raise WorkbenchError("This cell is not finished yet.", "Wait for it, or choose another.")
    elif request.command == "copy":
        ui.copy(cell.completion.text)
        ui.toast(f"Copied the answer of {name}.", timeout=2)
    elif request.command == "expect":
        await _make_expected(page, ui, number, cell)
    else:
        await _rerun(page, ui, cell)


async def _make_expected(page: MatrixPage, ui: Ui, number: int, cell: Cell) -> None:
    """Make the answer the expected one of its case; the run keeps its scores."""
    session = page.runs.session
    if session.bench.dataset is None:
        raise WorkbenchError("This bench has no dataset to change.", "Open the bench of this run.")
    answer, folder = cell.completion.text.strip(), session.path.parent
    amendment = await asyncio.to_thread(change_case, session.bench.dataset, folder, number, None, answer)
    if await write_change(ui, f"Set the expected answer of case {number}", amendment):
        await asyncio.to_thread(session.reload_cases)


async def _rerun(page: MatrixPage, ui: Ui, cell: Cell) -> None:
    """Exactly this request again, and whether the answer is the same."""
    done = await asyncio.to_thread(rerun_cell, require_view(page), cell.variant, cell.case, cell.repeat, page.runs.pool)
    if done.same:
        ui.toast("The answer is the same.", title=f"Re-ran case {cell.case}, {cell.variant}", timeout=5)
        return
    before, now = TitledAnswer("then", done.before.completion.text), TitledAnswer("now", done.now.text)
    await ui.push(DifferenceView(before, [now]))


def render_prompt(cell: Cell, case: Case, finder: PassageFinder) -> str:
    """The messages that a cell's prompt became, role by role; "" where its provenance was not kept, a sentence where
    what was retrieved for it cannot be found again."""
    if not cell.provenance:
        return ""
    try:
        spec = finder.fill_spec(Provenance.decode(cell.provenance).spec(case, cell.repeat))
    except WorkbenchError as error:
        return error.message
    if spec.prompt.steps:
        return "\n\n".join(f"step {label}\n\n{_lay_out(sent)}" for label, sent in list_sent(spec, cell.steps))
    try:
        return _lay_out(render(spec.prompt, first_turn(spec.case).values, spec.examples))
    except WorkbenchError as error:
        return error.message


def _lay_out(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"{message.role}:\n{message.content}" for message in messages)
