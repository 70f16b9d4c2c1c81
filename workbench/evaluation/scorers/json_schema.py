"""JSON schema: the answer is JSON as a schema describes it (jsonschema).

Knows nothing of expected answers. A schema never fetches another from the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from workbench import files, json_schemas, paths
from workbench.errors import FileError, ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.json_text import read_json
from workbench.evaluation.scorers.scorer import Judging, Score, Traits
from workbench.json_schemas import SchemaError

_SHOWN = 5


class JsonSchema(Judging, frozen=True, kw_only=True):
    """the answer is JSON as a schema describes it: `schema` in the bench, or `file`

    A Markdown fence around the answer is allowed. schema: in the bench itself. file: a JSON file that holds it.
    """

    traits: ClassVar[Traits] = Traits(binary=True, heavy=True)
    name: str = "json_schema"
    schema: dict[str, Any] | bool | None = None
    file: str = ""

    def __post_init__(self) -> None:
        if (self.schema is None) == (not self.file):
            raise ScorerError("expected either `schema` or `file`")
        if self.schema is not None:
            _check(self.schema)

    def locate(self, folder: Path) -> Self:
        if not self.file:
            return self
        try:
            path = paths.find_input(self.file, folder)
            schema = msgspec.json.decode(files.read_text(path), type=dict[str, Any] | bool)
        except FileError as error:
            raise ScorerError(error.message, error.hint) from error
        except msgspec.DecodeError as error:
            raise ScorerError(f"{path} is no JSON schema: {error}") from error
        return msgspec.structs.replace(self, schema=schema, file="")

    def score(self, text: str, case: Case) -> Score:
        found = read_json(text)
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
            return Score(self.name, 1.0, found.text, "As the schema says.")
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        told = "\n".join([f"{len(problems)} things are not as the schema says.", *problems[:_SHOWN], *more])
        return Score(self.name, 0.0, found.text, told)


def _check(schema: json_schemas.Schema) -> None:
    try:
        json_schemas.check_schema(schema)
    except SchemaError as error:
        raise ScorerError(f"the schema cannot be used: {error}") from error
