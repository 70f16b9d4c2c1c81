"""What each example of a candidate earns: the score with it against the score without it, on the same cases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from workbench.analysis.example_effects import ExampleEffect, make_effect
from workbench.datasets import Case
from workbench.prompting.prompt import Example
from workbench.search.candidate import Candidate
from workbench.search.preparation import Preparation
from workbench.search.ranking import find_best, rank
from workbench.search.splits import shuffle_numbers
from workbench.search.state import SearchState
from workbench.search.stoppers import SearchStopped
from workbench.search.trials import CandidateChange, SearchTrials
from workbench.statistics.paired import compare_pairs

LEAST_CASES = 12
"""of dev, on which an example's effect is measured"""


def leave_out(candidate: Candidate, example: Example) -> tuple[Example, ...]:
    """The candidate's examples without that one."""
    return tuple(one for one in candidate.examples if one.id != example.id)


def leave_each_out(trials: SearchTrials, state: SearchState, seed: int, calls: int, dev: Sequence[Case]) -> None:
    """Evaluate the best candidate without each of its examples, on as much of dev as the budget has room for. calls:
    that a case takes."""
    best = state.candidates[find_best(state, rank(state))]
    if not best.examples:
        return
    left, each = trials.calls_left, len(best.examples) * calls
    size = len(dev) if left is None else min(len(dev), left // each)
    if size < LEAST_CASES:
        return
    changes = [(one, CandidateChange(examples=leave_out(best, one))) for one in best.examples]
    proposed = [trials.propose(best, change, "examples", f"without {one.id}") for one, change in changes]
    without = [one.candidate if one.admitted else state.candidates.get(one.same_as) for one in proposed]
    with contextlib.suppress(SearchStopped):
        trials.evaluate([one for one in without if one is not None], shuffle_numbers(dev, seed)[:size], "dev")
    trials.note_best()


def measure_worth(prepared: Preparation, state: SearchState, candidate: Candidate) -> tuple[ExampleEffect, ...]:
    """The effects of the examples that were left out, on the dev cases that were answered without them too, after
    Holm's correction over them."""
    pairs = [(one, found) for one in candidate.examples if (found := _find_without(prepared, state, candidate, one))]
    if not pairs:
        return ()
    metric = prepared.task.metric
    columns = [candidate, *(found for _, found in pairs)]
    values = np.array(list(_read_rows(state, columns)), dtype=np.float64).reshape(-1, len(columns))
    compared = compare_pairs(values, [(at, 0) for at in range(1, len(columns))], metric.binary, bounded=not metric.free)
    whole = state.mean_tokens(candidate.id)
    return tuple(
        make_effect(example, one, whole - state.mean_tokens(found.id))
        for (example, found), one in zip(pairs, compared, strict=True)
    )


def _find_without(
    prepared: Preparation, state: SearchState, candidate: Candidate, example: Example
) -> Candidate | None:
    """The candidate that lacks one example and nothing else, if it has answered enough of dev."""
    rest = leave_out(candidate, example)
    wanted = msgspec.structs.replace(candidate, examples=rest).digest
    return next(
        (
            one
            for one in state.candidates.values()
            if one.digest == wanted and len(state.results(one.id)) >= LEAST_CASES
        ),
        None,
    )


def _read_rows(state: SearchState, columns: list[Candidate]) -> Iterator[list[float]]:
    """By case, the value of each; NaN where there is none."""
    found = [state.results(one.id) for one in columns]
    for case in found[0]:
        values = [own[case].value if case in own else None for own in found]
        yield [float("nan") if value is None else value for value in values]
