"""The method `examples`: forward and backward selection of few-shot examples, and their order, from the train part.

Each round makes neighbours of the best set so far (one example more, one exchanged, one less, another order) and races
them on dev. No model is asked but the one under test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import SearchError
from workbench.prompting.prompt import Example
from workbench.search.candidate import Candidate
from workbench.search.example_pool import draw_pool, interleave
from workbench.search.example_worth import leave_out
from workbench.search.racing import race

if TYPE_CHECKING:
    from workbench.search.method_context import MethodContext

_POOL = 60
"""rows of train that are drawn"""
_STARTS = 6
"""sets drawn from the pool with which a search begins"""
_WIDTH = 8
"""neighbours of each kind in a round"""
_ORDERS = 4


class Move(NamedTuple):
    """A set of examples to try, and why."""

    examples: tuple[Example, ...]
    reason: str


def select_examples(search: MethodContext) -> None:
    """Search until nothing improves; the best is `search.best()`. Raises SearchError without any row to show."""
    if search.seed.placement == "none" and search.prepared.task.prompt.mode != "chat":
        raise SearchError(
            f"The prompt {search.prepared.task.prompt.name} has no place for examples.",
            "Loop over `examples` in its body, with `placement: inline` in its front matter.",
        )
    pool = draw_pool(search.prepared, search.request.seed, _POOL)
    if not pool:
        raise SearchError(
            "The train part has no row with an expected answer that could be an example.",
            "Add a split `train` with the column of the expected answer.",
        )
    drawn = random.Random(search.request.seed)
    _try(search, search.best(), _draw_starts(search, pool, drawn))
    search.end_round()
    while True:
        current = search.best()
        for moves in (
            _add(search, current, pool, drawn),
            _exchange(current, pool, drawn),
            _remove(current),
            _reorder(current, drawn),
        ):
            if search.best().id == current.id:
                _try(search, current, moves)
        search.end_round()


def _try(search: MethodContext, parent: Candidate, moves: Sequence[Move]) -> None:
    """Propose the sets and race those that the guards admit; what was proposed before is not tried again."""
    proposed = [search.propose(parent, examples=move.examples, origin="examples", reason=move.reason) for move in moves]
    admitted = [one.candidate for one in proposed if one.admitted]
    if admitted:
        race(search, admitted, leader=search.best())


def _draw_starts(search: MethodContext, pool: Sequence[Example], drawn: random.Random) -> list[Move]:
    """No example at all, one of each answer, and sets of as many as the prompt has now."""
    answers = len({example.answer.strip() for example in pool})
    most = search.request.max_examples
    usual = min(most, len(search.seed.examples) or min(answers, 8) or 4, len(pool))
    moves = [Move((), "no examples")] if search.seed.examples else []
    sizes = [usual, min(most, 2 * answers, len(pool)), min(most, answers)]
    for number in range(_STARTS):
        shuffled = drawn.sample(list(pool), len(pool))
        size = sizes[number % len(sizes)]
        moves.append(Move(interleave(shuffled)[:size], f"{size} examples drawn from train, one of each answer in turn"))
    return moves


def _add(search: MethodContext, current: Candidate, pool: Sequence[Example], drawn: random.Random) -> list[Move]:
    """One example more: first of answers that the best prompt gets wrong."""
    if len(current.examples) >= search.request.max_examples:
        return []
    shown = {one.id for one in current.examples}
    wrong = set(_list_wrong(search, current))
    others = [one for one in drawn.sample(list(pool), len(pool)) if one.id not in shown]
    others.sort(key=lambda one: one.answer.strip() not in wrong)
    return [Move((*current.examples, one), f"with {one.id} as well: {_preview(one)}") for one in others[:_WIDTH]]


def _list_wrong(search: MethodContext, current: Candidate) -> Iterator[str]:
    """The expected answers of dev cases that a candidate does not get right."""
    results = search.state.results(current.id)
    best = search.prepared.best_possible
    for case in search.dev:
        found = results.get(case.number)
        if found is not None and (found.value is None or best is None or found.value < best):
            yield (case.expected or "").strip()


def _exchange(current: Candidate, pool: Sequence[Example], drawn: random.Random) -> list[Move]:
    """One example for another one, of the same answer where there is one."""
    shown = {one.id for one in current.examples}
    moves = []
    for index in drawn.sample(range(len(current.examples)), min(_WIDTH, len(current.examples))):
        old = current.examples[index]
        others = [one for one in drawn.sample(list(pool), len(pool)) if one.id not in shown]
        others.sort(key=lambda one: one.answer.strip() != old.answer.strip())
        if others:
            examples = (*current.examples[:index], others[0], *current.examples[index + 1 :])
            moves.append(Move(examples, f"{others[0].id} instead of {old.id}: {_preview(others[0])}"))
    return moves


def _remove(current: Candidate) -> list[Move]:
    """One example less; equal scores then go to the shorter prompt."""
    return [Move(leave_out(current, one), f"without {one.id}") for one in current.examples]


def _reorder(current: Candidate, drawn: random.Random) -> list[Move]:
    shown = current.examples
    if len(shown) < 2:
        return []
    shuffled = [tuple(drawn.sample(list(shown), len(shown))) for _ in range(_ORDERS - 2)]
    orders = [(shown[::-1], "in reverse order"), (interleave(shown), "one of each answer in turn")]
    return [Move(order, why) for order, why in (*orders, *((one, "in another order") for one in shuffled))]


def _preview(example: Example) -> str:
    text = " ".join(" ".join(example.variables.values()).split())
    return f"{text[:60]} -> {example.answer.strip()[:40]}"
