"""The specification suite of Dotprompt (google/dotprompt, folder spec), run through our import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.interop.spec_table import PASSED, SpecCase, SpecSuite
from workbench.errors import WorkbenchError
from workbench.interop.dotprompt import convert_dotprompt
from workbench.interop.parts import ImportedParts, ImportedPrompt
from workbench.interop.prompty_text import write_prompty
from workbench.interop.yaml_text import parse_text
from workbench.library.formats import prompty
from workbench.prompting.render import find_variables, render

VARIABLE = "WORKBENCH_DOTPROMPT_SPEC"
_ROLES = {"model": "assistant"}


def read_cases(folder: Path) -> Iterator[SpecCase]:
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        for suite in parse_text(path.read_text(), path.name):
            for number, test in enumerate(suite["tests"], start=1):
                body = {key: value for key, value in suite.items() if key != "tests"} | {"test": test}
                yield SpecCase(f"{name}: {suite['name']} {number}", body)


def run_case(case: Mapping[str, Any]) -> str:
    """The file is imported, written as a .prompty, opened and rendered."""
    test, parts = case["test"], ImportedParts()
    data = {**case.get("data", {}), **test.get("data", {})}
    partials = {**case.get("partials", {}), **case.get("resolverPartials", {})}
    try:
        imported = convert_dotprompt(case["template"], "case.prompt", partials, parts)
        if imported is None:
            return f"not imported: {parts.losses.losses[0].reason}"
        options = test.get("options", {}).get("input", {}).get("default", {})
        imported.defaults |= options
        return _check(imported, data, test["expect"], parts)
    except WorkbenchError as error:
        return f"refused: {error.message}"


def _check(imported: ImportedPrompt, data: Mapping[str, Any], expected: Mapping[str, Any], parts: ImportedParts) -> str:
    prompt = prompty.load(write_prompty(imported), "case", Path("case.prompty")).prompt
    values = dict(data.get("input") or {})
    if "history" in find_variables(prompt):
        values["history"] = [
            {**one, "role": _ROLES.get(one["role"], one["role"])} for one in data.get("messages") or []
        ]
    found = [(one.role, one.content) for one in render(prompt, values)] if imported.messages else []
    wanted = [_flatten(one) for one in expected["messages"]]
    if found != wanted:
        return f"other messages: {found!r}"
    schema = (expected.get("output") or {}).get("schema")
    if schema != imported.schema:
        lost = [one.reason for one in parts.losses.losses if one.reason.startswith("output.schema")]
        return f"other schema: {lost[0] if lost else imported.schema!r}"
    if (expected.get("config") or {}) != {key: imported.options[key] for key in expected.get("config") or {}}:
        return f"other options: {imported.options!r}"
    kept = {one.reason for one in parts.losses.losses if one.noun == "keys"}
    missing = [key for key in _list_extensions(expected) if key not in kept]
    return f"a key is neither used nor named: {missing[0]}" if missing else PASSED


def _flatten(message: Mapping[str, Any]) -> tuple[str, str]:
    """The role and the text of a message; parts that are no text have none, and metadata is no part of a message."""
    content = "".join(str(part.get("text", part.get("media", ""))) for part in message["content"])
    return _ROLES.get(message["role"], message["role"]), content


def _list_extensions(expected: Mapping[str, Any]) -> list[str]:
    """The keys of the front matter that are Dotprompt's own extensions: here they are named as lost."""
    spread = [f"{space}.{key}" for space, fields in (expected.get("ext") or {}).items() for key in fields]
    return [*spread, *(key for key in expected.get("raw") or {} if key != "config")]


DOTPROMPT = SpecSuite("dotprompt", VARIABLE, read_cases, run_case)
