"""Whole: what can only be said of all answers of a variant together: macro F1, corpus BLEU, a confusion matrix.

Knows nothing of means over cases (summarizing.py). The only part of a summary that may read texts, and it does so only
when a scorer has something to say of the whole. Each value is worked out by itself: one that cannot be has its reason
in `problems`, and the others stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from workbench.evaluation.labels import MOST_LABELS, LabelCounts, count_labels
from workbench.evaluation.scorers.registry import make_scorers
from workbench.evaluation.scorers.scorer import Judged, Judging, Scorer, bound_sums
from workbench.evaluation.statistics.classification import F1, score_f1, score_repeated_f1
from workbench.evaluation.statistics.interval import UNKNOWN
from workbench.evaluation.summary import Confusion, Estimate
from workbench.evaluation.view import RunView
from workbench.store.answers import count_expected, has_repeats, tally_answers, tally_case_answers

T = TypeVar("T")

_SAME = 1e-9


class Whole(NamedTuple):
    """By variant: values of the whole dataset as `scorer.value`, those of them that have intervals, and what could not
    be worked out, with the reason. notes: what the values are to be read with, such as sacrebleu's signature."""

    scores: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Estimate]]
    problems: dict[str, dict[str, str]]
    confusion: tuple[Confusion, ...] = ()
    notes: tuple[str, ...] = ()


def read_whole(view: RunView) -> Whole:
    whole = _summarize(view)
    found = _count_labels(view)
    if found is None:
        return whole
    confusion = []
    for variant, f1 in _score_labels(view, found):
        name = view.variants[variant]
        key = f"{found.metric}.macro_f1"
        value = whole.scores[name].setdefault(key, f1.macro)
        interval, unknown = f1.macro_bounds
        if abs(value - f1.macro) > _SAME:  # a scorer with labels of its own averages over others
            interval, unknown = UNKNOWN, "not over the expected labels alone"
        cases = _count_cases(view, name, found.metric)
        whole.intervals[name][key] = Estimate(value, *interval, cases, unknown)
        confusion.append(Confusion(name, found.counted.labels, tuple(map(tuple, found.counted.counts[variant]))))
    return whole._replace(confusion=tuple(confusion))


class _Labels(NamedTuple):
    """The metric whose answers are labels, its place in the run, and the form in which its scorer compares them."""

    metric: str
    place: int
    key: Callable[[str], str | None]
    counted: LabelCounts


def _count_labels(view: RunView) -> _Labels | None:
    """The first right-or-wrong metric that compares with the expected label, and its answers as labels."""
    run = view.run.key
    scorers = {one.name: one for one in make_scorers(view.bench.scorers, Path(view.run.folder))}
    for place, metric in enumerate(view.metrics):
        scorer = scorers.get(metric.name)
        if not metric.binary or scorer is None or scorer.label_key("") is None:
            continue
        if count_expected(view.store, run, MOST_LABELS) > MOST_LABELS:
            break
        counted = count_labels(tally_answers(view.store, run, place), scorer.label_key)
        return _Labels(metric.name, place, scorer.label_key, counted) if counted else None
    return None


def _count_cases(view: RunView, variant: str, metric: str) -> int:
    from workbench.evaluation.measurements import read_table

    means = read_table(view, metric).means[:, view.variants.index(variant)]
    return int((~np.isnan(means)).sum())


def _score_labels(view: RunView, found: _Labels) -> Iterator[tuple[int, F1]]:
    """The F1 of each variant; where cases were repeated, a case counts once."""
    counted = found.counted
    if not has_repeats(view.store, view.run.key):
        for variant, table in counted.counts.items():
            yield variant, score_f1(np.array(table, dtype=np.int64))
        return
    answers: dict[int, dict[int, Counter[tuple[int, int]]]] = {variant: {} for variant in counted.counts}
    for number, one in tally_case_answers(view.store, view.run.key, found.place):
        answers[one.variant].setdefault(number, Counter())[counted.place(one, found.key)] += one.cells
    for variant, cases in answers.items():
        yield variant, _score_cases(list(cases.values()), len(counted.labels))


def _score_cases(cases: Sequence[Counter[tuple[int, int]]], labels: int) -> F1:
    """cases: how often each case's repeats came to which expected and answered label."""
    kinds = Counter(tuple(sorted(case.items())) for case in cases)
    shares = np.zeros((len(kinds), labels, labels + 1))
    for at, kind in enumerate(kinds):
        total = sum(cells for _, cells in kind)
        for (expected, answered), cells in kind:
            shares[at, expected, answered] = cells / total
    return score_repeated_f1(shares, np.array(list(kinds.values()), dtype=np.int64))


def _summarize(view: RunView) -> Whole:
    """What the scorers themselves say of a variant's answers as a whole."""
    scorers = [one for one in make_scorers(view.bench.scorers, Path(view.run.folder)) if _speaks_for_all(one)]
    whole = Whole({name: {} for name in view.variants}, {name: {} for name in view.variants}, {})
    judged = _judge_again(view, scorers) if scorers else {}
    signed: dict[str, str] = {}
    for scorer in scorers:
        for name in view.variants:
            own = judged.pop((name, scorer.name), [])
            problems = whole.problems.setdefault(name, {})
            _add_values(whole, name, scorer, own, problems)
            if own and (sign := _attempt(partial(scorer.sign, own), f"the signature of {scorer.name}", problems)):
                signed.setdefault(scorer.name, sign)
    notes = tuple(f"{scorer}: {sign}" for scorer, sign in signed.items())
    return whole._replace(notes=notes)


def _add_values(whole: Whole, name: str, scorer: Scorer, judged: Sequence[Judged], problems: dict[str, str]) -> None:
    """The values of one scorer for one variant; the interval of one may fail where the value does not."""
    values = _attempt(partial(scorer.summarize, judged), scorer.name, problems) or {}
    whole.scores[name].update({f"{scorer.name}.{key}": value for key, value in values.items()})
    sums = _attempt(partial(scorer.sums, judged), f"the interval of {scorer.name}", problems) or {}
    for key in sums.keys() & values.keys():
        told = f"{scorer.name}.{key}"
        bounds = _attempt(partial(bound_sums, sums[key], judged), f"the interval of {told}", problems)
        if bounds is not None:
            cases = len({one.case for one in judged})
            whole.intervals[name][told] = Estimate(values[key], *bounds.interval, cases, bounds.unknown)


def _attempt(work: Callable[[], T], what: str, problems: dict[str, str]) -> T | None:
    """What comes of it; None where it fails, and then why stands among the problems.

    Scorers are many people's code, and what one of them cannot do must not take the others' figures along.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - told in every output, under the name of what failed
        problems[what] = f"{type(error).__name__}: {error}"
        return None


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
            if score.scorer in wanted and score.applies and not cell.error and cell.case in right:
                expected, also = right[cell.case]
                one = Judged(cell.completion.text, expected, score, also, cell.case)
                judged.setdefault((cell.variant, score.scorer), []).append(one)
    return judged
