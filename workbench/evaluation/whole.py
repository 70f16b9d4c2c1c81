"""Whole: what can only be said of all answers of a variant together: macro F1, corpus BLEU, a confusion matrix.

Knows nothing of means over cases (summarizing.py). The only part of a summary that may read texts, and it does so only
when a scorer has something to say of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.evaluation.labels import MOST_LABELS, LabelCounts, count_labels
from workbench.evaluation.scorers.registry import make_scorers
from workbench.evaluation.scorers.scorer import Judged, Judging, Scorer
from workbench.evaluation.statistics.classification import score_f1
from workbench.evaluation.summary import Confusion, Estimate
from workbench.evaluation.view import RunView
from workbench.store.answers import count_expected, tally_answers


class Whole(NamedTuple):
    """By variant: values of the whole dataset as `scorer.value`, and those of them that have intervals."""

    scores: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Estimate]]
    confusion: tuple[Confusion, ...]


def read_whole(view: RunView) -> Whole:
    whole = _summarize(view)
    metric, counted = _count_labels(view)
    if counted is None:
        return whole
    confusion = []
    for place, table in counted.counts.items():
        name, counts = view.variants[place], np.array(table, dtype=np.int64)
        f1 = score_f1(counts)
        key = f"{metric}.macro_f1"
        value = whole.scores[name].setdefault(key, f1.macro)
        whole.intervals[name][key] = Estimate(value, *f1.macro_interval, int(counts.sum()))
        confusion.append(Confusion(name, counted.labels, tuple(map(tuple, table))))
    return whole._replace(confusion=tuple(confusion))


def _count_labels(view: RunView) -> tuple[str, LabelCounts | None]:
    """The first right-or-wrong metric that compares with the expected label, and its answers as labels."""
    run = view.run.key
    scorers = {one.name: one for one in make_scorers(view.bench.scorers, Path(view.run.folder))}
    for place, metric in enumerate(view.metrics):
        scorer = scorers.get(metric.name)
        if not metric.binary or scorer is None or scorer.label_key("") is None:
            continue
        if count_expected(view.store, run, MOST_LABELS) > MOST_LABELS:
            break
        return metric.name, count_labels(tally_answers(view.store, run, place), scorer.label_key)
    return "", None


def _summarize(view: RunView) -> Whole:
    """What the scorers themselves say of a variant's answers as a whole."""
    scorers = [one for one in make_scorers(view.bench.scorers, Path(view.run.folder)) if _speaks_for_all(one)]
    whole = Whole({name: {} for name in view.variants}, {name: {} for name in view.variants}, ())
    judged = _judge_again(view, scorers) if scorers else {}
    for scorer in scorers:
        for name in view.variants:
            own = judged.pop((name, scorer.name), [])
            values = scorer.summarize(own)
            whole.scores[name].update({f"{scorer.name}.{key}": value for key, value in values.items()})
            bound: Callable[..., dict[str, tuple[float, float]]] = getattr(scorer, "bound", lambda _: {})
            for key, (low, high) in bound(own).items():
                whole.intervals[name][f"{scorer.name}.{key}"] = Estimate(values[key], low, high, len(own))
    return whole


def _speaks_for_all(scorer: Scorer) -> bool:
    kind = type(getattr(scorer, "inner", scorer))
    return getattr(kind, "summarize", None) is not Judging.summarize


def _judge_again(view: RunView, scorers: Sequence[Scorer]) -> dict[tuple[str, str], list[Judged]]:
    """The answers to which each of these scorers applies, by variant and scorer."""
    wanted = {scorer.name for scorer in scorers}
    right = {case.number: (case.expected, case.also) for case in view.cases()}
    judged: dict[tuple[str, str], list[Judged]] = {}
    for cell in view.cells():
        for score in cell.scores:
            if score.scorer in wanted and score.applies and not cell.error:
                expected, also = right[cell.case]
                one = Judged(cell.completion.text, expected, score, also)
                judged.setdefault((cell.variant, score.scorer), []).append(one)
    return judged
