"""The `steps:` of a prompt that is a chain, in the front matter of a `.prompty` or in a `.chain.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from ruamel.yaml.comments import CommentedMap

from workbench.prompting.prompt import PromptStep
from workbench.yaml_document import find_problems
from workbench.yaml_tree import YamlProblem, to_plain

_CONTENT = "content"
"""A field of the steps that is not written into files: what was looked up."""


class _StepList(msgspec.Struct, frozen=True):
    steps: tuple[PromptStep, ...] = ()


def read_steps(data: CommentedMap, report: Callable[[YamlProblem], None]) -> tuple[PromptStep, ...]:
    """The steps that a front matter has; none where something is wrong with them, which is reported."""
    if data.get("steps") is None:
        return ()
    tree = CommentedMap({"steps": data["steps"]})
    problems = list(find_problems(tree, _StepList))
    if problems:
        for one in problems:
            report(one)
        return ()
    plain = to_plain(tree)
    if any(_CONTENT in one for step in plain["steps"] for one in (step, step.get("verify") or {})):
        report(YamlProblem(0, f"steps: `{_CONTENT}` is not a key of a step"))
        return ()
    return msgspec.convert(plain, _StepList).steps


def write_steps(steps: Sequence[PromptStep]) -> list[dict[str, Any]]:
    """The steps as a file holds them: fields at their default, and what was looked up, left out."""
    written: list[dict[str, Any]] = msgspec.to_builtins(steps)
    for step in written:
        step.pop(_CONTENT, None)
        step.get("verify", {}).pop(_CONTENT, None)
    return written
