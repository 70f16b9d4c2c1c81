"""The kinds of file that are fuzzed: what makes valid ones, and what reads them.

A kind is added by a module of its own in this package that decorates a function; `discover` imports them all.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .mutations import mutate

Read = Callable[[Path], object]
"""Reads the file or folder as the product does. It may raise WorkbenchError; anything else is a fault."""

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of input.

    make_seeds writes valid files (or folders) into an empty folder and returns their paths; a mutant has the name
    of its seed, and other bytes in one file, as mutate changes them.
    """

    name: str
    make_seeds: Callable[[Path], list[Path]]
    read: Read
    mutate: Mutate = mutate


KINDS: dict[str, Kind] = {}


def kind(name: str, make_seeds: Callable[[Path], list[Path]], mutate: Mutate = mutate) -> Callable[[Read], Read]:
    """Registers the decorated function as the reader of a kind of input."""

    def register(read: Read) -> Read:
        if name in KINDS:
            raise ValueError(f"two kinds are called {name}")
        KINDS[name] = Kind(name, make_seeds, read, mutate)
        return read

    return register


def discover() -> dict[str, Kind]:
    """Every kind there is, by name. Modules of this package called `fuzz_*` register theirs when imported."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("fuzz_"):
            importlib.import_module(f"tests.fuzz.{module.name}")
    return KINDS
