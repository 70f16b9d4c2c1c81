"""The registry of scorers: each registers itself where it is written, with its help and an example.

A new scorer is one file in scoring/scorers/: a class with `score`, its options as fields annotated with `option`, and
the decorator `register`. Nothing else has to change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

Config = TypeVar("Config", bound=type[Any])

Group = Literal["match", "overlap", "json", "code", "likelihood", "judge", "tools", "usage", "retrieval", "combined"]

GROUPS: dict[Group, str] = {
    "match": "Exact and pattern matching",
    "overlap": "Overlap with a reference",
    "json": "JSON",
    "code": "Your own code",
    "likelihood": "Likelihood under the model",
    "judge": "Model as a judge",
    "tools": "Tool calls",
    "usage": "Time, length and cost",
    "retrieval": "Retrieved passages",
    "combined": "Combination",
}
"""In the order in which they are listed."""


class ScorerKind(NamedTuple):
    """One scorer there is.

    config: the struct its options are decoded into; `build` makes the scorer of it. help: what it measures, in one
    line. example: a line of a bench.
    """

    name: str
    config: type[Any]
    group: Group
    help: str
    example: str
    notes: str


_KINDS: dict[str, ScorerKind] = {}


def register(name: str, *, group: Group, help: str, example: str, notes: str = "") -> Callable[[Config], Config]:
    """Make a scorer available to benches under this name."""

    def add(config: Config) -> Config:
        if name in _KINDS and _KINDS[name].config.__qualname__ != config.__qualname__:
            raise ValueError(f"two scorers are registered as {name}: {_KINDS[name].config} and {config}")
        _KINDS[name] = ScorerKind(name, config, group, help, example, notes)
        return config

    return add


def option(help: str, *, gt: float | None = None, ge: float | None = None, le: float | None = None) -> msgspec.Meta:
    """The help and the range of an option, for the annotation of its field."""
    if gt is not None:
        return msgspec.Meta(description=help, gt=gt, le=le)
    return msgspec.Meta(description=help, ge=ge, le=le)


def scorer_kinds() -> dict[str, ScorerKind]:
    """Every scorer by name, in the order of the groups, then of the files, whichever was imported first."""
    _import_scorers()
    order = list(GROUPS)
    return dict(sorted(_KINDS.items(), key=lambda item: (order.index(item[1].group), item[1].config.__module__)))


def list_scorers() -> dict[str, str]:
    """Each scorer's name and what it measures, in one line."""
    return {kind.name: kind.help for kind in scorer_kinds().values()}


@cache
def _import_scorers() -> None:
    # found in the package instead of listed by hand: a scorer's own file is all that a new one needs
    from workbench.scoring import scorers

    for module in pkgutil.iter_modules(scorers.__path__):
        importlib.import_module(f"{scorers.__name__}.{module.name}")
