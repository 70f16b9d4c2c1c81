"""The YAML front matter of a `.prompty` file, Prompty v1 or v2.

It reads the keys that a prompt needs (`description`, `inputs`, `template`, `tools`, and ours under `metadata:
workbench:`) and keeps all others, the comments and the spacing as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from ruamel.yaml.comments import CommentedMap

from workbench import files
from workbench.errors import PromptError, WorkbenchError
from workbench.library.formats.defaults import (
    DefaultLocation,
    apply_defaults,
    find_declared,
    find_defaults,
    open_map,
    read_default,
)
from workbench.library.formats.file_reference import find_reference
from workbench.library.formats.model_options import read_options
from workbench.library.formats.steps import read_steps, write_steps
from workbench.library.formats.tool_declarations import read_tools
from workbench.library.formats.unsupported import describe_unsupported
from workbench.library.names import CHAIN_SUFFIX
from workbench.prompting.prompt import Mode, Placement, PromptStep
from workbench.prompting.tools import Tool
from workbench.prompting.values import Kind
from workbench.yaml_edit import amend
from workbench.yaml_tree import YAML_FAULTS, YamlParseError, YamlProblem, find_line, parse_yaml, to_plain

_OWN_KEYS = ("examples", "placement", "mode", "nearest")


class FrontMatter(msgspec.Struct, frozen=True):
    """What the front matter says about the prompt; everything else in it is not ours.

    kinds: variable -> its type, where one is declared or its default is not text. unsupported: see unsupported.py.
    tags: by which the prompt is found; read, never written.
    """

    description: str = ""
    defaults: Mapping[str, str] = {}
    kinds: Mapping[str, Kind] = {}
    unsupported: str = ""
    placement: Placement = "none"
    mode: Mode = "chat"
    examples: str = ""
    nearest: int = 0
    tags: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    steps: tuple[PromptStep, ...] = ()
    options: Mapping[str, Any] = {}


_FALLBACK = FrontMatter()


def read_front_matter(yaml: str, path: Path) -> FrontMatter:
    """The header in the text between the fences. Raises PromptError with file, line and key of all problems."""
    reader = _FrontMatterReader(_parse(yaml, path), path)
    header = reader.read()
    if reader.problems:
        raise PromptError(
            "\n".join(sorted(reader.problems, key=_find_line)), "Correct the front matter of the prompt file."
        )
    return header


def write_front_matter(yaml: str, header: FrontMatter, path: Path, newline: str = "\n") -> str:
    """The text between the fences with this header in it; every line that says nothing else now stays as it is."""
    before = read_front_matter(yaml, path)
    root = _parse(yaml, path)
    try:
        _apply(root, before, header)
        text = amend(yaml.replace("\r\n", "\n"), to_plain(root, strict=False))
        if text is not None and same(read_front_matter(text, path), header):
            return (text if not text or text.endswith("\n") else text + "\n").replace("\n", newline)
    except (PromptError, *YAML_FAULTS):
        pass  # such as a value that came through a merge key
    raise PromptError(
        f"{path}: the front matter cannot hold this prompt's settings.",
        "Simplify it: write out merge keys and aliases.",
    )


def _parse(yaml: str, path: Path) -> CommentedMap:
    try:
        data = parse_yaml(yaml)
    except YamlParseError as error:
        line, message, _ = error.problem
        where = f"{path}:{line + lines_above(path)}" if line else str(path)
        raise PromptError(f"{where}: the front matter is not YAML: {message}.") from error
    if data is not None and not isinstance(data, CommentedMap):
        raise PromptError(f"{path}:{1 + lines_above(path)}: the front matter is not a mapping of keys to values.")
    return CommentedMap() if data is None else data


def lines_above(path: Path) -> int:
    """Lines of a file before its YAML: the fence, which a `.chain.yaml` has not."""
    return 0 if path.name.endswith(CHAIN_SUFFIX) else 1


def same(one: FrontMatter, other: FrontMatter) -> bool:
    """Whether two headers say the same; a type follows from what is written, what is not used is not ours, and only a
    person writes tags, tools and options."""
    bare = (
        msgspec.structs.replace(each, kinds={}, unsupported="", tags=(), tools=(), options={}) for each in (one, other)
    )
    return next(bare) == next(bare)


def _find_line(problem: str) -> int:
    line = re.search(r":(\d+): `", problem)
    return int(line[1]) if line else 0


class _FrontMatterReader:
    """Collects the header and every problem on the way."""

    def __init__(self, data: CommentedMap, path: Path) -> None:
        self.data = data
        self.path = path
        self.problems: list[str] = []

    def read(self) -> FrontMatter:
        data = self.data
        self._check_template(data)
        own = self._read_own(data)
        model = data.get("model")
        old = isinstance(model, Mapping) and model.get("api") == "completion"  # version 1
        defaults, implied = self._read_defaults(data)
        declared = {name: kind for name, kind in find_declared(data) if kind in get_args(Kind)}
        return FrontMatter(
            description=self._read_text(data, "description", ""),
            defaults=defaults,
            kinds={**implied, **declared},  # type: ignore[dict-item]
            unsupported=describe_unsupported(data),
            placement=self._read_choice(own, "placement", "none", get_args(Placement)),
            mode=self._read_choice(own, "mode", "completion" if old else "chat", get_args(Mode)),
            examples=self._read_text(own, "examples", "", "metadata.workbench."),
            nearest=self._read_count(own, "nearest"),
            tags=_read_tags(data),
            tools=read_tools(data.get("tools"), lambda problem: self._report_text(data, "tools", problem)),
            steps=read_steps(data, self._report_problem),
            options=read_options(data, self._report),
        )

    def _report_problem(self, problem: YamlProblem) -> None:
        location = f"{self.path}:{problem.line + lines_above(self.path)}" if problem.line else str(self.path)
        self.problems.append(f"{location}: {problem.message}")

    def _report(self, where: Any, key: Any, problem: str, name: str = "") -> None:
        line = find_line(where, key, 0)
        location = f"{self.path}:{line + lines_above(self.path)}" if line else str(self.path)
        self.problems.append(f"{location}: `{name or key}` {problem}")

    def _report_text(self, where: Any, key: str, problem: str) -> None:
        line = find_line(where, key, 0)
        location = f"{self.path}:{line + lines_above(self.path)}" if line else str(self.path)
        self.problems.append(f"{location}: {problem}")

    def _read_own(self, data: CommentedMap) -> CommentedMap:
        metadata = self._read_map(data, "metadata", "metadata")
        own = self._read_map(metadata, "workbench", "metadata.workbench")
        for key in own:
            if key not in _OWN_KEYS:
                near = difflib.get_close_matches(str(key), _OWN_KEYS, 1)
                hint = f"; did you mean `{near[0]}`?" if near else f"; the keys are {', '.join(_OWN_KEYS)}"
                self._report(own, key, f"is not a key of the workbench{hint}", f"metadata.workbench.{key}")
        return own

    def _read_map(self, where: CommentedMap, key: str, name: str) -> CommentedMap:
        value = where.get(key)
        if value is not None and not isinstance(value, CommentedMap):
            self._report(where, key, "is not a mapping", name)
        return value if isinstance(value, CommentedMap) else CommentedMap()

    def _read_text(self, where: CommentedMap, key: str, default: str, prefix: str = "") -> str:
        value = where.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self._report(where, key, "is not a string; put it in quotes", prefix + key)
            return default
        return str(value)

    def _read_choice(self, own: CommentedMap, key: str, default: str, choices: tuple[str, ...]) -> Any:
        value = own.get(key, default)
        if value in choices:
            return str(value)
        self._report(own, key, f"is `{value}`; expected {', '.join(choices)}", f"metadata.workbench.{key}")
        return default

    def _read_count(self, own: CommentedMap, key: str) -> int:
        value = own.get(key, 0)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return int(value)
        self._report(own, key, f"is `{value}`; expected a number from 0", f"metadata.workbench.{key}")
        return 0

    def _check_template(self, data: CommentedMap) -> None:
        template = data.get("template")
        kind = template.get("format") if isinstance(template, Mapping) else template
        kind = kind.get("kind") if isinstance(kind, Mapping) else kind
        if kind not in (None, "jinja2", "nunjucks"):
            self._report(data, "template", f"asks for `{kind}`; only jinja2 and nunjucks templates can be run")

    def _read_defaults(self, data: CommentedMap) -> tuple[dict[str, str], dict[str, Kind]]:
        defaults: dict[str, str] = {}
        kinds: dict[str, Kind] = {}
        for location in find_defaults(data, self._report):
            value = location.where[location.key]
            if value is None:
                continue
            text, kind = read_default(value)
            defaults[location.name] = self._expand(location, str(text))
            if kind:
                kinds[location.name] = kind
        return defaults, kinds

    def _expand(self, location: DefaultLocation, text: str) -> str:
        """A `${file:…}` is read; a `${env:…}` is left as it is, for a prompt file must not reach for secrets."""
        try:
            file = find_reference(text, self.path.parent)
            return text if file is None else files.read_text(file)
        except WorkbenchError as error:
            self._report(location.where, location.key, error.message, f"inputs.{location.name}")
            return text


def _read_tags(data: CommentedMap) -> tuple[str, ...]:
    """`metadata.tags`, or `tags` as version 1 has them: a list, or words with commas between. Others are not ours."""
    metadata = data.get("metadata")
    held = metadata.get("tags") if isinstance(metadata, Mapping) else None
    given = held if held is not None else data.get("tags")
    words = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else ()
    return tuple(dict.fromkeys(text for word in words if isinstance(word, str | int) and (text := str(word).strip())))


def _apply(root: CommentedMap, before: FrontMatter, header: FrontMatter) -> None:
    """Put the header's values where they differ from what was there."""
    if header.description != before.description:
        _set(root, "description", header.description)
    if header.defaults != before.defaults:
        apply_defaults(root, before.defaults, header.defaults, header.kinds)
    if header.steps != before.steps:
        _set(root, "steps", write_steps(header.steps))
    changed = {key: getattr(header, key) for key in _OWN_KEYS if getattr(header, key) != getattr(before, key)}
    if not changed:
        return
    metadata = open_map(root, "metadata")
    own = open_map(metadata, "workbench")
    for key, value in changed.items():
        _set(own, key, value if value != getattr(_FALLBACK, key) or _is_old_completion(root) else "")
    for where, key, inner in ((metadata, "workbench", own), (root, "metadata", metadata)):
        if not inner:
            del where[key]


def _set(where: CommentedMap, key: str, value: str | int | list[Any]) -> None:
    """Set a key; an empty value leaves it out."""
    if value:
        where[key] = value
    else:
        where.pop(key, None)


def _is_old_completion(root: CommentedMap) -> bool:
    model = root.get("model")
    return isinstance(model, Mapping) and model.get("api") == "completion"
