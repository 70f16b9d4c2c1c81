"""The end of a search: the winner and the hand-written prompt meet once on the sealed test part."""

from __future__ import annotations

import numpy as np

from workbench.analysis.summary import Estimate
from workbench.search.candidate import SEED, Candidate
from workbench.search.example_worth import measure_worth
from workbench.search.preparation import Preparation
from workbench.search.request import SearchPart
from workbench.search.result import PartScores, SearchResult
from workbench.search.state import SearchState
from workbench.search.trials import SearchTrials
from workbench.statistics.interval import Bounds, mean_interval, rate_interval
from workbench.statistics.paired import SIGNIFICANT, compare_pairs

_MOST_WITHOUT_VALUE = 0.05
"""The share of test answers without a score beyond which there is no verdict."""


def conclude_search(
    prepared: Preparation, state: SearchState, winner: Candidate, reason: str, trials: SearchTrials
) -> SearchResult | None:
    """The result; None where the test was cancelled. Where no candidate beat the seed on dev, the test stays sealed.

    winner: the best on dev. reason: why the search ended. trials: has candidates answer the test part.
    """
    seed, searched = prepared.seed, state.spending
    dev = compare_on(prepared, state, winner, "dev", max(1, _count_compared(state))) if winner != seed else None
    test = None
    if winner != seed:
        trials.open_test(winner)
        if not _is_tested(prepared, state, winner) and not trials.run_test((seed, winner)):
            return None
        test = compare_on(prepared, state, winner, "test", state.openings)
    failed = _count_failed(state, seed) + _count_failed(state, winner) if test else 0
    sound = failed <= _MOST_WITHOUT_VALUE * 2 * len(prepared.splits.test)
    metric = prepared.task.metric
    return SearchResult(
        winner=winner,
        seed=seed,
        improved=bool(test and sound and test.difference > 0 and test.p_corrected <= SIGNIFICANT),
        stopped=reason,
        metric=metric.name,
        lower_is_better=metric.lower_is_better,
        free=metric.free,
        dev=dev,
        test=test,
        openings=state.openings,
        candidates=len(state.candidates) - 1,
        refused=state.count_refusals(),
        dropped=len(state.dropped),
        rounds=state.rounds,
        spending=state.spending,
        effects=measure_worth(prepared, state, winner),
        tokens_seed=state.mean_tokens(seed.id),
        tokens_winner=state.mean_tokens(winner.id),
        failed=failed,
        run=state.test_run,
        notes=tuple(prepared.splits.notes),
        searched=searched,
        budget=trials.budget,
    )


def compare_on(
    prepared: Preparation, state: SearchState, winner: Candidate, part: SearchPart, family: int
) -> PartScores | None:
    """The winner against the seed on the cases of a part that both have a score for; p after Bonferroni's correction
    over the family. None where there are none."""
    metric = prepared.task.metric
    ours, theirs = (state.results(one.id, part) for one in (winner, prepared.seed))
    shared = [case for case in theirs if case in ours]
    pairs = [(theirs[case].value, ours[case].value) for case in shared]
    values = np.array([pair for pair in pairs if None not in pair], dtype=np.float64).reshape(-1, 2)
    if not len(values):
        return None
    (found,) = compare_pairs(values, [(0, 1)], metric.binary, bounded=not metric.free)
    return PartScores(
        seed=_estimate(prepared, values[:, 0]),
        winner=_estimate(prepared, values[:, 1]),
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p=found.p,
        p_corrected=min(1.0, found.p * family),
        family=family,
        test=found.test,
        n=found.n,
        needed_cases=found.needed_cases,
        unknown=found.unknown,
    )


def _estimate(prepared: Preparation, column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Estimate:
    """The mean with its interval, in the metric's own direction."""
    metric = prepared.task.metric
    own = -column if metric.lower_is_better else column
    if metric.binary:
        bounds = Bounds(rate_interval(own, len(own) * prepared.task.bench.repeats))
    else:
        bounds = mean_interval(own, not metric.free)
    return Estimate(float(own.mean()), *bounds.interval, len(own), bounds.unknown)


def _count_compared(state: SearchState) -> int:
    """Candidates that answered any of dev: the winner was chosen out of all of them."""
    return sum(bool(state.results(name)) for name in state.candidates if name != SEED)


def _is_tested(prepared: Preparation, state: SearchState, winner: Candidate) -> bool:
    wanted = len(prepared.splits.test)
    return all(len(state.results(one.id, "test")) >= wanted for one in (prepared.seed, winner))


def _count_failed(state: SearchState, one: Candidate) -> int:
    return sum(result.value is None for result in state.results(one.id, "test").values())
