"""Whole: what can only be said of all answers of a variant together: macro F1, corpus BLEU, a confusion matrix.

Knows nothing of means over cases (summarizing.py). The only part of a summary that reads texts, and it does so only
when a scorer has something to say of the whole, or the expected answers are labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from workbench.evaluation.labels import Answer, LabelCounts, count_labels
from workbench.evaluation.roles import find_roles
from workbench.evaluation.scorers.registry import make_scorers
from workbench.evaluation.scorers.scorer import Judged, Judging, Scorer
from workbench.evaluation.statistics.classification import score_f1
from workbench.evaluation.summary import Confusion, Estimate, Role
from workbench.evaluation.view import RunView


class Whole(NamedTuple):
    """By variant: dataset-level values, those of them that have intervals, and the role."""

    scores: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Estimate]]
    confusion: tuple[Confusion, ...]
    roles: dict[str, Role]


MACRO_F1 = "macro F1"


def read_whole(view: RunView) -> Whole:
    scorers = [scorer for scorer in make_scorers(view.bench.scorers) if _says_something(scorer)]
    judged: dict[tuple[str, str], list[Judged]] = {}
    counted = count_labels(_read_answers(view, scorers, judged))
    scores: dict[str, dict[str, float]] = {name: {} for name in view.variants}
    for scorer in scorers:
        for name in view.variants:
            scores[name] |= scorer.summarize(judged.pop((name, scorer.name), []))
    intervals, confusion = _count(counted, view.variants)
    for name, own in intervals.items():
        scores[name] |= {key: one.value for key, one in own.items() if key not in scores[name]}
    return Whole(scores, intervals, confusion, find_roles(view))


def _says_something(scorer: Scorer) -> bool:
    return getattr(type(scorer), "summarize", None) is not Judging.summarize


def _read_answers(
    view: RunView, scorers: Sequence[Scorer], judged: dict[tuple[str, str], list[Judged]]
) -> Iterator[Answer]:
    """Every answer that a right-or-wrong metric judged; what scorers want of the whole goes into judged."""
    label_metric = next((metric.name for metric in view.metrics if metric.binary), "")
    wanted = {scorer.name for scorer in scorers}
    if not label_metric and not wanted:
        return
    expected = lru_cache(maxsize=64)(lambda number: view.case(number).expected)
    for cell in view.cells():
        for score in cell.scores:
            if not score.applies or cell.error:
                continue
            if score.scorer in wanted:
                one = Judged(cell.completion.text, expected(cell.case), score)
                judged.setdefault((cell.variant, score.scorer), []).append(one)
            if score.scorer == label_metric and (answer := expected(cell.case)) is not None:
                yield Answer(cell.variant, answer, score.extracted, score.value > 0.5)


def _count(
    counted: LabelCounts | None, variants: Sequence[str]
) -> tuple[dict[str, dict[str, Estimate]], tuple[Confusion, ...]]:
    if counted is None:
        return {}, ()
    intervals = {}
    confusion = []
    for name in variants:
        if name not in counted.counts:
            continue
        counts = np.array(counted.counts[name], dtype=np.int64)
        f1 = score_f1(counts)
        intervals[name] = {MACRO_F1: Estimate(f1.macro, *f1.macro_interval, int(counts.sum()))}
        confusion.append(Confusion(name, counted.labels, tuple(map(tuple, counted.counts[name]))))
    return intervals, tuple(confusion)
