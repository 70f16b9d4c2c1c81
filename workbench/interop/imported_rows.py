"""The dataset of an import: its rows as JSON lines, how a bench reads them, and the cases that they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbench.datasets.case import Case
from workbench.datasets.spec import Dataset
from workbench.interop.parts import ImportedCase
from workbench.prompting.values import write_json


class ImportedRows(NamedTuple):
    """text: of the dataset's file."""

    text: str
    dataset: Dataset
    cases: tuple[Case, ...]


def write_rows(cases: Sequence[ImportedCase], name: str) -> ImportedRows:
    """name: of the file, beside the bench."""
    names = dict.fromkeys(name for case in cases for name in case.variables)
    checks = _free("checks", names)
    expected = _free("expected", names)
    description = _free("description", names)
    rows = [_make_row(case, checks, expected, description) for case in cases]
    used = {key for row in rows for key in row}
    dataset = Dataset(
        name,
        checks=checks if checks in used else "",
        expected=expected if expected in used else Dataset("").expected,
        layout="columns",
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return ImportedRows(text, dataset, tuple(_make_case(number, one) for number, one in enumerate(cases, 1)))


def _free(name: str, taken: Mapping[str, None]) -> str:
    while name in taken:
        name += "_"
    return name


def _make_row(case: ImportedCase, checks: str, expected: str, description: str) -> dict[str, Any]:
    row = {name: "" if value is None else value for name, value in case.variables.items()}
    if case.description:
        row[description] = case.description
    if case.expected is not None:
        row[expected] = case.expected
    if case.checks:
        row[checks] = _write_checks(case)
    return row


def _write_checks(case: ImportedCase) -> Any:
    return case.checks if case.threshold is None else {"parts": case.checks, "threshold": case.threshold}


def _make_case(number: int, case: ImportedCase) -> Case:
    texts = {
        name: value if isinstance(value, str) else "" if value is None else write_json(value)
        for name, value in case.variables.items()
    }
    return Case(number, texts, case.expected, number, checks=json.dumps(_write_checks(case)) if case.checks else "")
