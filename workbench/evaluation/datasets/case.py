"""Case: one row of a dataset, with its variables and the expected answer.

Knows nothing of files (see cases.py), of prompts, or of how an answer is judged.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    number: from 1, in the order of the file; a row keeps it however rows are filtered or drawn.
    expected: the right answer, None where the row has none. also: further answers that are just as right.
    line: where the row begins, from 1; in a file without lines the number of the row.
    """

    number: int
    variables: dict[str, str]
    expected: str | None = None
    line: int = 0
    also: tuple[str, ...] = ()


def overlay(case: Case, inputs: Mapping[str, str]) -> Case:
    """The case with what a person typed over it; `expected` overrides the expected answer."""
    typed = {name: text for name, text in inputs.items() if name != "expected"}
    changed = msgspec.structs.replace(case, variables={**case.variables, **typed})
    if "expected" not in inputs:
        return changed
    return msgspec.structs.replace(changed, expected=inputs["expected"], also=())
