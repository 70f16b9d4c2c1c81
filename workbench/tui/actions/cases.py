"""Actions on cases: add the current input, write what was typed, set the expected answer, choose another dataset."""

from __future__ import annotations

import asyncio

import msgspec

from workbench import paths
from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.datasets.write_back import add_case, change_case
from workbench.errors import WorkbenchError
from workbench.runs.data_splits import find_data_splits
from workbench.runs.session import Session
from workbench.tui.actions.dialogs import pick_file, write_change
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.dataset_view import DatasetView
from workbench.tui.ui import Ui
from workbench.units import format_plural


async def keep_case(bench: BenchController, ui: Ui) -> None:
    """Add the input as it now reads to the dataset."""
    session = bench.session
    dataset, case = _dataset(session), session.case
    like = case.number if session.cases else None
    amendment = await asyncio.to_thread(add_case, dataset, bench.folder, case.variables, case.expected, like)
    if await write_change(ui, "Add this input as a case", amendment):
        session.reload_cases()
        await bench.go_to_case(amendment.number)


async def write_case(bench: BenchController, ui: Ui) -> None:
    """Write what was typed over the case into its row of the file."""
    session = bench.session
    if not session.case_is_typed:
        raise WorkbenchError("This case has no edits to write.", "Change one of its fields first.")
    dataset, case = _dataset(session), session.case
    amendment = await asyncio.to_thread(
        change_case, dataset, bench.folder, case.number, session.typed_variables(), case.expected
    )
    if await write_change(ui, f"Change case {case.number}", amendment):
        session.forget_typed(case.number)
        session.reload_cases()
        await bench.refresh()


async def expect_answer(bench: BenchController, ui: Ui) -> None:
    """Make the chosen pane's answer the expected one."""
    session, answer = bench.session, bench.chosen_pane.completion.text.strip()
    if not answer:
        raise WorkbenchError("This pane has no answer.", "Run it first: enter.")
    if not session.cases:
        session.type_input("expected", answer)
        await bench.refresh()
        return
    dataset, number = _dataset(session), session.case.number
    amendment = await asyncio.to_thread(change_case, dataset, bench.folder, number, None, answer)
    if await write_change(ui, f"Set the expected answer of case {number}", amendment):
        session.reload_cases()
        await bench.refresh()


async def choose_dataset(bench: BenchController, ui: Ui) -> None:
    """Another file of cases, or another way to read this one."""
    session = bench.session
    dataset = session.bench.dataset
    if dataset is not None:
        answers = [("edit", "Change how it is read…"), ("file", "Open another file…"), ("stay", "Cancel")]
        answer = await ui.ask("Dataset", f"This bench uses {dataset.path}.", answers)
        if answer == "stay":
            return
        dataset = dataset if answer == "edit" else None
    if dataset is None:
        path = await pick_file(ui, "Open a dataset", "cases", bench.folder)
        if path is None:
            return
        dataset = Dataset(paths.write_relative(str(path), bench.folder))
    chosen = await ui.push(DatasetView(dataset, bench.folder))
    if chosen is not None:
        cases = await asyncio.to_thread(load_cases, chosen, bench.folder)
        bench.typed.commit()
        session.choose_dataset(chosen, cases)
        await bench.refresh()


async def write_split(bench: BenchController, ui: Ui) -> None:
    """Write the automatic split into the bench, which then runs on its test rows."""
    session = bench.session
    dataset = _dataset(session)
    if dataset.auto_split is not None:
        raise WorkbenchError(
            f"This bench has an automatic split: it runs on the split {dataset.split or 'of all rows'}.",
            "ctrl+\\, then Dataset… changes it.",
        )
    found = await asyncio.to_thread(find_data_splits, dataset, bench.folder, bench.state.runs.store)
    test = found.parts.get("test")
    if found.auto is None or test is None or test.auto_split is None:
        raise WorkbenchError(
            f"Nothing to write: the data have splits of their own ({found.how}).",
            "ctrl+\\, then Dataset… chooses the one that the bench runs on.",
        )
    chosen = msgspec.structs.replace(dataset, split="test", auto_split=found.auto)
    cases = await asyncio.to_thread(load_cases, chosen, bench.folder)
    text = (
        f"{found.how[0].upper()}{found.how[1:]}.\n\nTraining and searches use this split already. Written into the"
        f" bench, it goes with the file, and the bench runs on the {format_plural(len(cases), 'test row')} alone."
    )
    answers = [("write", "Write into the bench"), ("stay", "Cancel")]
    if await ui.ask("Automatic split", text, answers) != "write":
        return
    bench.typed.commit()
    session.choose_dataset(chosen, cases)
    await bench.refresh()
    ui.toast("ctrl+s saves the bench.", title="Split written", timeout=5)


def _dataset(session: Session) -> Dataset:
    if session.bench.dataset is None:
        raise WorkbenchError("This bench has no dataset.", "ctrl+\\, then Dataset… opens one.")
    return session.bench.dataset
