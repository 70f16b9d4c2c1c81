"""Features: the names of classes, which files of the `datasets` library keep beside the numbers that stand for them.

A feature is ClassLabel, a list of features, an object of them, or a plain value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Namer = Callable[[Any], Any]
_DEEPEST = 32
_LISTS = ("Sequence", "List", "LargeList", "FixedSizeList")


def make_namers(features: Mapping[str, Any]) -> dict[str, Namer]:
    """For each column that holds classes, at any depth, what puts their names in the place of their numbers."""
    namers = {name: _make_namer(feature, 0) for name, feature in features.items()}
    return {name: namer for name, namer in namers.items() if namer is not None}


def _make_namer(feature: Any, depth: int) -> Namer | None:
    if depth > _DEEPEST:
        return None
    if isinstance(feature, list):
        return _over_items(_make_namer(feature[0], depth + 1) if feature else None)
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return _name_class(tuple(map(str, names))) if isinstance(names, list) else None
    if feature.get("_type") in _LISTS:
        return _over_items(_make_namer(feature.get("feature"), depth + 1))
    members = {key: _make_namer(each, depth + 1) for key, each in feature.items()}
    return _over_members({key: namer for key, namer in members.items() if namer is not None})


def _name_class(names: tuple[str, ...]) -> Namer:
    def name(value: Any) -> Any:
        if isinstance(value, list):  # a list of objects is kept as an object of lists
            return [name(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < len(names):
            return names[value] if value >= 0 else None  # -1 is no class
        return value

    return name


def _over_items(namer: Namer | None) -> Namer | None:
    if namer is None:
        return None
    return lambda value: [namer(item) for item in value] if isinstance(value, list) else namer(value)


def _over_members(namers: Mapping[str, Namer]) -> Namer | None:
    if not namers:
        return None

    def name(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: namers[key](item) if key in namers else item for key, item in value.items()}

    return name
