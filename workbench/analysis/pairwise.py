"""Models judge the variants' answers two by two, names hidden, in both orders."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import combinations

import msgspec

from workbench.analysis.votes import JudgedPair, Rating, rate_comparisons
from workbench.datasets import Case
from workbench.errors import BenchError
from workbench.inference.pool import Pool
from workbench.runs.graders import Graders
from workbench.runs.sources import Sources
from workbench.runs.view import RunView
from workbench.scoring.scorer import Score, ScoredSample
from workbench.scoring.scorers.pairwise import PairwiseJudge
from workbench.store.cells import add_replies
from workbench.store.store import Store

_CONCURRENCY = 8  # matches in flight


class Match(msgspec.Struct, frozen=True):
    """Two variants' answers to one case. score: 1 where `a` is better, 0 where `b` is; see PairwiseJudge."""

    case: int
    a: str
    b: str
    text: str
    score: Score


class PairwiseResult(msgspec.Struct, frozen=True):
    """ratings: best first. values: how far the judges are swayed by order, and agree; see PairwiseJudge.

    undecided: matches on which no judge's reply could be read.
    """

    ratings: tuple[Rating, ...]
    values: dict[str, float]
    matches: int
    undecided: int


def choose_pairs(view: RunView, against: str = "") -> tuple[tuple[str, str], ...]:
    """Every two variants of a run, or each of the others with one. Raises BenchError for too few."""
    perturbed = {variant.name for variant in view.bench.variants if variant.perturbation}
    names = [name for name in view.variants if name not in perturbed]
    if against and against not in names:
        raise BenchError(f"No such variant: {against}.", f"The run has: {', '.join(names)}.")
    if len(names) < 2:
        raise BenchError(f"Run {view.id} has nothing to compare: {', '.join(names)}.", "Run at least two variants.")
    return tuple(pair for pair in combinations(names, 2) if not against or against in pair)


async def run_matches(
    view: RunView,
    judge: PairwiseJudge,
    pairs: Sequence[tuple[str, str]],
    pool: Pool,
    sources: Sources,
    limit: int | None = None,
) -> AsyncIterator[Match]:
    """Let the judge compare each pair on each case where the two answers differ, a few at a time, in order.

    limit: only the first so many cases. Raises WorkbenchError when a judge's model cannot be found.
    """
    for model in judge.panel.models:
        sources.find_model(model)
    graders = Graders(sources, view.store, pool.client, use_cache=True)
    running: deque[asyncio.Task[Match]] = deque()
    try:
        for case, a, b, texts in _list_matches(view, pairs, limit):
            running.append(asyncio.create_task(_run_match(judge, graders, view.store, case, (a, b), texts)))
            if len(running) >= _CONCURRENCY:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()


def rate_matches(view: RunView, judge: PairwiseJudge, matches: Sequence[Match]) -> PairwiseResult:
    """What the matches come to; one counts once, with the mean over both orders and all judges."""
    decided = [one for one in matches if one.score.applies]
    compared = [JudgedPair(one.case, one.a, one.b, one.score.value) for one in decided]
    values = judge.summarize([ScoredSample(one.text, None, one.score) for one in decided])
    ratings = rate_comparisons(compared, view.variants)
    return PairwiseResult(ratings, values, len(matches), len(matches) - len(decided))


async def _run_match(
    judge: PairwiseJudge, graders: Graders, store: Store, case: Case, names: tuple[str, str], texts: tuple[str, str]
) -> Match:
    asked = await graders.ask(judge.compare(*texts, case), prompt=None)
    add_replies(store, asked.new)  # so that a comparison that ends early goes on from here
    return Match(case.number, *names, texts[0], judge.decide(texts[0], asked.replies))


def _list_matches(
    view: RunView, pairs: Sequence[tuple[str, str]], limit: int | None
) -> Iterator[tuple[Case, str, str, tuple[str, str]]]:
    for at, case in enumerate(view.cases()):
        if limit is not None and at >= limit:
            return
        texts = {name: _find_text(view, name, case) for name in dict.fromkeys(name for pair in pairs for name in pair)}
        for a, b in pairs:
            left, right = texts[a], texts[b]
            if left is not None and right is not None and left.strip() != right.strip():
                yield case, a, b, (left, right)


def _find_text(view: RunView, variant: str, case: Case) -> str | None:
    cell = view.cell(variant, case.number)
    return None if cell is None or cell.error else cell.completion.text
