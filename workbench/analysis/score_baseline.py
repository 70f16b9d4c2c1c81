"""ScoreBaseline: the scores of a run, case by case, as a small file to commit beside a bench.

JSON Lines: a header, then a line a case, in the order of their hashes, so that a diff shows which cases moved. It
holds no text of a case.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from workbench import files
from workbench.analysis.baseline import identify_cases
from workbench.analysis.measurements import MetricTable, read_table
from workbench.errors import FileError
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.units import format_date

SUFFIX = ".baseline.jsonl"


class BaselineHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """workbench_baseline: version of the format. date: when the run began, for people."""

    workbench_baseline: Literal[1]
    bench: str
    run: str
    date: str
    metrics: tuple[Metric, ...]
    variants: tuple[str, ...]
    repeats: int = 1


class CaseScores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """case: hash of what the case holds. scores: variant -> metric -> mean of its repeats."""

    case: str
    scores: dict[str, dict[str, float]]


class ScoreBaseline(msgspec.Struct, frozen=True):
    header: BaselineHeader
    cases: tuple[CaseScores, ...]


def make_baseline(view: RunView) -> ScoreBaseline:
    """The scores of a run. Raises StoreError."""

    run = view.run
    metrics = tuple(msgspec.structs.replace(metric, main=False) for metric in view.metrics)
    header = BaselineHeader(
        1, run.bench, run.id, format_date(run.started, utc=True), metrics, view.variants, view.bench.repeats
    )
    found = [CaseScores(name, scores) for name, _, scores in read_scores(view)]
    return ScoreBaseline(header, tuple(sorted(found, key=lambda one: one.case)))


def count_unscored(baseline: ScoreBaseline) -> int:
    """Cases without a score of the first metric, each once for every variant that lacks it."""
    metric = baseline.header.metrics[0].name if baseline.header.metrics else ""
    return sum(
        metric not in case.scores.get(variant, {}) for case in baseline.cases for variant in baseline.header.variants
    )


def read_scores(view: RunView) -> Iterator[tuple[str, int, dict[str, dict[str, float]]]]:
    """Each case of a run: its hash, its number and its scores."""
    tables = [(metric.name, _index(read_table(view, metric.name))) for metric in view.metrics]
    for held, number in identify_cases(view):
        scores: dict[str, dict[str, float]] = {}
        for at, variant in enumerate(view.variants):
            found = {name: means[number][at] for name, means in tables if number in means}
            if known := {name: value for name, value in found.items() if not math.isnan(value)}:
                scores[variant] = known
        yield hashlib.sha256(repr(held).encode()).hexdigest()[:16], number, scores


def _index(table: MetricTable) -> dict[int, list[float]]:
    return dict(zip(table.cases.tolist(), table.means.tolist(), strict=True))


def write_baseline(path: Path, baseline: ScoreBaseline) -> None:
    """Raises FileError."""
    lines = [msgspec.json.encode(one).decode() for one in (baseline.header, *baseline.cases)]
    files.write_text(path, "\n".join(lines) + "\n")


def read_baseline(path: Path) -> ScoreBaseline:
    """Raises FileError for a file that is none, naming the line."""
    if not path.exists():
        raise FileError(f"{path}: there is no baseline yet.", "Write one with --write-baseline, and commit it.")
    lines = files.split_lines(files.read_text(path)) or [""]
    header: BaselineHeader | None = None
    cases: list[CaseScores] = []
    try:
        header = msgspec.json.decode(lines[0], type=BaselineHeader)
        cases.extend(msgspec.json.decode(line, type=CaseScores) for line in lines[1:])
    except msgspec.MsgspecError as error:
        number = 1 if header is None else len(cases) + 2
        raise FileError(
            f"{path}, line {number}: expected the baseline of a gate, found something else ({error}).",
            "Write it again with --write-baseline.",
        ) from None
    return ScoreBaseline(header, tuple(cases))
