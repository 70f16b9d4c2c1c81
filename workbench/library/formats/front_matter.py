"""Front matter: the YAML on top of a `.prompty` file, Prompty v1 or v2.

Knows the keys that a prompt needs (`description`, `inputs`, `template`, and ours under `metadata: workbench:`) and
leaves all others, the comments and the spacing as they are. Knows nothing of the body.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from workbench import files
from workbench.errors import PromptError, WorkbenchError
from workbench.library.formats.reference import find_reference
from workbench.prompting.prompt import Mode, Placement

_OWN_KEYS = ("examples", "placement", "mode")


class Header(msgspec.Struct, frozen=True):
    """What the front matter says about the prompt; everything else in it is not ours."""

    description: str = ""
    defaults: Mapping[str, str] = {}
    placement: Placement = "none"
    mode: Mode = "chat"
    examples: str = ""


_FALLBACK = Header()


def read_header(yaml: str, path: Path) -> Header:
    """The header in the text between the fences. Raises PromptError with file, line and key of all problems."""
    data = _parse(yaml, path)
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
    data = _parse(yaml, path)
    style = _make_yaml(yaml)
    base = _dump(style, data)
    root = CommentedMap() if data is None else data
    _apply(root, before, header)
    new = _dump(style, root)
    lines = [line.removesuffix("\r") for line in yaml.split("\n")]
    if not lines[-1]:
        lines.pop()
    for candidate in (_merge(lines, base, new), new):
        text = "".join(line + newline for line in candidate)
        try:
            if read_header(text, path) == header:
                return text
        except PromptError:
            continue
    raise PromptError(f"{path}: the front matter cannot hold this prompt's settings.", "Simplify the front matter.")


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
        return Header(
            description=self._read_text(data, "description", ""),
            defaults=self._read_defaults(data),
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
        if kind not in (None, "jinja2"):
            self._report(data, "template", f"asks for `{kind}`; only jinja2 templates can be run")

    def _read_defaults(self, data: CommentedMap) -> dict[str, str]:
        defaults: dict[str, str] = {}
        for place in _find_defaults(data, self):
            value = place.where[place.key]
            if value is not None:
                defaults[place.name] = self._expand(place, _make_text(value))
        return defaults

    def _expand(self, place: _Place, text: str) -> str:
        """A `${file:…}` is read; a `${env:…}` is left as it is, for a prompt file must not reach for secrets."""
        try:
            file = find_reference(text, self.path.parent)
            return text if file is None else files.read_text(file)
        except WorkbenchError as error:
            self._report(place.where, place.key, error.message, f"inputs.{place.name}")
            return text


class _Place(NamedTuple):
    """Where the default of an input is written: `where[key]`."""

    name: str
    where: Any
    key: Any


def _find_defaults(data: CommentedMap, reader: _Reader | None = None) -> list[_Place]:
    """The places of all defaults, in the forms of both versions."""
    places: dict[str, _Place] = {}
    sample = data.get("sample")  # version 1
    if isinstance(sample, CommentedMap):
        places = {str(name): _Place(str(name), sample, name) for name in sample}
    inputs = data.get("inputs")
    if isinstance(inputs, CommentedMap):
        for name, value in inputs.items():
            places |= _find_default(str(name), inputs, name, value)
    elif isinstance(inputs, CommentedSeq):
        for number, value in enumerate(inputs):
            if isinstance(value, CommentedMap) and isinstance(value.get("name"), str):
                places |= _find_default(str(value["name"]), inputs, number, value)
            elif reader:
                reader._report(inputs, number, "has no `name`", f"inputs[{number}]")
    elif inputs is not None and reader:
        reader._report(data, "inputs", "is neither a list nor a mapping")
    return list(places.values())


def _find_default(name: str, where: Any, key: Any, value: Any) -> dict[str, _Place]:
    if not isinstance(value, CommentedMap):
        return {} if isinstance(where, CommentedSeq) else {name: _Place(name, where, key)}
    written = next((each for each in ("default", "sample") if each in value), None)
    return {name: _Place(name, value, written)} if written else {}


def _apply(root: CommentedMap, before: Header, header: Header) -> None:
    """Put the header's values where they differ from what was there."""
    if header.description != before.description:
        _set(root, "description", header.description)
    if header.defaults != before.defaults:
        _apply_defaults(root, before.defaults, header.defaults)
    changed = {key: getattr(header, key) for key in _OWN_KEYS if getattr(header, key) != getattr(before, key)}
    if not changed:
        return
    metadata = _open_map(root, "metadata")
    own = _open_map(metadata, "workbench")
    for key, value in changed.items():
        _set(own, key, value if value != getattr(_FALLBACK, key) or _is_old_completion(root) else "")
    for where, key, inner in ((metadata, "workbench", own), (root, "metadata", metadata)):
        if not inner:
            del where[key]


def _apply_defaults(root: CommentedMap, before: Mapping[str, str], defaults: Mapping[str, str]) -> None:
    places = {place.name: place for place in _find_defaults(root)}
    for name in before.keys() - defaults.keys():
        place = places[name]
        del place.where[place.key]
    for name, value in defaults.items():
        if before.get(name) == value:
            continue
        if name in places:
            place = places[name]
            place.where[place.key] = _make_scalar(value)
        else:
            _add_default(root, name, value)


def _add_default(root: CommentedMap, name: str, value: str) -> None:
    inputs = root.get("inputs")
    if isinstance(inputs, CommentedSeq):
        known = [item for item in inputs if isinstance(item, CommentedMap) and item.get("name") == name]
        if not known:
            known = [CommentedMap(name=_make_scalar(name))]
            inputs.append(known[0])
        known[0]["default"] = _make_scalar(value)
        return
    inputs = _open_map(root, "inputs")
    known_map = next((inputs[key] for key in inputs if str(key) == name), None)
    if isinstance(known_map, CommentedMap):
        known_map["default"] = _make_scalar(value)
    else:
        inputs[_make_scalar(name)] = _make_scalar(value)


def _open_map(where: CommentedMap, key: str) -> CommentedMap:
    if not isinstance(where.get(key), CommentedMap):
        where[key] = CommentedMap()
    return where[key]  # type: ignore[no-any-return]


def _set(where: CommentedMap, key: str, value: str) -> None:
    """Set a key; an empty value leaves it out."""
    if value:
        where[key] = _make_scalar(value)
    else:
        where.pop(key, None)


def _is_old_completion(root: CommentedMap) -> bool:
    model = root.get("model")
    return isinstance(model, Mapping) and model.get("api") == "completion"


def _make_scalar(text: str) -> str:
    """The text in the form that reads best and is still read back as it is."""
    lines = text.split("\n")
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    if len(lines) > 1 and plain and lines[0] and lines[0][0] not in " #" and lines[-2]:
        return str.__new__(LiteralScalarString, text)
    return text if plain and len(lines) == 1 else str.__new__(DoubleQuotedScalarString, text)


def _make_text(value: Any) -> str:
    """A default as the template sees it: numbers as they are written, lists and mappings as YAML."""
    if isinstance(value, str):
        return str(value)
    return "\n".join(_dump(_make_yaml(""), CommentedMap(value=value))).removeprefix("value:").strip()


def _parse(yaml: str, path: Path) -> Any:
    try:
        data = _make_yaml(yaml).load(yaml)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 2}" if mark else str(path)
        raise PromptError(f"{place}: the front matter is not YAML: {error.problem or error.context}.") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise PromptError(f"{path}: the front matter is not YAML: {error}.") from error
    if data is not None and not isinstance(data, CommentedMap):
        raise PromptError(f"{path}:2: the front matter is not a mapping of keys to values.")
    return data


def _make_yaml(like: str) -> YAML:
    """A YAML reader and writer that indents as the text does."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.allow_unicode = True
    if dash := re.search(r"^( *)[^\s#-][^\n]*:[ \t]*\r?\n( *)- ", like, re.MULTILINE):
        offset = len(dash[2]) - len(dash[1])
        yaml.indent(sequence=offset + 2, offset=offset)
    if step := re.search(r"^( *)[^\s#-][^\n]*:[ \t]*\r?\n( +)[^\s#-]", like, re.MULTILINE):
        yaml.indent(mapping=max(len(step[2]) - len(step[1]), 1))
    return yaml


def _dump(yaml: YAML, data: CommentedMap | None) -> list[str]:
    if not data:
        return []
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue().split("\n")[:-1]


def _merge(original: list[str], base: list[str], new: list[str]) -> list[str]:
    """The original lines with the changes that lead from `base` to `new`; comments are never taken away.

    `base` is the original as the YAML writer would space it, line by line; where it is not, `new` is the answer.
    """
    if len(original) != len(base):
        return [*original, *new] if not base else new
    merged: list[str] = []
    for kind, start, end, first, last in difflib.SequenceMatcher(None, base, new, autojunk=False).get_opcodes():
        if kind == "equal":
            merged += original[start:end]
            continue
        kept = {line.strip() for line in new[first:last]}
        comments = [line for line in original[start:end] if _is_comment(line) and line.strip() not in kept]
        while last > first and merged and _is_comment(merged[-1]) and _indent(merged[-1]) < _indent(new[first]):
            comments.insert(0, merged.pop())  # it speaks of what comes after the inner lines
        merged += new[first:last] + comments
    return merged


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
