"""MixedCases: the training rows of several datasets as one sequence, each row drawn as often as its weight says."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, overload

import msgspec

from workbench.datasets import Case, Cases
from workbench.datasets.source import DatasetRow

T = TypeVar("T")


class WeightedCases(NamedTuple):
    cases: Cases
    weight: float


class MixedCases(Sequence[Case]):
    """Immutable. Rows are numbered through: those of the second dataset after the last of the first.

    A whole number of draws takes every row that often; the rest is a sample by the seed.
    """

    def __init__(self, parts: Sequence[WeightedCases], seed: int) -> None:
        self._parts = tuple(parts)
        self._draws: list[tuple[int, int]] = []
        self._offsets: list[int] = []
        self.drawn: list[int] = []
        last = 0
        for at, (cases, weight) in enumerate(self._parts):
            indices = _draw(len(cases), weight, random.Random(f"{seed} {at}"))
            self._draws += [(at, index) for index in indices]
            self._offsets.append(last)
            self.drawn.append(len(indices))
            last += cases.numbers[-1] if len(cases) else 0

    @property
    def path(self) -> Path:
        """Their files, for the record."""
        return Path(", ".join(str(cases.path) for cases, _ in self._parts))

    @property
    def digest(self) -> str:
        """The fingerprint of the content of all and of how it is mixed."""
        texts = [(cases.digest, weight) for cases, weight in self._parts]
        return hashlib.blake2b(msgspec.json.encode((texts, self._draws)), digest_size=16).hexdigest()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column for cases, _ in self._parts for column in cases.columns))

    def rows(self) -> Iterator[DatasetRow]:
        """The rows as their files hold them, in the order of the cases."""
        yield from self._read(lambda part: list(self._parts[part].cases.rows()))

    def describe(self) -> Iterator[str]:
        """A sentence for each dataset: how many of its rows are drawn, and how many of these again."""
        for (cases, weight), drawn in zip(self._parts, self.drawn, strict=True):
            rows = len(cases)
            again, unused = max(0, drawn - rows), max(0, rows - drawn)
            rest = f", {again:,} of them repeated" if again else f", {unused:,} left out" if unused else ""
            yield f"{cases.path.name}: {drawn:,} rows drawn from {rows:,} (weight {weight:g}){rest}"

    def __len__(self) -> int:
        return len(self._draws)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        part, row = self._draws[index]
        return self._number(part, self._parts[part].cases[row])

    def __iter__(self) -> Iterator[Case]:
        yield from self._read(lambda part: [self._number(part, case) for case in self._parts[part].cases])

    def _read(self, read: Callable[[int], list[T]]) -> Iterator[T]:
        for part in range(len(self._parts)):
            found = read(part)
            yield from (found[row] for at, row in self._draws if at == part)

    def _number(self, part: int, case: Case) -> Case:
        return msgspec.structs.replace(case, number=case.number + self._offsets[part])


def _draw(rows: int, weight: float, random_numbers: random.Random) -> list[int]:
    """The indices that are drawn, those of each further draw after the ones before; at least one."""
    whole, rest = divmod(round(rows * weight), rows)
    return [*list(range(rows)) * whole, *sorted(random_numbers.sample(range(rows), rest))] or [0]
