"""What a person does with the cases: keep an input as one, correct what is expected, take another file of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import Dataset
from workbench.evaluation.datasets import load_cases
from workbench.evaluation.datasets.amend import Amendment, add_case, change_case
from workbench.tui.actions.flow import ask, flow, pick_file
from workbench.tui.dialogs.dataset_view import DatasetView

if TYPE_CHECKING:
    from workbench.evaluation.session import Session
    from workbench.tui.screens.bench import BenchScreen

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".xlsx", ".parquet")
_LONGEST = 24


@flow
async def keep_case(screen: BenchScreen) -> None:
    """The input as it now reads, as a further case of the dataset."""
    session = screen.session
    dataset, case = _dataset(session), session.case
    like = case.number if session.cases else None
    amendment = await asyncio.to_thread(add_case, dataset, screen.folder, case.variables, case.expected, like)
    if await write(screen, "Keep this input as a case", amendment):
        session.reload_cases()
        await screen.go_to_case(amendment.number)


@flow
async def write_case(screen: BenchScreen) -> None:
    """What was typed over the case, into its row of the file."""
    session = screen.session
    if not session.case_is_typed:
        raise WorkbenchError("Nothing is typed over this case.", "Change one of its fields first.")
    dataset, case = _dataset(session), session.case
    amendment = await asyncio.to_thread(
        change_case, dataset, screen.folder, case.number, session.typed_variables(), case.expected
    )
    if await write(screen, f"Change case {case.number}", amendment):
        session.forget_typed(case.number)
        session.reload_cases()
        await screen.refresh_after_change()


@flow
async def expect_answer(screen: BenchScreen) -> None:
    """The chosen pane's answer becomes the expected one."""
    session, pane = screen.session, screen.panes[screen.chosen]
    answer = pane.completion.text.strip()
    if not answer:
        raise WorkbenchError("This pane has no answer.", "Run it first.")
    if not session.cases:
        session.type_input("expected", answer)
        await screen.refresh_after_change()
        return
    dataset, number = _dataset(session), session.case.number
    amendment = await asyncio.to_thread(change_case, dataset, screen.folder, number, None, answer)
    if await write(screen, f"Make this the expected answer of case {number}", amendment):
        session.reload_cases()
        await screen.refresh_after_change()


@flow
async def choose_dataset(screen: BenchScreen) -> None:
    """Another file of cases, or other words for how this one is read."""
    session = screen.session
    dataset = session.bench.dataset
    if dataset is not None:
        title, text = "Dataset", f"This bench uses {dataset.path}."
        answer = await ask(
            screen, title, text, [("edit", "How it is read…"), ("file", "Another file…"), ("stay", "Cancel")]
        )
        if answer == "stay":
            return
        dataset = dataset if answer == "edit" else None
    if dataset is None:
        path = await pick_file(screen, "A file of cases", SUFFIXES)
        if path is None:
            return
        dataset = Dataset(_relative(path, screen.folder))
    chosen = await screen.app.push_screen_wait(DatasetView(dataset, screen.folder))
    if chosen is not None:
        cases = await asyncio.to_thread(load_cases, chosen, screen.folder)
        screen.gather()
        session.choose_dataset(chosen, cases)
        await screen.refresh_after_change()


async def write(screen: Screen[Any], title: str, amendment: Amendment) -> bool:
    """Show a change of the file and write it when a person agrees; whether it was written."""
    lines = amendment.preview().splitlines()
    more = [f"… {len(lines) - _LONGEST} more lines"] if len(lines) > _LONGEST else []
    answer = await ask(screen, title, "\n".join(lines[:_LONGEST] + more), [("write", "Write it"), ("stay", "Cancel")])
    if answer != "write":
        return False
    await asyncio.to_thread(amendment.apply)
    screen.notify(f"{amendment.path.name} was changed.", timeout=3)
    return True


def _dataset(session: Session) -> Dataset:
    if session.bench.dataset is None:
        raise WorkbenchError("This bench has no dataset to keep a case in.", "ctrl+k, then Dataset… takes a file.")
    return session.bench.dataset


def _relative(path: Path, folder: Path) -> str:
    try:
        return str(path.relative_to(folder))
    except ValueError:
        return str(path)
