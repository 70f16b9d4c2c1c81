"""Contest: models judge the answers of a run two by two, names hidden, each two in both orders.

Knows nothing of how a judge is asked (scorers/pairwise.py) or of a person's votes (votes.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import combinations

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, fold
from workbench.engines.limits import loosen
from workbench.errors import BenchError, WorkbenchError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers import Ask, Evidence, Judged, Question, Reply, Score
from workbench.evaluation.scorers.pairwise import PairwiseJudge
from workbench.evaluation.view import RunView
from workbench.evaluation.votes import Comparison, Rating, rate_comparisons
from workbench.hosting.pool import Pool
from workbench.models.reference import Model

RIVAL = "the other answer"
"""The column in which a judge finds what to compare with; a case has none of this name."""

_UNDECIDED = Score("pairwise", 0.0, "", "", applies=False)
_AHEAD = 8  # bouts in flight


class Bout(msgspec.Struct, frozen=True):
    """Two variants' answers to one case. score: 1 where `a` is better, 0 where `b` is; see PairwiseJudge."""

    case: int
    a: str
    b: str
    text: str
    score: Score


class Result(msgspec.Struct, frozen=True):
    """ratings: best first. values: how far the judges are swayed by order, and agree; see PairwiseJudge.

    unread: bouts that no judge decided.
    """

    ratings: tuple[Rating, ...]
    values: dict[str, float]
    bouts: int
    unread: int


def choose_pairs(view: RunView, against: str = "") -> tuple[tuple[str, str], ...]:
    """Every two variants of a run, or each of the others with one. Raises BenchError for too few."""
    alternates = {variant.name for variant in view.bench.variants if variant.perturbation}
    names = [name for name in view.variants if name not in alternates]
    if against and against not in names:
        raise BenchError(f"No variant is called {against}.", f"The run has: {', '.join(names)}.")
    if len(names) < 2:
        raise BenchError(f"Run {view.id} has nothing to compare: {', '.join(names)}.", "Run at least two variants.")
    return tuple(pair for pair in combinations(names, 2) if not against or against in pair)


def hold(
    view: RunView,
    judge: PairwiseJudge,
    pairs: Sequence[tuple[str, str]],
    pool: Pool,
    find_model: Callable[[str], Model],
    limit: int | None = None,
) -> Iterator[Bout]:
    """Let the judge compare each pair on each case where the two answers differ, a few at a time.

    limit: only the first so many cases. Raises WorkbenchError when a judge's model cannot be found.
    """
    for model in judge.jury.models:
        find_model(model)
    waiting: deque[tuple[Bout, Case, list[Future[Reply]]]] = deque()
    for bout, case in _list_bouts(view, pairs, limit):
        questions = judge.questions(bout.text, case)
        waiting.append((bout, case, [ask(question, pool, find_model) for question in questions]))
        if len(waiting) >= _AHEAD:
            yield _decide(judge, *waiting.popleft())
    while waiting:
        yield _decide(judge, *waiting.popleft())


def conclude(view: RunView, judge: PairwiseJudge, bouts: Sequence[Bout]) -> Result:
    """What the bouts come to; one counts once, with the mean over both orders and all judges."""
    compared = [Comparison(one.case, one.a, one.b, one.score.value) for one in bouts if one.score.applies]
    judged = [Judged(bout.text, None, bout.score) for bout in bouts if bout.score.applies]
    unread = len(bouts) - len(judged)
    return Result(rate_comparisons(compared, view.variants), judge.summarize(judged), len(bouts), unread)


def ask(question: Question, pool: Pool, find_model: Callable[[str], Model]) -> Future[Reply]:
    """A judge's reply, on its way; the future never fails."""
    future: Future[Reply] = Future()
    chunks: list[Chunk] = []

    def take(event: Event) -> None:
        if isinstance(event, Failure):
            future.set_result(Reply(problem=event.message))
        elif isinstance(event, Chunk):
            chunks.append(event)
            if event.stop_reason is not None:
                future.set_result(Reply(completion=fold(chunks)))

    assert isinstance(question, Ask)
    try:
        model = find_model(question.model)
        pool.submit(model, question.messages, loosen(question.sampling, model), question.mode, take, priority=1)
    except WorkbenchError as error:
        future.set_result(Reply(problem=error.message))
    return future


def _list_bouts(view: RunView, pairs: Sequence[tuple[str, str]], limit: int | None) -> Iterator[tuple[Bout, Case]]:
    for at, case in enumerate(view.cases()):
        if limit is not None and at >= limit:
            return
        texts = {name: _find_text(view, name, case) for name in dict.fromkeys(name for pair in pairs for name in pair)}
        for a, b in pairs:
            left, right = texts[a], texts[b]
            if left is not None and right is not None and left.strip() != right.strip():
                shown = msgspec.structs.replace(case, variables={**case.variables, RIVAL: right})
                yield Bout(case.number, a, b, left, _UNDECIDED), shown


def _find_text(view: RunView, variant: str, case: Case) -> str | None:
    cell = view.cell(variant, case.number)
    return None if cell is None or cell.error else cell.completion.text


def _decide(judge: PairwiseJudge, bout: Bout, case: Case, replies: Sequence[Future[Reply]]) -> Bout:
    heard = tuple(reply.result() for reply in replies)
    return msgspec.structs.replace(bout, score=judge.judge(Evidence(bout.text, case, heard)))
