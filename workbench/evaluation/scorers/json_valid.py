"""JSON validity: the answer is one JSON value and nothing else.

Knows nothing of what the value should be (see json_fields.py).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from workbench.evaluation.dataset import Case
from workbench.evaluation.scorers.json_text import read_json
from workbench.evaluation.scorers.scorer import Score

_KINDS: dict[str, type[Any]] = {"any": object, "object": dict, "array": list}


class JsonValid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """the answer is valid JSON, of the `kind` any, object or array; a Markdown fence around it is allowed"""

    name: str = "json_valid"
    kind: Literal["any", "object", "array"] = "any"

    def score(self, text: str, case: Case) -> Score:
        found = read_json(text)
        if found.problem:
            return Score(self.name, 0.0, found.text, f"Not JSON: {found.problem}.")
        if not isinstance(found.value, _KINDS[self.kind]):
            return Score(self.name, 0.0, found.text, f"JSON, but not an {self.kind}.")
        return Score(self.name, 1.0, found.text, "Valid JSON.")
