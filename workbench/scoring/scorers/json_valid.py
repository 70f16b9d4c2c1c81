"""JSON validity: the answer is one JSON value and nothing else."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from workbench.datasets import Case
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec
from workbench.scoring.text.json_text import find_json

_KINDS: dict[str, type[Any]] = {"any": object, "object": dict, "array": list}


@register(
    "json_valid",
    group="json",
    help="1 if the answer is valid JSON; a Markdown fence around it is allowed",
    example="json_valid: {kind: object}",
)
class JsonValid(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "json_valid"
    strict: Annotated[bool, option("Allow no Markdown fence around it")] = False
    anywhere: Annotated[bool, option("Look for it inside the answer, with text around it")] = False
    kind: Annotated[Literal["any", "object", "array"], option("Required type of the value")] = "any"

    def score(self, text: str, case: Case) -> Score:
        found = find_json(text, self.strict, self.anywhere)
        if found.problem:
            return Score(self.name, 0.0, found.text, f"Not JSON: {found.problem}.")
        if not isinstance(found.value, _KINDS[self.kind]):
            return Score(self.name, 0.0, found.text, f"JSON, but not an {self.kind}.")
        return Score(self.name, 1.0, found.text, "Valid JSON.")
