"""Case: one row of a dataset, with its variables and the expected answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.prompting.values import read_json, split_typed
from workbench.retrieval.passage import Passage, Reference, show_passages


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    number: from 1, in the order of the file; a row keeps it however rows are filtered or drawn.
    expected: the right answer, None where the row has none. also: further answers that are just as right.
    line: where the row begins, from 1; in a file without lines the number of the row.
    checks: scorers of this case alone, as JSON; see the scorer `checks`. Empty: none.
    typed: the variables whose column holds another type than text, so that their text is JSON: `false`, `1.50`, a list.
        A JsonText given among the variables is kept so.
    relevant: the documents, or spans of them, that answer it. passages: those that were retrieved for it, or for the
        first of its turns. turn_passages: for each of its turns, where it has any.
    retrieved_by: how, such as bm25; empty: its variant knows nothing of passages.
    """

    number: int
    variables: dict[str, str]
    expected: str | None = None
    line: int = 0
    also: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()
    checks: str = ""
    relevant: tuple[Reference, ...] = ()
    passages: tuple[Passage, ...] = ()
    retrieved_by: str = ""
    turn_passages: tuple[tuple[Passage, ...], ...] = ()

    def __post_init__(self) -> None:
        if split := split_typed(self.variables, self.typed):
            msgspec.structs.force_setattr(self, "variables", split.texts)
            msgspec.structs.force_setattr(self, "typed", split.names)

    @property
    def values(self) -> dict[str, Any]:
        """The variables as a template sees them: typed ones as the value that their text is the JSON of; `passages`
        where its variant knows of them."""
        values = {name: read_json(text) if name in self.typed else text for name, text in self.variables.items()}
        return {**values, "passages": show_passages(self.passages)} if self.retrieved_by else values

    @property
    def all_passages(self) -> tuple[Passage, ...]:
        """What was retrieved, for any of its turns, each passage once."""
        found = {one.id: one for passages in (self.passages, *self.turn_passages) for one in passages}
        return tuple(found.values())


def with_inputs(case: Case, inputs: Mapping[str, str]) -> Case:
    """The case with what a person typed over it; `expected` overrides the expected answer."""
    typed = {name: text for name, text in inputs.items() if name != "expected"}
    changed = msgspec.structs.replace(case, variables={**case.variables, **typed})
    if "expected" not in inputs:
        return changed
    return msgspec.structs.replace(changed, expected=inputs["expected"], also=())
