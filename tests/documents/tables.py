"""The tables of the documents that list what the code declares, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from tests.documents.keys import group_keys
from workbench.cli.app import COMMANDS
from workbench.cli.commands import build
from workbench.inference.sampling_fields import DEFAULTS, FIELDS
from workbench.runs.bench import Bench
from workbench.runs.file_schema import make_schema
from workbench.scoring.catalog import ScorerOption, common_options, describe_scorers
from workbench.scoring.text.extraction import STEPS
from workbench.settings import Settings
from workbench.training.recipe_fields import list_fields, list_sections

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SCALARS = {"text", "whole number", "number", "true or false"}
_TYPES = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}


def write_tables(text: str) -> str:
    """A document with its tables as they should be. A table is between `<!-- table: NAME -->` and `<!-- end -->`."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{_make(found[2])}\n{found[3]}", text)


def _make(name: str) -> str:
    kind, _, argument = name.partition(" ")
    return _MAKERS[kind](argument).strip() + "\n"


def _lay_out(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_clean(cell) for cell in row)} |" for row in cells) + "\n"


def _clean(text: str) -> str:
    """A text as it can stand in a cell: a bar would end it, and an angle bracket would begin a tag."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()).replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def _code(text: str) -> str:
    return f"`{text}`" if text and "`" not in text else text


def _list_scorers(_: str) -> str:
    entries = describe_scorers()
    parts: list[str] = []
    for group in dict.fromkeys(entry.group for entry in entries):
        parts.append(f"## {group}\n")
        for entry in (one for one in entries if one.group == group):
            parts.append(f"### {entry.name}\n\n{entry.help}. {entry.notes}".strip() + "\n")
            parts.append(f"```yaml\nscorers:\n  - {entry.example}\n```\n")
            if entry.options:
                parts.append(_list_options(entry.options))
    return "\n".join(parts)


def _list_common(_: str) -> str:
    return _list_options(common_options()) + f"\nThe steps of `extract`: {', '.join(map(_code, STEPS))}.\n"


def _list_options(options: Iterable[ScorerOption]) -> str:
    rows = (
        (
            _code(one.name),
            f"{one.type}, {one.range}" if one.range else one.type,
            _code(one.default) or "required",
            one.help,
        )
        for one in options
    )
    return _lay_out(("option", "type", "default", "meaning"), rows)


def _list_sampling(_: str) -> str:
    rows = (
        (_code(field.name), _code(_show(getattr(DEFAULTS, field.name))), _expect(field.kind, field.range), field.help)
        for field in FIELDS
    )
    return _lay_out(("field", "default", "expected", "what it does"), rows)


def _expect(kind: str, range: str) -> str:
    kinds = {
        "flag": "true or false",
        "texts": "a list of texts",
        "biases": "a mapping of texts to numbers",
        "grammar": "text",
        "schema": "a mapping",
    }
    return kinds.get(kind, range)


@cache
def read_command(name: str) -> Any:
    """A command as the command line has it."""
    group: Any = typer.main.get_command(build(name))
    return group.commands[name]


def _list_commands(_: str) -> str:
    parts: list[str] = []
    for name, line in COMMANDS.items():
        params = read_command(name).params
        arguments = [one for one in params if not one.opts[0].startswith("-")]
        shown = " ".join(_name_argument(one.metavar or one.name.upper(), one.required) for one in arguments)
        parts.append(f"## workbench {name}\n\n{line}\n\n```sh\nworkbench {name} {shown}".strip() + "\n```\n")
        rows = [
            (_code(", ".join((*one.opts, *one.secondary_opts))), _code(one.metavar or ""), one.help or "")
            for one in params
            if one.opts[0].startswith("-")
        ]
        parts.append(_lay_out(("option", "value", "meaning"), rows) if rows else "")
    return "\n".join(parts)


def _name_argument(name: str, required: bool) -> str:
    return name if required or name.startswith("[") else f"[{name}]"


def _list_bench(name: str) -> str:
    schema = make_schema(Bench)
    return _list_properties(schema if name == "Bench" else schema["$defs"][name])


def _list_settings(_: str) -> str:
    return _list_properties(make_schema(Settings))


def _list_properties(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        (
            _code(name),
            _name_type(field),
            "required" if name in required else _code(_show(field.get("default"))),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
    )
    return _lay_out(("key", "type", "default", "meaning"), rows)


def _name_type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return f"{field['$ref'].rpartition('/')[2]}"
    if "enum" in field:
        return ", ".join(_code(str(one)) if one else "empty" for one in field["enum"])
    if "anyOf" in field:
        names = dict.fromkeys(_name_type(one) for one in field["anyOf"] if one.get("type") != "null")
        if names.keys() >= _SCALARS:
            names = dict.fromkeys("value" if name in _SCALARS else name for name in names)
        return " or ".join(names)
    if field.get("type") == "array":
        return f"list of {_name_type(field['items'])}" if field.get("items") else "list"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_name_type(values)}" if isinstance(values, dict) and values else "mapping"
    return _TYPES.get(field.get("type", ""), "any value")


def _list_recipe(_: str) -> str:
    sections = {section.path: section for section in list_sections() if section.path not in ("train", "validation")}
    parts = []
    for path in ("", *sections):
        if path:
            parts.append(f"### {_code(path)}: {sections[path].explanation}\n")
        fields = [field for field in list_fields() if field.section == path]
        rows = (
            (
                _code(field.name),
                "required" if field.required else _code(_show(field.default)),
                field.explanation,
                ", ".join(_code(choice) if choice else "empty" for choice in field.choices),
            )
            for field in fields
        )
        parts.append(_lay_out(("key", "default", "meaning", "one of"), rows))
    return "\n".join(parts)


def _list_keys(_: str) -> str:
    parts: list[str] = []
    for title, rows in group_keys().items():
        shown = ((_code(id), ", ".join(map(_code, keys.split(","))), words) for id, keys, words in rows)
        parts.append(f"### {title}\n\n{_lay_out(('id', 'keys', 'what it does'), shown)}")
    return "\n".join(parts)


def _show(value: Any) -> str:
    """A default as a file has it; "" for an empty one."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value in ("", (), [], {}):
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one).replace("\n", "\\n") for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


_MAKERS: dict[str, Callable[[str], str]] = {
    "commands": _list_commands,
    "scorers": _list_scorers,
    "extraction": _list_common,
    "sampling": _list_sampling,
    "bench": _list_bench,
    "settings": _list_settings,
    "recipe": _list_recipe,
    "keys": _list_keys,
}
