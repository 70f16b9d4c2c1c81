"""Automatic splits: rows of a file without splits, assigned to train, validation and test by a hash.

A row's part follows from its group, or else from its input, and from the seed alone. So it stays the same on every
machine, and when rows are added, removed or put into another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from workbench.datasets.spec import AutoSplit, Part
from workbench.datasets.synthetic_rows import ORIGIN

PARTS: tuple[Part, ...] = ("train", "validation", "test")

_MIXES = 200_000  # hashes that the choice of a seed may take
_TOLERANCE = 0.005  # share of the rows by which a part may be off before another seed is tried
_WORD = (1 << 64) - 1

TEST_SHARE, MOST_TEST = 0.4, 2_000
VALIDATION_SHARE, MOST_VALIDATION = 0.15, 500
"""Shares of a split that is made automatically, and the rows beyond which more would show little."""


class SplitUnit(NamedTuple):
    """What a row is assigned by. key: a hash of its group, or of its input where it has none. input: its input's.
    synthetic: a model wrote the row, so that it is trained on or not used."""

    key: int
    input: int
    synthetic: bool = False

    def find_part(self, split: AutoSplit) -> Part:
        return "train" if self.synthetic else find_part(locate(self.key, split.seed), split)


def make_unit(variables: Mapping[str, str], group: str | None, synthetic: bool = False) -> SplitUnit:
    """group: the value of the row's group; None where it has none."""
    own = _hash("\n".join(normalise_inputs(variables).values()))
    return SplitUnit(own if group is None else _hash(f"group\n{group}"), own, synthetic)


def normalise_inputs(variables: Mapping[str, str]) -> dict[str, str]:
    """What makes two inputs the same, whatever their case and white space, by variable."""
    return {
        name: " ".join(text.casefold().split())
        for name, text in sorted(variables.items())
        if name.casefold() not in ("id", "split", ORIGIN)
    }


def locate(key: int, seed: int) -> float:
    """Where a unit stands between 0 and 1: a number from the splitmix64 generator (Steele, Lea and Flood 2014)."""
    mixed = (key + (seed + 1) * 0x9E3779B97F4A7C15) & _WORD
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
    return float(mixed ^ (mixed >> 31)) / float(_WORD + 1)


def find_part(position: float, split: AutoSplit) -> Part:
    """Test comes first, validation next: a part keeps its rows where only a later one takes another share."""
    if position < split.test:
        return "test"
    return "validation" if position < split.test + split.validation else "train"


def select_part(units: Sequence[SplitUnit], split: AutoSplit, part: Part) -> tuple[list[int], int]:
    """The indices of a part's rows, and how many more are left out of it: their group belongs to the part, but their
    input stands in test, or in validation, too."""
    parts = [unit.find_part(split) for unit in units]
    later = PARTS[PARTS.index(part) + 1 :]
    taken = {unit.input for unit, own in zip(units, parts, strict=True) if own in later}
    members = [index for index, own in enumerate(parts) if own == part]
    kept = [index for index in members if units[index].input not in taken]
    return kept, len(members) - len(kept)


def make_auto_split(units: Sequence[SplitUnit], has_test: bool, from_split: str = "") -> AutoSplit:
    """Shares by the number of rows, and a seed whose parts are close to them.

    has_test: whether test cases stand elsewhere, so that none are needed of these rows.
    """
    rows = len(units)
    test = 0.0 if has_test or not rows else round(min(TEST_SHARE, MOST_TEST / rows), 4)
    validation = round(min(VALIDATION_SHARE, MOST_VALIDATION / rows), 4) if rows else VALIDATION_SHARE
    split = AutoSplit(0, validation, test, from_split)
    return AutoSplit(_choose_seed(units, list_bounds(split)), validation, test, from_split)


def list_bounds(split: AutoSplit) -> tuple[float, ...]:
    """Where parts end; the last is the middle of what is no test, by which a prompt search divides it."""
    return tuple(filter(None, (split.test, split.test + split.validation, middle_of(split))))


def middle_of(split: AutoSplit) -> float:
    return split.test + (1 - split.test) / 2


def _choose_seed(units: Sequence[SplitUnit], bounds: Sequence[float]) -> int:
    weights: dict[int, int] = {}
    for unit in units:
        weights[unit.key] = weights.get(unit.key, 0) + 1
    rows = len(units)
    best, least = 0, float("inf")
    for seed in range(max(1, _MIXES // max(1, len(weights)))):
        placed = [(locate(key, seed), weight) for key, weight in weights.items()]
        off = max(abs(sum(w for at, w in placed if at < bound) - bound * rows) for bound in bounds)
        if off < least:
            best, least = seed, off
        if least <= max(0.5, _TOLERANCE * rows):
            break
    return best


def count_parts(units: Sequence[SplitUnit], split: AutoSplit) -> Iterator[tuple[Part, int, int]]:
    """Each part with its rows and its units, which are groups where the rows have some."""
    placed = [(unit.key, unit.find_part(split)) for unit in units]
    for part in PARTS:
        own = [key for key, found in placed if found == part]
        yield part, len(own), len(set(own))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
