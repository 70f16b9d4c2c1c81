"""Shards: one run divided into parts of about the same size, each carried out by itself and into a store of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from workbench.datasets import Case
from workbench.errors import BenchError
from workbench.runs.bench import Variant


class Shard(msgspec.Struct, frozen=True):
    """Part `number` (from 1) of `count` parts."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """The shard that a person writes as `3/8`. Raises BenchError."""
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise BenchError(
            f"--shard: expected N/M with N from 1 to M, found {text!r}.", "Write `--shard 3/8` for the third of eight."
        )
    return Shard(number, count)


def divide(variants: Sequence[Variant], cases: int, shard: Shard | None) -> tuple[range, ...]:
    """The cases of each variant that a shard runs, as positions in the dataset, by the variant's index.

    All cells stand in a line in which those of a model, of its adapters and of a prompt follow each other, and each
    shard takes an equal stretch of it. So a prefix is computed by as few shards as possible, and a model loaded by as
    few; the repeats of a case stay together. It depends on the bench and the number of cases alone, not on the machine.
    Without a shard: all cases of every variant. Raises BenchError where there are more shards than questions.
    """
    if shard is None:
        return (range(cases),) * len(variants)
    questions = len(variants) * cases
    if shard.count > questions:
        raise BenchError(
            f"--shard {shard}: {len(variants):,} variants x {cases:,} cases cannot be divided into {shard.count:,}"
            " shards.",
            f"Use {questions:,} shards at most.",
        )
    begin = questions * (shard.number - 1) // shard.count
    end = questions * shard.number // shard.count
    spans = [range(0)] * len(variants)
    for position, index in enumerate(_order(variants)):
        first = position * cases
        spans[index] = range(min(max(begin - first, 0), cases), min(max(end - first, 0), cases))
    return tuple(spans)


def select(cases: Sequence[Case], span: range) -> Sequence[Case]:
    """The cases at these positions, which follow each other; the very same object for all of them."""
    return cases if len(span) == len(cases) else cases[span.start : span.stop]


def _order(variants: Sequence[Variant]) -> list[int]:
    """The variants' indexes, those with a common model, adapters and prompt next to each other."""
    first: dict[object, int] = {}  # where each model, each set of adapters and each prompt comes first

    def key(index: int) -> list[int]:
        own = variants[index]
        adapters = tuple(sorted((one.adapter, one.scale) for one in own.adapters if one.on and one.scale))
        return [first.setdefault(one, index) for one in (("model", own.model), adapters, ("prompt", own.prompt))]

    keys = [key(index) for index in range(len(variants))]
    return sorted(range(len(variants)), key=keys.__getitem__)
