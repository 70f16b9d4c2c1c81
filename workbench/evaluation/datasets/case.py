"""Case: one row of a dataset, with its variables and the expected answer.

Knows nothing of files (see cases.py), of prompts, or of how an answer is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.prompting.values import read_json, split_typed


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    number: from 1, in the order of the file; a row keeps it however rows are filtered or drawn.
    expected: the right answer, None where the row has none. also: further answers that are just as right.
    line: where the row begins, from 1; in a file without lines the number of the row.
    typed: the variables whose column holds another type than text, so that their text is JSON: `false`, `1.50`, a list.
        A JsonText given among the variables is kept so.
    """

    number: int
    variables: dict[str, str]
    expected: str | None = None
    line: int = 0
    also: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if split := split_typed(self.variables, self.typed):
            msgspec.structs.force_setattr(self, "variables", split.texts)
            msgspec.structs.force_setattr(self, "typed", split.names)

    @property
    def values(self) -> dict[str, Any]:
        """The variables as a template sees them: typed ones as the value that their text is the JSON of."""
        return {name: read_json(text) if name in self.typed else text for name, text in self.variables.items()}


def overlay(case: Case, inputs: Mapping[str, str]) -> Case:
    """The case with what a person typed over it; `expected` overrides the expected answer."""
    typed = {name: text for name, text in inputs.items() if name != "expected"}
    changed = msgspec.structs.replace(case, variables={**case.variables, **typed})
    if "expected" not in inputs:
        return changed
    return msgspec.structs.replace(changed, expected=inputs["expected"], also=())
