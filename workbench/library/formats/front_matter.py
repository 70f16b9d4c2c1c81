"""Front matter: the YAML on top of a `.prompty` file, Prompty v1 or v2.

Knows the keys that a prompt needs (`description`, `inputs`, `template`, and ours under `metadata: workbench:`) and
leaves all others, the comments and the spacing as they are. Knows nothing of the body.
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
from workbench.library.formats.defaults import Place, apply_defaults, find_declared, find_defaults
from workbench.library.formats.reference import find_reference
from workbench.library.formats.unused import describe_unused
from workbench.library.formats.yaml_text import (
    dump_lines,
    make_yaml,
    merge_lines,
    open_map,
    parse_yaml,
    read_default,
    set_key,
)
from workbench.prompting.prompt import Mode, Placement
from workbench.prompting.values import Kind
from workbench.yaml_bounds import YAML_FAULTS

_OWN_KEYS = ("examples", "placement", "mode")


class Header(msgspec.Struct, frozen=True):
    """What the front matter says about the prompt; everything else in it is not ours.

    kinds: variable -> its type, where one is declared or its default is no text. unused: see unused.py.
    """

    description: str = ""
    defaults: Mapping[str, str] = {}
    kinds: Mapping[str, Kind] = {}
    unused: str = ""
    placement: Placement = "none"
    mode: Mode = "chat"
    examples: str = ""


_FALLBACK = Header()


def read_header(yaml: str, path: Path) -> Header:
    """The header in the text between the fences. Raises PromptError with file, line and key of all problems."""
    data = parse_yaml(yaml, path)
    reader = _Reader(CommentedMap() if data is None else data, path)
    header = reader.read()
    if reader.problems:
        raise PromptError(
            "\n".join(sorted(reader.problems, key=_find_line)), "Correct the front matter of the prompt file."
        )
    return header


def write_header(yaml: str, header: Header, path: Path, newline: str = "\n") -> str:
    """The text between the fences with this header in it; lines that say nothing else now stay as they are."""
    before = read_header(yaml, path)
    data = parse_yaml(yaml, path)
    style = make_yaml(yaml)
    lines = [line.removesuffix("\r") for line in yaml.split("\n")]
    if not lines[-1]:
        lines.pop()
    refusal = PromptError(
        f"{path}: the front matter cannot hold this prompt's settings.",
        "Simplify it: write out merge keys and aliases.",
    )
    try:
        base = dump_lines(style, data)
        root = CommentedMap() if data is None else data
        _apply(root, before, header)
        new = dump_lines(style, root)
    except YAML_FAULTS as error:  # ruamel.yaml cannot change what came through a merge key
        raise refusal from error
    for candidate in (merge_lines(lines, base, new), new):
        text = "".join(line + newline for line in candidate)
        try:
            if same(read_header(text, path), header):
                return text
        except PromptError:
            continue
    raise refusal


def same(one: Header, other: Header) -> bool:
    """Whether two headers say the same; a type follows from what is written, and what is not used is not ours."""
    bare = (msgspec.structs.replace(header, kinds={}, unused="") for header in (one, other))
    return next(bare) == next(bare)


def _find_line(problem: str) -> int:
    line = re.search(r":(\d+): `", problem)
    return int(line[1]) if line else 0


class _Reader:
    """Collects the header and every problem on the way."""

    def __init__(self, data: CommentedMap, path: Path) -> None:
        self.data = data
        self.path = path
        self.problems: list[str] = []

    def read(self) -> Header:
        data = self.data
        self._check_template(data)
        own = self._read_own(data)
        model = data.get("model")
        old = isinstance(model, Mapping) and model.get("api") == "completion"  # version 1
        defaults, implied = self._read_defaults(data)
        declared = {name: kind for name, kind in find_declared(data) if kind in get_args(Kind)}
        return Header(
            description=self._read_text(data, "description", ""),
            defaults=defaults,
            kinds={**implied, **declared},  # type: ignore[dict-item]
            unused=describe_unused(data),
            placement=self._read_choice(own, "placement", "none", get_args(Placement)),
            mode=self._read_choice(own, "mode", "completion" if old else "chat", get_args(Mode)),
            examples=self._read_text(own, "examples", "", "metadata.workbench."),
        )

    def _report(self, where: Any, key: Any, problem: str, name: str = "") -> None:
        try:
            line = where.lc.key(key)[0] if isinstance(where, CommentedMap) else where.lc.item(key)[0]
            place = f"{self.path}:{line + 2}"
        except (KeyError, TypeError, AttributeError):
            place = str(self.path)
        self.problems.append(f"{place}: `{name or key}` {problem}")

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
            self._report(where, key, "holds no keys; expected a mapping", name)
        return value if isinstance(value, CommentedMap) else CommentedMap()

    def _read_text(self, where: CommentedMap, key: str, default: str, prefix: str = "") -> str:
        value = where.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self._report(where, key, "is not a text; put it in quotes", prefix + key)
            return default
        return str(value)

    def _read_choice(self, own: CommentedMap, key: str, default: str, choices: tuple[str, ...]) -> Any:
        value = own.get(key, default)
        if value in choices:
            return str(value)
        self._report(own, key, f"is `{value}`; expected {', '.join(choices)}", f"metadata.workbench.{key}")
        return default

    def _check_template(self, data: CommentedMap) -> None:
        template = data.get("template")
        kind = template.get("format") if isinstance(template, Mapping) else template
        kind = kind.get("kind") if isinstance(kind, Mapping) else kind
        if kind not in (None, "jinja2", "nunjucks"):
            self._report(data, "template", f"asks for `{kind}`; only jinja2 and nunjucks templates can be run")

    def _read_defaults(self, data: CommentedMap) -> tuple[dict[str, str], dict[str, Kind]]:
        defaults: dict[str, str] = {}
        kinds: dict[str, Kind] = {}
        for place in find_defaults(data, self._report):
            value = place.where[place.key]
            if value is None:
                continue
            text, kind = read_default(value)
            defaults[place.name] = self._expand(place, str(text))
            if kind:
                kinds[place.name] = kind
        return defaults, kinds

    def _expand(self, place: Place, text: str) -> str:
        """A `${file:…}` is read; a `${env:…}` is left as it is, for a prompt file must not reach for secrets."""
        try:
            file = find_reference(text, self.path.parent)
            return text if file is None else files.read_text(file)
        except WorkbenchError as error:
            self._report(place.where, place.key, error.message, f"inputs.{place.name}")
            return text


def _apply(root: CommentedMap, before: Header, header: Header) -> None:
    """Put the header's values where they differ from what was there."""
    if header.description != before.description:
        set_key(root, "description", header.description)
    if header.defaults != before.defaults:
        apply_defaults(root, before.defaults, header.defaults, header.kinds)
    changed = {key: getattr(header, key) for key in _OWN_KEYS if getattr(header, key) != getattr(before, key)}
    if not changed:
        return
    metadata = open_map(root, "metadata")
    own = open_map(metadata, "workbench")
    for key, value in changed.items():
        set_key(own, key, value if value != getattr(_FALLBACK, key) or _is_old_completion(root) else "")
    for where, key, inner in ((metadata, "workbench", own), (root, "metadata", metadata)):
        if not inner:
            del where[key]


def _is_old_completion(root: CommentedMap) -> bool:
    model = root.get("model")
    return isinstance(model, Mapping) and model.get("api") == "completion"
