"""JSON schema: the answer is JSON as a schema describes it (jsonschema).

Knows nothing of expected answers. A schema never fetches another from the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from workbench import files, paths
from workbench.errors import FileError, ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.json_text import read_json
from workbench.evaluation.scorers.scorer import Judging, Score, Traits

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
        from referencing.exceptions import Unresolvable

        try:
            problems = self._find_problems(found.value)
        except (Unresolvable, RecursionError) as error:
            return Score(
                self.name, 0.0, found.text, f"The schema cannot be applied: {error}", applies=False, unscored="error"
            )
        if not problems:
            return Score(self.name, 1.0, found.text, "As the schema says.")
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        told = "\n".join([f"{len(problems)} things are not as the schema says.", *problems[:_SHOWN], *more])
        return Score(self.name, 0.0, found.text, told)

    def _find_problems(self, value: Any) -> list[str]:
        """Raises Unresolvable for a reference that leads nowhere."""
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        assert self.schema is not None  # located
        kind = validator_for(self.schema, default=Draft202012Validator)
        errors = kind(self.schema, registry=Registry()).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in errors]


def _check(schema: dict[str, Any] | bool) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise ScorerError(f"the schema is not one: {error.json_path}: {error.message}") from error
