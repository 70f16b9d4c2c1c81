"""Prompty's conformance vectors, as its packages and repository have them: render, parse, load, wire, and the corpus of
its Jinja subset (`prompty/jinja_subset/conformance` in the package prompty 2.1.0), run through our reader.

Vectors are lists in `NAME_vectors.json` files, or JSON in the `.tsp` files of the folder schema/model/conformance; the
files that they name are in a folder `fixtures`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.interop.spec_table import PASSED, SpecCase, SpecSuite
from workbench.errors import WorkbenchError
from workbench.inference.types import Sampling
from workbench.interop.exported import Exported
from workbench.interop.handlebars import HandlebarsError, convert_handlebars
from workbench.interop.prompt_export import write_request
from workbench.library.formats import prompty
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.render import render
from workbench.runs.prompt_options import with_options
from workbench.yaml_render import render_block

VARIABLE = "WORKBENCH_PROMPTY_SPEC"
_QUOTED = re.compile(r'"""\n(.*?)"""', re.DOTALL)
_THREAD = re.compile(r"__PROMPTY_THREAD_[0-9a-f]{8}_(\w+?)__")
_LEFT_OUT = ("description", "stage", "provider", "targetApi")
"""keys of a vector that change nothing of what it asks"""


def read_cases(folder: Path) -> Iterator[SpecCase]:
    for stage in ("render", "parse", "load", "wire"):
        for vector in _read_vectors(folder, stage):
            body = {key: value for key, value in vector.items() if key not in _LEFT_OUT}
            for path in sorted(folder.rglob(f"fixtures/{vector['input'].get('fixture', '?')}")):
                body["input"] = {**body["input"], "text": path.read_text()}
            yield SpecCase(f"{stage}: {vector['name']}", {"stage": stage, **body})
    for path in sorted(folder.rglob("render_golden.json")):
        for one in json.loads(path.read_text()):
            yield SpecCase(f"jinja: {one['name']}", {"stage": "jinja", **one})
    for path in sorted(folder.rglob("segments_golden.json")):
        for one in json.loads(path.read_text()):
            yield SpecCase(f"segments: {one['name']}", {"stage": "segments", **one})


def _read_vectors(folder: Path, stage: str) -> list[dict[str, Any]]:
    for path in sorted(folder.rglob(f"{stage}_vectors.json")):
        return json.loads(path.read_text())
    for path in sorted(folder.rglob(f"{stage}.tsp")):
        quoted = _QUOTED.search(path.read_text())
        assert quoted is not None
        return json.loads(re.sub(r"\\([\\$])", r"\1", quoted[1]))
    return []


def run_case(case: Mapping[str, Any]) -> str:
    run = {"render": _render, "parse": _parse, "load": _load, "wire": _wire, "jinja": _jinja, "segments": _segments}
    try:
        return run[case["stage"]](case)
    except (WorkbenchError, HandlebarsError) as error:
        refused = getattr(error, "message", str(error))
        return PASSED if "error" in (case.get("expected") or {}) else f"refused: {refused.splitlines()[0]}"


def _is(found: Any, wanted: Any) -> str:
    return PASSED if found == wanted else f"other: {json.dumps(found, ensure_ascii=False)}"


def _fill(template: str, inputs: Mapping[str, Any]) -> str:
    return "".join(one.content for one in render(Prompt("p", template, mode="completion"), inputs))


def _render(case: Mapping[str, Any]) -> str:
    given, expected = case["input"], case["expected"]
    template = given["template"]
    threads = [name for name, value in given["inputs"].items() if isinstance(value, dict) and "_kind" in value]
    if threads:  # how a marker looks is the runtime's own: what counts is where the messages come to stand
        prompt = Prompt("p", template, kinds=dict.fromkeys(threads, "thread"))
        found = [one.content for one in render(prompt, given["inputs"])]
        wanted = [one["content"] for name in threads for one in given["inputs"][name]["messages"]]
        return PASSED if found[1:-1] == wanted else f"other: {found!r}"
    if given["engine"] == "mustache":
        template = "".join(one.text for one in convert_handlebars(template, mustache=True))
    return _is(_fill(template, given["inputs"]), expected["rendered"])


def _jinja(case: Mapping[str, Any]) -> str:
    if case.get("expect_throw") or "rendered" not in case:
        return PASSED if _is_refused(case) else "no error"
    return _is(_fill(case["template"], case["inputs"]), case["rendered"])


def _is_refused(case: Mapping[str, Any]) -> bool:
    try:
        _fill(case["template"], case["inputs"])
    except WorkbenchError:
        return True
    return False


def _segments(case: Mapping[str, Any]) -> str:
    """What a value brings is never a role: each message has the text of the pieces that its template has of it."""
    found = [one.content for one in render(Prompt("p", case["template"]), case["inputs"])]
    values = [str(value) for value in case["inputs"].values()]
    kept = all(any(value.strip() in text for text in found) for value in values)
    roles = sum(line.strip().lower() in ("system:", "user:", "assistant:") for line in case["template"].split("\n"))
    return PASSED if kept and len(found) == roles else f"other: {found!r}"


def _parse(case: Mapping[str, Any]) -> str:
    threads = case["input"].get("thread_inputs", {})
    text = _THREAD.sub(r"{{ \1 }}", case["input"]["rendered"])
    prompt = Prompt("p", text, kinds=dict.fromkeys(threads, "thread"))
    found = [(one.role, one.content) for one in render(prompt, threads)]
    wanted = [(one["role"], "".join(part["value"] for part in one["content"])) for one in case["expected"]["messages"]]
    return PASSED if found == wanted else f"other: {json.dumps(found, ensure_ascii=False)}"


def _load(case: Mapping[str, Any]) -> str:
    given, expected = case["input"], case["expected"]
    if "fixture" in given and "text" not in given:
        return PASSED if expected.get("error") else "not run: the file of the vector is not there"
    inputs = (given.get("frontmatter") or {}).get("inputs") or []
    body = "user:\n" + "".join(f"{{{{ {one['name']} }}}}\n" for one in inputs)
    text = given.get("text") or given.get("frontmatter_raw") or f"---\n{render_block(given['frontmatter'])}---\n{body}"
    prompt = prompty.load(text, "p", Path("p.prompty")).prompt
    if expected.get("error"):
        render(prompt, given.get("inputs") or {})
        return "no error"
    if "validated_inputs" in expected:
        return _is(dict(prompt.defaults), expected["validated_inputs"])
    if other := _compare_loaded(prompt, expected):
        return other
    others = {*expected} - {"kind", "name", "description", "inputs", "instructions", "metadata", "template"}
    used = not any(expected[key] for key in others) or ([*others] == ["tools"] and prompt.tools)
    return PASSED if used else f"named as not used: {prompt.unsupported}" if prompt.unsupported else "not named"


def _compare_loaded(prompt: Prompt, expected: Mapping[str, Any]) -> str:
    """What of a file is read and used came out otherwise; "" where nothing did."""
    if "instructions" in expected and prompt.body.strip() != expected["instructions"]:
        return f"other body: {prompt.body!r}"
    if expected.get("inputs"):
        wanted = {one["name"]: str(one["default"]) for one in expected["inputs"]}
        kinds = {one["name"]: one["kind"] for one in expected["inputs"]}
        if dict(prompt.defaults) != wanted or dict(prompt.kinds) != kinds:
            return f"other inputs: {prompt.defaults!r} {prompt.kinds!r}"
    functions = [one["name"] for one in expected.get("tools") or () if one["kind"] == "function"]
    if "tools" in expected and [one.name for one in prompt.tools] != functions:
        return f"other tools: {prompt.tools!r}"
    options = ((expected.get("model") or {}).get("options") or {}).items()
    names = {"temperature": "temperature", "maxOutputTokens": "max_tokens"}
    found = {names[key]: value for key, value in options}
    return "" if "model" not in expected or dict(prompt.options) == found else f"other options: {prompt.options!r}"


def _wire(case: Mapping[str, Any]) -> str:
    given = case["input"]
    front = {"model": {"options": given["options"]}, "tools": given["tools"], "outputs": given["outputs"]}
    text = f"---\n{render_block({key: value for key, value in front.items() if value})}---\nuser:\nx\n"
    prompt = prompty.load(text, "p", Path("p.prompty")).prompt
    if other := [part["kind"] for one in given["messages"] for part in one["content"] if part["kind"] != "text"]:
        return f"not run: a message cannot hold {other[0]} by address"
    messages = [Message(one["role"], "".join(part["value"] for part in one["content"])) for one in given["messages"]]
    sampling = with_options(Sampling(), prompt)
    found = json.loads(write_request(messages, prompt, sampling, Exported(), "p", given["model_id"]))
    wanted = case["expected"]["request_body"]
    for always in ("temperature", "max_tokens"):  # they are always sent, since servers draw by default
        if always not in wanted:
            if always == "max_tokens" and "max_completion_tokens" in wanted:
                wanted = {**wanted, always: wanted["max_completion_tokens"]}
                del wanted["max_completion_tokens"]
            else:
                del found[always]
    return _is(found, wanted)


PROMPTY = SpecSuite("prompty", VARIABLE, read_cases, run_case)
