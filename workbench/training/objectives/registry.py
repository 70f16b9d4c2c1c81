"""The registry of objectives: every file of this package that has OBJECTIVES adds its own; nothing else has to change.

A new objective is one such file: its Objective, and the function that imports its trainer.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from workbench.training.objectives.objective import DataForm, Objective

_ORDER: tuple[DataForm, ...] = ("rows", "pairs", "labelled", "prompts")


def _find() -> Iterator[Objective]:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name != "registry":
            yield from getattr(importlib.import_module(f"{package}.{module.name}"), "OBJECTIVES", ())


OBJECTIVES: dict[str, Objective] = {
    one.name: one for one in sorted(_find(), key=lambda one: (_ORDER.index(one.data), one.name != "sft", one.name))
}
"""By name, those that learn from the same data together."""

if TYPE_CHECKING:
    ObjectiveName = str
else:
    ObjectiveName = Literal[tuple(OBJECTIVES)]
