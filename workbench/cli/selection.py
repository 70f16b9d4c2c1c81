"""Which variants and cases of a bench a command runs, and what it overrides for them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.datasets import Case
    from workbench.runs.bench import Bench


class BenchSelection(NamedTuple):
    """What of a bench to run; a default leaves it as the bench says."""

    variants: Sequence[str] = ()
    cases: str = ""
    split: str = ""
    sample: int | None = None
    seed: int | None = None
    limit: int | None = None
    repeats: int | None = None
    robustness: bool = False
    deterministic: bool = False


def apply_selection(bench: Bench, selection: BenchSelection) -> Bench:
    """The bench without the rest. Raises BenchError for what it does not have."""
    import msgspec

    names = [variant.name for variant in bench.variants]
    unknown = [name for name in selection.variants if name not in names]
    if unknown:
        raise BenchError(f"No such variant: {', '.join(unknown)}.", f"The bench has: {', '.join(names)}.")
    from workbench.runs.bench import with_variants

    changes: dict[str, object] = {}
    if selection.variants or selection.deterministic:
        chosen = (variant for variant in bench.variants if not selection.variants or variant.name in selection.variants)
        mode = {"deterministic": True} if selection.deterministic else {}
        bench = with_variants(bench, (msgspec.structs.replace(variant, **mode) for variant in chosen))
    if selection.repeats:
        changes["repeats"] = selection.repeats
    named = {
        "split": selection.split or None,
        "sample": selection.sample,
        "seed": selection.seed,
        "limit": selection.limit,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    if overrides:
        if bench.dataset is None:
            raise BenchError("This bench has no dataset to select cases from.", "Add `dataset:` to it.")
        changes["dataset"] = msgspec.structs.replace(bench.dataset, **overrides)
    return msgspec.structs.replace(bench, **changes)


def load_bench_cases(bench: Bench, path: Path) -> Sequence[Case]:
    """The dataset's cases; without a dataset the one that a person typed."""
    from workbench.datasets import Case, load_cases, with_inputs

    if bench.dataset is None:
        return (with_inputs(Case(1, {}), bench.inputs),)
    return load_cases(bench.dataset, path.absolute().parent)


def select_cases(cases: Sequence[Case], wanted: str) -> Sequence[Case]:
    """The cases with the wanted numbers, such as `3`, `1-20` or `1,5-9`; all of them for `all`."""
    from workbench.datasets import Cases

    if wanted in ("", "all"):
        return cases
    numbers = cases.numbers if isinstance(cases, Cases) else [case.number for case in cases]
    spans = [_find_span(piece, numbers, wanted) for piece in wanted.split(",")]
    if len(spans) == 1:
        return cases[spans[0]]  # not read before it is used
    return [cases[index] for index in sorted({index for span in spans for index in range(*span.indices(len(numbers)))})]


def _find_span(piece: str, numbers: Sequence[int], wanted: str) -> slice:
    match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", piece)
    if not match:
        raise BenchError(
            f"--case {wanted} is not a list of cases.", "Expected a number (3), a range (1-20) or several (1,5-9)."
        )
    low, high = int(match[1]), int(match[2] or match[1])
    span = slice(bisect_left(numbers, low), bisect_left(numbers, high + 1))
    if low < 1 or not numbers or high > numbers[-1] or span.start >= span.stop:
        known = f"The dataset has the cases {numbers[0]} to {numbers[-1]}." if numbers else "The dataset is empty."
        raise BenchError(f"--case {wanted}: no such case.", known)
    return span
