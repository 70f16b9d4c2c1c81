"""Judges checked against people: whether a judge's scores agree with votes and with expected answers.

A vote between two answers to a case is held against the judge's scores of the two; so is every pair of answers to a
case of which a reference-based scorer has one right and the other wrong. Opinions on one case are one cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np

from workbench.analysis.narrative import name_metric
from workbench.analysis.summary import CorrectedPreference, Estimate, JudgeCheck
from workbench.analysis.votes import Vote, Votes
from workbench.runs.bench import Bench
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.scoring.registry import scorer_kinds
from workbench.scoring.scorers.judge import JudgeConfig
from workbench.statistics.interval import rate_interval
from workbench.statistics.prediction_powered import correct_mean
from workbench.units import format_plural

_CHANCE = 0.5
_FEWEST = 20
"""Opinions from which a judge is called reliable or not."""

CellKey = tuple[int, int, str]
"""case, repeat, variant"""


class _Opinion(NamedTuple):
    """What someone preferred of two answers to a case: 1 the left one, 0 the right one, 0.5 neither."""

    case: int
    repeat: int
    left: str
    right: str
    share: float


def check_judges(view: RunView) -> tuple[JudgeCheck, ...]:
    """Every judge of a run. Raises StoreError."""
    judges = find_judges(view.bench)
    named = [metric for metric in view.metrics if metric.name in judges]
    if not named:
        return ()
    votes = [_read_vote(one) for one in Votes(view.store, view).list()]
    reference = next((one for one in view.metrics if one.binary and one.name not in judges), None)
    right = _read_scores(view, reference) if reference else {}
    return tuple(_check(metric, _read_scores(view, metric), votes, reference, right) for metric in named)


def find_judges(bench: Bench) -> frozenset[str]:
    """The names of the bench's scorers that are judges of single answers."""
    kinds = scorer_kinds()
    found = set()
    for spec in bench.scorers:
        kind, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
        if kind in kinds and issubclass(kinds[kind].config, JudgeConfig):
            found.add(str((options or {}).get("name", kind)))
    return frozenset(found)


def put_unreliable_last(metrics: Sequence[Metric], checks: Sequence[JudgeCheck]) -> tuple[Metric, ...]:
    """An unreliable judge leads no table, where there is another metric to lead it."""
    unreliable = {one.metric for one in checks if one.reliable is False}
    ordered = sorted(metrics, key=lambda metric: metric.name in unreliable)
    return tuple(msgspec.structs.replace(metric, main=at == 0) for at, metric in enumerate(ordered))


def describe_judge(found: JudgeCheck, leads: bool) -> str:
    """In one sentence, or two. leads: it would be the first metric."""
    name = name_metric(found.metric)
    parts = []
    if found.votes:
        parts.append(f"agrees with people in {_show(found.votes, 'votes')}")
    if found.expected:
        parts.append(
            f"prefers the right answer in {_show(found.expected, 'pairs')} where {name_metric(found.reference)} differs"
        )
    if not parts:
        return f"The judge {name} was not checked: vote on some pairs of answers with v in the matrix."
    return f"The judge {name} {' and '.join(parts)}.{_doubt(found, leads)}"


def _doubt(found: JudgeCheck, leads: bool) -> str:
    if found.reliable:
        return ""
    if found.reliable is None:
        return f" Below {_FEWEST} that says little."
    return " That is not beyond chance" + ("; it leads no table." if leads else ".")


def describe_preference(found: CorrectedPreference) -> str:
    """`People would prefer b to a in 61% (52% to 70%), by 40 votes and the judge on 300 cases, which says 70%.`"""
    people = found.people
    interval = f" ({people.low:.0%} to {people.high:.0%})" if people.low == people.low else ""
    return (
        f"People would prefer {found.b} to {found.a} in {people.value:.0%}{interval},"
        f" by {format_plural(found.votes, 'vote')} and the"
        f" judge on {format_plural(found.pairs, 'case')}, which says {found.judge:.0%}."
    )


def _show(one: Estimate, what: str) -> str:
    return f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%}) of {one.n:,} {what}"


def _check(
    metric: Metric,
    scores: Mapping[CellKey, float],
    votes: Sequence[_Opinion],
    reference: Metric | None,
    right: Mapping[CellKey, float],
) -> JudgeCheck:
    by_votes = _agree([one for one in votes if one.share != _CHANCE], scores, metric)
    by_expected = _agree(list(_list_pairs(right)), scores, metric)
    known = [one for one in (by_votes, by_expected) if one and one.n >= _FEWEST]
    return JudgeCheck(
        metric=metric.name,
        votes=by_votes,
        expected=by_expected,
        reference=reference.name if reference else "",
        reliable=all(one.low > _CHANCE for one in known) if known else None,
        corrected=tuple(_correct(votes, scores, metric)),
    )


def _agree(opinions: Sequence[_Opinion], scores: Mapping[CellKey, float], metric: Metric) -> Estimate | None:
    """Half for a pair to which the judge gave the same score."""
    cases: dict[int, list[float]] = {}
    for one in opinions:
        own = _judge(scores, one, metric)
        if own is not None:
            cases.setdefault(one.case, []).append(1 - abs(own - one.share))
    if not cases:
        return None
    count = sum(map(len, cases.values()))
    means = np.array([sum(found) / len(found) for found in cases.values()])
    return Estimate(float(means.mean()), *rate_interval(means, count), count)


def _judge(scores: Mapping[CellKey, float], one: _Opinion, metric: Metric) -> float | None:
    """What the judge prefers of the two; None where it has not scored both."""
    left = scores.get((one.case, one.repeat, one.left))
    right = scores.get((one.case, one.repeat, one.right))
    if left is None or right is None:
        return None
    sign = -1 if metric.lower_is_better else 1
    return _CHANCE if left == right else float(sign * (left - right) > 0)


def _list_pairs(right: Mapping[CellKey, float]) -> Iterator[_Opinion]:
    """Every two answers to a case of which one is right and the other wrong."""
    cells: dict[tuple[int, int], list[tuple[str, float]]] = {}
    for (case, repeat, variant), value in right.items():
        cells.setdefault((case, repeat), []).append((variant, value))
    for (case, repeat), found in cells.items():
        for (left, one), (other, two) in combinations(found, 2):
            if {one, two} == {0.0, 1.0}:
                yield _Opinion(case, repeat, left, other, one)


def _correct(
    votes: Sequence[_Opinion], scores: Mapping[CellKey, float], metric: Metric
) -> Iterator[CorrectedPreference]:
    """Each two variants that people voted on: the judge on all cases, corrected by the votes. Later votes on the same
    answers count with the earlier ones."""
    voted: dict[tuple[str, str], dict[tuple[int, int], list[float]]] = {}
    for one in votes:
        a, b = sorted((one.left, one.right))
        share = one.share if one.left == b else 1 - one.share
        voted.setdefault((a, b), {}).setdefault((one.case, one.repeat), []).append(share)
    answered = dict.fromkeys((case, repeat) for case, repeat, _ in scores)
    for (a, b), own in voted.items():
        judged, labels = [], []
        for case, repeat in answered:
            value = _judge(scores, _Opinion(case, repeat, b, a, 0), metric)
            if value is not None:
                judged.append(value)
                labels.append(float(np.mean(own[case, repeat])) if (case, repeat) in own else np.nan)
        found = correct_mean(np.array(judged), np.array(labels))
        if found.labels > 1:
            people = Estimate(found.value, *found.bounds.interval, found.labels, found.bounds.unknown)
            yield CorrectedPreference(a, b, float(np.mean(judged)), people, len(judged), found.labels)


def _read_scores(view: RunView, metric: Metric) -> dict[CellKey, float]:
    return {(one.case, one.repeat, one.variant): one.value for one in view.judgements(metric.name)}


def _read_vote(vote: Vote) -> _Opinion:
    share = {"left": 1.0, "right": 0.0, "tie": _CHANCE}[vote.choice]
    return _Opinion(vote.case, vote.repeat, vote.left_variant, vote.right_variant, share)
