"""Scoring: an answer goes in, the scores of all scorers of a bench come out.

Knows nothing of how an answer came about, nor of how a question to a model is carried out. Light scorers judge
on the caller's thread; those with heavy libraries and those that a person wrote judge beside it, in one process for all
that may use the same.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from workbench.engines.engine import Completion
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers import Evidence, Question, Reply, Score, Scorer, make_scorers
from workbench.evaluation.scoring.wire import bound_score
from workbench.evaluation.scoring.worker import Worker
from workbench.evaluation.trust import require_trust


class Scoring:
    """The scorers of a bench, ready to judge; its methods may be called from any thread.

    specs and folder: as for make_scorers, whose ScorerError it raises, also for code that nobody has agreed to.
    """

    def __init__(self, specs: Sequence[str | dict[str, dict[str, Any]]], folder: Path) -> None:
        self.scorers: tuple[Scorer, ...] = make_scorers(specs, folder)
        codes = require_trust(specs, folder)
        kinds = dict.fromkeys(scorer.permissions for scorer in self.scorers if scorer.heavy)
        self._workers = {kind: Worker(specs, folder, self.scorers, codes, kind) for kind in kinds}

    @property
    def needs_answer(self) -> bool:
        """False when no scorer looks at the text, so that nothing has to be generated."""
        return any(scorer.needs_answer for scorer in self.scorers)

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        """What models have to be asked before `score`, each question once."""
        asked = (question for scorer in self.scorers for question in scorer.questions(text, case))
        return tuple({_key(question): question for question in asked}.values())

    def score(
        self,
        text: str,
        case: Case,
        replies: Sequence[Reply] = (),
        completion: Completion | None = None,
        cost: float | None = None,
        cached: bool = False,
    ) -> Future[tuple[Score, ...]]:
        """The scores, in the bench's order; the future never fails.

        replies: to `questions(text, case)`, in order; left out, scorers that ask do not apply.
        completion, cost, cached: as in Evidence.
        """
        heard = self._hear(text, case, replies)
        gathering = _Gathering(len(self.scorers))
        for place, scorer in enumerate(self.scorers):
            own = tuple(heard[_key(question)] for question in scorer.questions(text, case)) if heard else ()
            evidence = Evidence(text, case, own, completion, cost, cached)
            if scorer.heavy:
                self._workers[scorer.permissions].judge(place, evidence, gathering.taker(place))
            else:
                gathering.take(place, judge_safely(scorer, evidence))
        return gathering.future

    def close(self) -> None:
        """End the processes; what they still had to judge gets scores that do not apply."""
        for worker in self._workers.values():
            worker.close()

    def _hear(self, text: str, case: Case, replies: Sequence[Reply]) -> dict[bytes, Reply]:
        if not replies:
            return {}
        keys = [_key(question) for question in self.questions(text, case)]
        return dict(zip(keys, replies, strict=True))


class _Gathering:
    """Scores on their way, from several threads."""

    def __init__(self, count: int) -> None:
        self.future: Future[tuple[Score, ...]] = Future()
        self.future.set_running_or_notify_cancel()
        self._scores: list[Score | None] = [None] * count
        self._missing = count
        self._lock = threading.Lock()
        if not count:
            self.future.set_result(())

    def take(self, place: int, score: Score) -> None:
        with self._lock:
            self._scores[place] = score
            self._missing -= 1
            done = not self._missing
        if done:
            self.future.set_result(tuple(score for score in self._scores if score))

    def taker(self, place: int) -> Any:
        return lambda score: self.take(place, score)


def judge_safely(scorer: Scorer, evidence: Evidence) -> Score:
    """The scorer's score; for one that raises, a score that says so and does not apply."""
    try:
        score = bound_score(scorer.judge(evidence))
        return score if scorer.scale == "unit" else msgspec.structs.replace(score, scale=scorer.scale)
    except Exception as error:  # noqa: BLE001  a scorer that fails must not end a run
        explanation = f"The scorer failed: {type(error).__name__}: {error}"
        details = traceback.format_exc()
        return bound_score(Score(scorer.name, 0.0, "", explanation, False, details, unscored="error"))


def _key(question: Question) -> bytes:
    return msgspec.msgpack.encode(question)
