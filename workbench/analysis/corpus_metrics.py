"""What can only be said of all answers of a variant together: macro F1, corpus BLEU, a confusion matrix.

The only part of a summary that may read texts, and it does so only when a scorer has something to say of the corpus.
Each value is computed by itself: one that cannot be has its reason in `problems`, and the others stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from workbench.analysis.summary import Confusion, Estimate
from workbench.runs.view import RunView
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoredSample, Scorer, bound_corpus_sums
from workbench.statistics.f1 import F1, score_f1, score_repeated_f1
from workbench.statistics.interval import UNKNOWN
from workbench.store.cell_figures import AnswerCount, count_expected, has_repeats, tally_answers, tally_case_answers

T = TypeVar("T")

_SAME = 1e-9


class CorpusMetrics(NamedTuple):
    """By variant: values of the whole dataset as `scorer.value`, those of them that have intervals, and what could not
    be worked out, with the reason. notes: what the values are to be read with, such as sacrebleu's signature."""

    scores: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Estimate]]
    problems: dict[str, dict[str, str]]
    confusion: tuple[Confusion, ...] = ()
    notes: tuple[str, ...] = ()


def read_corpus_metrics(view: RunView) -> CorpusMetrics:
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
    position: int
    key: Callable[[str], str | None]
    counted: LabelCounts


def _count_labels(view: RunView) -> _Labels | None:
    """The first right-or-wrong metric that compares with the expected label, and its answers as labels."""
    run = view.run.key
    scorers = {one.name: one for one in make_scorers(view.bench.scorers, Path(view.run.folder))}
    for position, metric in enumerate(view.metrics):
        scorer = scorers.get(metric.name)
        if not metric.binary or scorer is None or scorer.label_key("") is None:
            continue
        if count_expected(view.store, run, MOST_LABELS) > MOST_LABELS:
            break
        counted = count_labels(tally_answers(view.store, run, position), scorer.label_key)
        return _Labels(metric.name, position, scorer.label_key, counted) if counted else None
    return None


def _count_cases(view: RunView, variant: str, metric: str) -> int:
    from workbench.analysis.measurements import read_table

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
    for number, one in tally_case_answers(view.store, view.run.key, found.position):
        answers[one.variant].setdefault(number, Counter())[counted.position(one, found.key)] += one.cells
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


def _summarize(view: RunView) -> CorpusMetrics:
    """What the scorers themselves say of a variant's answers as a whole."""
    scorers = [one for one in make_scorers(view.bench.scorers, Path(view.run.folder)) if _is_corpus_metric(one)]
    whole = CorpusMetrics({name: {} for name in view.variants}, {name: {} for name in view.variants}, {})
    samples = _judged_samples(view, scorers) if scorers else {}
    signed: dict[str, str] = {}
    for scorer in scorers:
        for name in view.variants:
            own = samples.pop((name, scorer.name), [])
            problems = whole.problems.setdefault(name, {})
            if not own:  # every cell failed, or the scorer applies to none: there is nothing to sum up, and no 0 either
                continue
            _add_values(whole, name, scorer, own, problems)
            if sign := _try(partial(scorer.corpus_signature, own), f"the signature of {scorer.name}", problems):
                signed.setdefault(scorer.name, sign)
    notes = tuple(f"{scorer}: {sign}" for scorer, sign in signed.items())
    return whole._replace(notes=notes)


def _add_values(
    whole: CorpusMetrics, name: str, scorer: Scorer, samples: Sequence[ScoredSample], problems: dict[str, str]
) -> None:
    """The values of one scorer for one variant; the interval of one may fail where the value does not."""
    values = _try(partial(scorer.summarize, samples), scorer.name, problems) or {}
    whole.scores[name].update({f"{scorer.name}.{key}": value for key, value in values.items()})
    sums = _try(partial(scorer.corpus_sums, samples), f"the interval of {scorer.name}", problems) or {}
    for key in sums.keys() & values.keys():
        value_name = f"{scorer.name}.{key}"
        bounds = _try(partial(bound_corpus_sums, sums[key], samples), f"the interval of {value_name}", problems)
        if bounds is not None:
            cases = len({one.case for one in samples})
            whole.intervals[name][value_name] = Estimate(values[key], *bounds.interval, cases, bounds.unknown)


def _try(work: Callable[[], T], what: str, problems: dict[str, str]) -> T | None:
    """What comes of it; None where it fails, and then why stands among the problems.

    Scorers are many people's code, and what one of them cannot do must not take the others' figures along.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - told in every output, under the name of what failed
        problems[what] = f"{type(error).__name__}: {error}"
        return None


def _is_corpus_metric(scorer: Scorer) -> bool:
    kind = type(getattr(scorer, "inner", scorer))
    return getattr(kind, "summarize", None) is not Scorer.summarize


def _judged_samples(view: RunView, scorers: Sequence[Scorer]) -> dict[tuple[str, str], list[ScoredSample]]:
    """The answers to which each of these scorers applies, by variant and scorer."""
    wanted = {scorer.name for scorer in scorers}
    right = {case.number: (case.expected, case.also) for case in view.cases()}
    samples: dict[tuple[str, str], list[ScoredSample]] = {}
    for cell in view.cells():
        for score in cell.scores:
            if score.scorer in wanted and score.applies and not cell.error and cell.case in right:
                expected, also = right[cell.case]
                one = ScoredSample(cell.completion.text, expected, score, also, cell.case)
                samples.setdefault((cell.variant, score.scorer), []).append(one)
    return samples


MOST_LABELS = 50
_CASES_A_LABEL = 2  # fewer, and the expected answers are texts rather than labels


class LabelCounts(NamedTuple):
    """counts[variant's index][expected][answered]; the last column is any other answer."""

    labels: tuple[str, ...]
    counts: dict[int, list[list[int]]]

    def position(self, one: AnswerCount, key: Callable[[str], str | None]) -> tuple[int, int]:
        """The row and the column of an answer."""
        row, answered = self.labels.index(one.expected), key(one.extracted)
        other = len(self.labels)
        column = next((at for at, label in enumerate(self.labels) if key(label) == answered), other)
        return row, _find_column(one, row, column, other)


def count_labels(answers: Iterable[AnswerCount], key: Callable[[str], str | None]) -> LabelCounts | None:
    """The answers as labels, most frequent label first; None where the expected answers are no labels.

    key: the form in which the scorer compares labels; see Scorer.label_key.
    """
    answers = list(answers)
    variants = sorted({one.variant for one in answers})
    expected: Counter[str] = Counter()
    for one in answers:
        expected[one.expected] += one.cells
    cases = expected.total() / max(1, len(variants))
    if not 2 <= len(expected) <= MOST_LABELS or cases < _CASES_A_LABEL * len(expected):
        return None
    labels = tuple(sorted(expected, key=lambda label: (-expected[label], label)))
    position = {label: at for at, label in enumerate(labels)}
    known = {key(label): at for label, at in position.items()}
    counts = {variant: [[0] * (len(labels) + 1) for _ in labels] for variant in variants}
    for one in answers:
        row = position[one.expected]
        counts[one.variant][row][_find_column(one, row, known.get(key(one.extracted), len(labels)), len(labels))] += (
            one.cells
        )
    return LabelCounts(labels, counts)


def _find_column(one: AnswerCount, right: int, answered: int, other: int) -> int:
    """An answer that looks right to the eye and was judged wrong is another answer, so that the sums agree."""
    if one.right:
        return right
    return other if answered == right else answered
