"""Part: which part of a bench a command runs: some variants, some cases, otherwise than the bench says.

Knows nothing of how it is run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.evaluation.bench import Bench
    from workbench.evaluation.datasets import Case


class Part(NamedTuple):
    """Which part of a bench to run."""

    variants: Sequence[str] = ()
    cases: str = ""
    split: str = ""
    sample: int | None = None
    limit: int | None = None
    repeats: int | None = None
    robustness: bool = False
    reproducible: bool = False


def choose_part(bench: Bench, part: Part) -> Bench:
    """The bench without the rest. Raises BenchError for what it does not have."""
    import msgspec

    names = [variant.name for variant in bench.variants]
    unknown = [name for name in part.variants if name not in names]
    if unknown:
        raise BenchError(f"No variant is called {' or '.join(unknown)}.", f"The bench has: {', '.join(names)}.")
    from workbench.evaluation.bench import with_variants

    changes: dict[str, object] = {}
    if part.variants or part.reproducible:
        chosen = (variant for variant in bench.variants if not part.variants or variant.name in part.variants)
        alone = {"reproducible": True} if part.reproducible else {}
        bench = with_variants(bench, (msgspec.structs.replace(variant, **alone) for variant in chosen))
    if part.repeats:
        changes["repeats"] = part.repeats
    named = {"split": part.split or None, "sample": part.sample, "limit": part.limit}
    wishes = {key: value for key, value in named.items() if value is not None}
    if wishes:
        if bench.dataset is None:
            raise BenchError("This bench has no dataset to take a part of.", "Add `dataset:` to it.")
        changes["dataset"] = msgspec.structs.replace(bench.dataset, **wishes)
    return msgspec.structs.replace(bench, **changes)


def load_bench_cases(bench: Bench, path: Path) -> Sequence[Case]:
    """The dataset's cases; without a dataset the one that a person typed."""
    from workbench.evaluation.datasets import Case, load_cases, overlay

    if bench.dataset is None:
        return (overlay(Case(1, {}), bench.inputs),)
    return load_cases(bench.dataset, path.absolute().parent)


def choose_cases(cases: Sequence[Case], wanted: str) -> Sequence[Case]:
    """Those with the numbers that are wanted, such as `3`, `1-20` or `1,5-9`; all of them for `all`."""
    if wanted in ("", "all"):
        return cases
    numbers: set[int] = set()
    for piece in wanted.split(","):
        asked = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", piece)
        if not asked:
            raise BenchError(
                f"--case {wanted} names no case.", "Expected a number (3), a range (1-20) or several (1,5-9)."
            )
        numbers.update(range(int(asked[1]), int(asked[2] or asked[1]) + 1))
    chosen = [case for case in cases if case.number in numbers]
    if not chosen:
        raise BenchError(f"--case {wanted} names no case of this dataset.", f"It has {len(cases)} cases.")
    return chosen
