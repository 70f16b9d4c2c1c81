"""How a bench answers tool calls, and how a variant's calls are held to their schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from workbench.datasets.turns import ToolResult
from workbench.errors import PromptError
from workbench.inference.types import Sampling
from workbench.prompting.tools import Tool

MOST_ROUNDS = 50
LONGEST_CALL = 3600.0
"""seconds"""

ANSWER = "answer"
"""The key of an answer that is no call, where calls are constrained."""


class ToolFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A Python file whose functions answer the calls that neither case nor bench has a result for, each those of the
    tool of its name. It runs only after a person trusted it, as a `python` scorer does, in a process of its own.

    file: found like the dataset. timeout_seconds: of a call. network: whether it may reach other machines.
    environment: names of variables that it may see.
    """

    file: str
    timeout_seconds: float = 10.0
    network: bool = False
    environment: tuple[str, ...] = ()


class ToolSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What tools answer in every case, and how long a model may call them.

    results: what a tool answers where the case says nothing of it; without any result, calls end the answer.
    python: functions that answer what is left. rounds: the most answers of the model to one message, the last of which
    ends the loop whatever it calls.
    """

    results: tuple[ToolResult, ...] = ()
    rounds: int = 8
    python: ToolFile | None = None


NO_SETUP = ToolSetup()


def find_setup_problems(setup: ToolSetup) -> list[str]:
    """What cannot be, each with the key it is under."""
    problems = []
    if not 1 <= setup.rounds <= MOST_ROUNDS:
        problems.append(f"tools.rounds: expected a number from 1 to {MOST_ROUNDS}, found {setup.rounds}")
    for at, one in enumerate(setup.results):
        if not one.tool.strip():
            problems.append(f"tools.results[{at}].tool is empty")
        if one.error and one.result:
            problems.append(f"tools.results[{at}]: expected `result` or `error`, found both")
    if setup.python is not None:
        problems.extend(_find_file_problems(setup.python))
    return problems


def _find_file_problems(file: ToolFile) -> Iterator[str]:
    if not file.file.strip():
        yield "tools.python.file is empty"
    if not 0 < file.timeout_seconds <= LONGEST_CALL:
        yield (
            f"tools.python.timeout_seconds: expected a number above 0, at most {LONGEST_CALL:g}, found"
            f" {file.timeout_seconds:g}"
        )
    for name in file.environment:
        if not name.replace("_", "a").isalnum() or not name.isascii() or name[0].isdigit():
            yield f"tools.python.environment: expected names of variables, such as [MY_API_KEY]; found {name!r}"


def constrain_calls(sampling: Sampling, tools: Sequence[Tool]) -> Sampling:
    """The sampling of a variant whose calls are constrained. Raises PromptError for one that is constrained already."""
    given = [name for name in ("json_schema", "grammar", "regex") if getattr(sampling, name)]
    if given:
        raise PromptError(
            f"constrained_calls holds the answer to the schema of a call, and the sampling has {given[0]} as well.",
            f"Remove {given[0]} from the variant's sampling, or constrained_calls from the variant.",
        )
    return msgspec.structs.replace(sampling, json_schema=make_call_schema(tools))


def make_call_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON schema of an answer that is one call of these tools, or `{"answer": "…"}`."""
    calls = [_make_object(name={"const": tool.name}, arguments=_close(tool.schema)) for tool in tools]
    return {"anyOf": [*calls, _make_object(**{ANSWER: {"type": "string"}})]}


def _make_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _close(schema: dict[str, Any]) -> dict[str, Any]:
    """A tool's schema without arguments that it does not name, unless it asks for them."""
    return {"additionalProperties": False, **schema}
