"""JSON validity: the answer is one JSON value and nothing else.

Knows nothing of what the value should be (see json_fields.py).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.json_text import read_json
from workbench.evaluation.scorers.scorer import Judging, Score, Traits

_KINDS: dict[str, type[Any]] = {"any": object, "object": dict, "array": list}


class JsonValid(Judging, frozen=True, kw_only=True):
    """the answer is valid JSON, of the `kind` any, object or array; a Markdown fence around it is allowed"""

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "json_valid"
    kind: Literal["any", "object", "array"] = "any"

    def score(self, text: str, case: Case) -> Score:
        found = read_json(text)
        if found.problem:
            return Score(self.name, 0.0, found.text, f"Not JSON: {found.problem}.")
        if not isinstance(found.value, _KINDS[self.kind]):
            return Score(self.name, 0.0, found.text, f"JSON, but not an {self.kind}.")
        return Score(self.name, 1.0, found.text, "Valid JSON.")
