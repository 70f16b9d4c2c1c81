"""JSON schema: the answer validates against a schema, by jsonschema.

A schema never fetches another from the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import msgspec

from workbench import files, json_schemas, paths
from workbench.datasets import Case
from workbench.errors import FileError, ScorerError
from workbench.json_schemas import SchemaError
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec
from workbench.scoring.text.json_text import find_json

_SHOWN = 5


@register(
    "json_schema",
    group="json",
    help="1 if the answer is JSON that validates against a schema",
    notes="A Markdown fence around the answer is allowed.",
    example="json_schema: {schema: {type: object, required: [name]}}",
)
class JsonSchema(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True, heavy=True)
    name: str = "json_schema"
    schema: Annotated[dict[str, Any] | bool | None, option("The schema itself")] = None
    file: Annotated[str, option("A JSON file that holds the schema, found like the dataset")] = ""

    strict: Annotated[bool, option("Allow no Markdown fence around it")] = False
    anywhere: Annotated[bool, option("Look for the JSON inside the answer, with text around it")] = False

    def __post_init__(self) -> None:
        if (self.schema is None) == (not self.file):
            raise ScorerError("expected either `schema` or `file`")
        if self.schema is not None:
            _check(self.schema)

    def build(self, folder: Path) -> Self:
        if not self.file:
            return self
        try:
            path = paths.find_input(self.file, folder)
            schema = msgspec.json.decode(files.read_text(path), type=dict[str, Any] | bool)
        except FileError as error:
            raise ScorerError(error.message, error.hint) from error
        except msgspec.DecodeError as error:
            raise ScorerError(f"{path} is not a JSON schema: {error}") from error
        return msgspec.structs.replace(self, schema=schema, file="")

    def score(self, text: str, case: Case) -> Score:
        found = find_json(text, self.strict, self.anywhere)
        if found.problem:
            return Score(self.name, 0.0, found.text, f"Not JSON: {found.problem}.")
        assert self.schema is not None  # located
        try:
            problems = json_schemas.find_problems(self.schema, found.value)
        except SchemaError as error:
            return Score(
                self.name, 0.0, found.text, f"The schema cannot be applied: {error}.", applies=False, unscored="error"
            )
        if not problems:
            return Score(self.name, 1.0, found.text, "Valid under the schema.")
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        lines = "\n".join([f"{len(problems)} violations of the schema.", *problems[:_SHOWN], *more])
        return Score(self.name, 0.0, found.text, lines)


def _check(schema: json_schemas.Schema) -> None:
    try:
        json_schemas.check_schema(schema)
    except SchemaError as error:
        raise ScorerError(f"the schema cannot be used: {error}") from error
