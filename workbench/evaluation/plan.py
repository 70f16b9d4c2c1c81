"""Plan: what a run is about to do: how many cells, on which models in which order, how long and how much memory.

Knows nothing of carrying it out (run.py).
"""

from __future__ import annotations

import msgspec


class PlannedModel(msgspec.Struct, frozen=True):
    """A model that will be loaded. variants: in the order they run. cells: still to do; cached: how many of those have
    their answer already. memory_bytes: 0 where it is not known. seconds: estimate; None where nothing is known.
    problem: why its cells will fail; "" when nothing is wrong so far."""

    model: str
    variants: tuple[str, ...]
    cells: int
    cached: int = 0
    memory_bytes: int = 0
    seconds: float | None = None
    problem: str = ""


class Plan(msgspec.Struct, frozen=True):
    """cells = cases x variants x repeats; done: those that an earlier attempt finished. models: in loading order.

    cached: cells whose answer is known already; counted over a sample where there are very many (`estimated`).
    seconds: estimate for all that is left; None where nothing is known. memory_bytes: the most that is in use at once.
    free_bytes: memory that is free now. problems: what will make cells fail, in words.
    """

    cells: int
    cases: int
    variants: int
    repeats: int
    done: int = 0
    cached: int = 0
    estimated: bool = False
    models: tuple[PlannedModel, ...] = ()
    seconds: float | None = None
    memory_bytes: int = 0
    free_bytes: int = 0
    problems: tuple[str, ...] = ()
