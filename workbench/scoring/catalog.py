"""The help of the scorers as data: what each measures, its options with type, default and range, and an example."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from workbench.scoring.adjustment import Adjustment
from workbench.scoring.registry import GROUPS, ScorerKind, scorer_kinds

_TYPES: dict[Any, str] = {str: "text", bool: "true or false", int: "integer", float: "number", dict: "mapping"}
NAME_HELP = "Name of the scorer, for a bench that has two of a kind"


class ScorerOption(NamedTuple):
    """default: as it is written in a bench; "" where the option is required. range: "" where any value is allowed."""

    name: str
    type: str
    default: str
    range: str
    help: str


class ScorerHelp(NamedTuple):
    """One scorer. help: what it measures. notes: what else there is to know. example: a line of a bench."""

    name: str
    group: str
    help: str
    notes: str
    options: tuple[ScorerOption, ...]
    example: str


def describe_scorers() -> tuple[ScorerHelp, ...]:
    """Every scorer, by group."""
    return tuple(map(_describe, scorer_kinds().values()))


def common_options() -> tuple[ScorerOption, ...]:
    """The options that every scorer takes."""
    return tuple(_list_options(Adjustment))


def _describe(kind: ScorerKind) -> ScorerHelp:
    options = tuple(_list_options(kind.config))
    return ScorerHelp(kind.name, GROUPS[kind.group], kind.help, kind.notes, options, kind.example)


def _list_options(config: type[Any]) -> Iterator[ScorerOption]:
    hints = get_type_hints(config, include_extras=True)
    for field in msgspec.structs.fields(config):
        hint = hints[field.name]
        meta = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, msgspec.Meta)), None)
        value = field.default if field.default is not msgspec.NODEFAULT else {}
        default = "" if field.required else _to_yaml(msgspec.to_builtins(value))
        help = (meta.description if meta else None) or (NAME_HELP if field.name == "name" else "")
        yield ScorerOption(field.encode_name, _name_type(hint), default, _name_range(meta), help)


def _name_type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _name_type(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is tuple:
        inner = dict.fromkeys(_name_type(one) for one in arguments if one is not Ellipsis)
        return f"list of {' or '.join(inner)}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_name_type(one) for one in arguments if one is not type(None)))
    return _TYPES.get(origin or hint, "mapping")


def _name_range(meta: msgspec.Meta | None) -> str:
    if meta is None:
        return ""
    limits = (("≥", meta.ge), (">", meta.gt), ("≤", meta.le))
    return ", ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)


def _to_yaml(value: Any) -> str:
    """A default as YAML would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_to_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_to_yaml(each)}" for key, each in value.items()) + "}"
    return str(value) if value != "" else "''"
