"""Values of the whole dataset, ratings, and the best of several scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.adapter_scales import compare_with_best
from workbench.analysis.measurements import MetricTable, estimate
from workbench.analysis.variant_family import VariantFamily
from workbench.datasets import Case
from workbench.runs.matrix_rows import Metric
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoredSample
from workbench.statistics.bradley_terry import rate_cases
from workbench.statistics.f1 import score_f1, score_repeated_f1
from workbench.statistics.interval import LEVEL
from workbench.statistics.jackknife import jackknife_interval

from .results import SimulationResult, cover

_REPEATS = 3
JOINT = "all seven at once: at least 95%"


def _lay_out(shares: Sequence[float], right: Sequence[float]) -> NDArray[np.float64]:
    """Chances of each expected and answered label. right: of each label, how often it is found; the rest goes to the
    others by their shares, and a fiftieth of it to no label."""
    labels = len(shares)
    chances = np.zeros((labels, labels + 1))
    for at in range(labels):
        others = np.array(shares, dtype=np.float64)
        others[at] = 0.0
        missed = shares[at] * (1 - right[at])
        chances[at, :labels] = missed * 0.98 * others / others.sum()
        chances[at, labels] = missed * 0.02
        chances[at, at] = shares[at] * right[at]
    return chances


_ZIPF = [1 / rank / sum(1 / other for other in range(1, 9)) for rank in range(1, 9)]

LABELS = (
    ("5 labels alike, 80% found", _lay_out([0.2] * 5, [0.8] * 5)),
    ("10 labels alike, 70% found", _lay_out([0.1] * 10, [0.7] * 10)),
    ("3 labels, 99% found", _lay_out([0.5, 0.3, 0.2], [0.99] * 3)),
    ("2 labels, one of 10%", _lay_out([0.9, 0.1], [0.97, 0.8])),
    ("4 labels, rare ones of 7% and 3%", _lay_out([0.6, 0.3, 0.07, 0.03], [0.8] * 4)),
    ("4 labels, rare ones seldom found", _lay_out([0.6, 0.3, 0.07, 0.03], [0.9, 0.7, 0.4, 0.3])),
    ("8 labels by Zipf's law, 75% found", _lay_out(_ZIPF, [0.75] * 8)),
)


def _macro(chances: NDArray[np.float64]) -> float:
    return score_f1((chances * 10**9).astype(np.int64)).macro


def simulate_f1(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    for name, chances in LABELS:
        truth = _macro(chances)
        for n in sizes:
            drawn = random.multinomial(n, chances.ravel(), datasets).reshape(-1, *chances.shape)
            yield cover("macro F1", name, n, (score_f1(one).macro_bounds[0] for one in drawn), truth)


def simulate_repeated_f1(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    """Three repeats of each case, of which each says the first one's answer two times in three."""
    name, chances = LABELS[0]
    labels, columns = chances.shape
    truth = _macro(chances)
    for n in sizes:
        ends = []
        for _ in range(datasets):
            expected = random.integers(labels, size=n)
            answers = chances[expected] / chances[expected].sum(axis=1, keepdims=True)
            said = (random.random((n, _REPEATS, 1)) > answers.cumsum(axis=1)[:, None, :-1]).sum(axis=2)
            said = np.where(random.random((n, _REPEATS)) < 2 / 3, said[:, :1], said)
            kinds = np.zeros((n, labels, columns))
            np.add.at(kinds, (np.arange(n)[:, None], expected[:, None], said), 1 / _REPEATS)
            ends.append(score_repeated_f1(kinds, np.ones(n, dtype=np.int64)).macro_bounds[0])
        yield cover("macro F1", f"{name}, three repeats", n, ends, truth)


_WORDS = (
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "by",
    "mat",
    "river",
    "old",
    "red",
    "house",
    "man",
    "who",
    "saw",
    "far",
    "away",
    "near",
    "while",
)


def _write_answers(random: np.random.Generator, count: int) -> list[ScoredSample]:
    """Answers that keep most words of their references, some of them hardly any; some references are two."""
    scorer = make_scorers(["exact_match"])[0]
    samples = []
    for number in range(count):
        reference = list(random.choice(_WORDS, random.integers(4, 18)))
        kept = random.beta(6, 1.2)
        said = [word if random.random() < kept else str(random.choice(_WORDS)) for word in reference]
        said = said[: max(2, len(said) - random.integers(0, 3))]
        other = tuple([" ".join(random.permutation(reference))] if random.random() < 0.3 else [])
        expected, text = " ".join(reference), " ".join(said)
        score = scorer.score(text, Case(number, {}, expected, number, other))
        samples.append(ScoredSample(text, expected, score, other, number))
    return samples


def simulate_corpus(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """BLEU and chrF of data sets drawn from 4,000 answers, whose value is the truth."""
    pool = _write_answers(random, 4_000)
    for scorer in make_scorers(["bleu", "chrf"]):
        sums = scorer.corpus_sums(pool)["corpus"]
        truth = sums.value(sums.rows.sum(axis=0))
        for n in sizes:
            for repeats in (1, _REPEATS):
                cases = np.repeat(np.arange(n), repeats)
                ends = []
                for _ in range(datasets):
                    rows = sums.rows[np.repeat(random.integers(len(pool), size=n), repeats)]
                    ends.append(jackknife_interval(rows, cases.tolist(), sums.value, sums.ends)[0])
                told = "answers kept to 83%" + (", three equal repeats" if repeats > 1 else "")
                yield cover(f"corpus {scorer.name}", told, n, ends, truth)


def simulate_ratings(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Three variants, each case judged for every pair in both orders, which count once."""
    strengths = np.array([-0.6, 0.0, 0.6])
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    for name, ties, sway in (("no ties", 0.0, 0.0), ("40% ties", 0.4, 0.0), ("half swayed by order", 0.0, 0.5)):
        truth = _rate(random, strengths, pairs, ties, sway, 100_000)[0]
        for n in sizes:
            ends = []
            for _ in range(datasets):
                values, halves = _rate(random, strengths, pairs, ties, sway, n)
                ends += zip(values - halves - truth, values + halves - truth, strict=True)
            yield cover("rating", name, n, ends, 0.0)


def _rate(
    random: np.random.Generator, strengths: np.ndarray, pairs: np.ndarray, ties: float, sway: float, n: int
) -> tuple[np.ndarray, np.ndarray]:
    own = strengths + random.normal(0, 0.5, (n, 3))
    gap = own[:, pairs[:, 0]] - own[:, pairs[:, 1]]
    shares = (random.random(gap.shape) < 1 / (1 + np.exp(-gap))).astype(float)
    shares[(random.random(gap.shape) < ties) | (random.random(gap.shape) < sway)] = 0.5
    cases = np.repeat(np.arange(n), len(pairs))
    return rate_cases(np.tile(pairs, (n, 1)), shares.ravel(), cases, 3)


def simulate_scale(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Seven scales that are alike: whether any is called worse than the one that happens to be best, and whether all
    seven intervals, that of the best one among them, hold the truth at once."""
    columns = {scale: at for at, scale in enumerate((0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5))}
    for name, metric in (("right and wrong", Metric("m", binary=True)), ("scores near 1", Metric("m"))):
        for n in sizes:
            false, ends, truth = 0, [], 0.75 if metric.binary else 1 - 0.5 * 0.3
            for _ in range(datasets):
                hard = random.random((n, 1))
                means = np.where(random.random((n, 7)) < 0.6 * hard, random.random((n, 7)), 1.0)
                if metric.binary:
                    means = (random.random((n, 7)) > 0.5 * hard).astype(float)
                table = MetricTable(np.arange(n), means, np.ones((n, 7), dtype=np.int64))
                best = max(columns, key=lambda scale: means[:, columns[scale]].mean())
                false += "worse" in compare_with_best(VariantFamily(metric, {}, columns, table), best).values()
                found = estimate(table, metric, 1 - (1 - LEVEL) / 7)
                ends.append((float(np.max([one.low for one in found])), float(np.min([one.high for one in found]))))
            yield cover("best of seven scales", name, n, ends, truth, false / datasets, JOINT)
