"""All scorers of a bench, ready to score answers.

Light scorers run on the caller's thread; those with heavy libraries, and those that a user wrote, run beside it, in one
process for all that have the same permissions.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply, GraderRequest
from workbench.scoring.protocol import bound_score
from workbench.scoring.scorer import Score, Scorer, ScoringInput
from workbench.scoring.tool_trace import ToolTrace
from workbench.scoring.trust import require_trust
from workbench.scoring.worker import ScoringWorker

StepAnswers = Mapping[str, Completion]
"""The answers of a chain's steps that were carried out, by name."""


class ScorerSet:
    """The scorers of a bench, ready to score; its methods may be called from any thread.

    specs and folder: as for make_scorers, whose ScorerError it raises, also for code that nobody has agreed to.
    """

    def __init__(self, specs: Sequence[str | dict[str, dict[str, Any]]], folder: Path) -> None:
        self.scorers: tuple[Scorer, ...] = make_scorers(specs, folder)
        codes = require_trust(specs, folder)
        kinds = dict.fromkeys(scorer.permissions for scorer in self.scorers if scorer.heavy)
        self._workers = {kind: ScoringWorker(specs, folder, self.scorers, codes, kind) for kind in kinds}

    @property
    def needs_answer(self) -> bool:
        """False when no scorer looks at the text, so that nothing has to be generated."""
        return any(scorer.needs_answer for scorer in self.scorers)

    def grader_requests(
        self, text: str | None, case: Case, steps: StepAnswers | None = None
    ) -> tuple[GraderRequest, ...]:
        """What models have to be asked before `score`, each question once. The arguments are those of `score`."""
        asked = (
            question
            for scorer in self.scorers
            if (own := _find_text(scorer, text, steps)) is not None
            for question in scorer.grader_requests(own, case)
        )
        return tuple({_request_key(question): question for question in asked}.values())

    def score(
        self,
        text: str | None,
        case: Case,
        replies: Sequence[GraderReply] = (),
        completion: Completion | None = None,
        cost: float | None = None,
        cached: bool = False,
        steps: StepAnswers | None = None,
        trace: ToolTrace | None = None,
        traces: Mapping[str, ToolTrace] | None = None,
    ) -> Future[tuple[Score, ...]]:
        """The scores, in the bench's order; the future never fails.

        text: None where a chain has no answer: then only its steps are scored. replies: to `grader_requests` of the
        same, in order; left out, scorers that ask do not apply. completion, cost, cached: as in ScoringInput. steps:
        the answers of a chain's steps; None for what is no chain. trace: as in ScoringInput;
        traces: those of a chain's steps, by name.
        """
        replies_by_key = self._match_replies(text, case, replies, steps)
        scorers = [(index, one) for index, one in enumerate(self.scorers) if text is not None or one.step]
        pending = _PendingScores(len(scorers))
        for slot, (index, scorer) in enumerate(scorers):
            answer = _find_text(scorer, text, steps)
            if answer is None:
                pending.add(slot, _not_run(scorer, steps))
                continue
            own = (
                tuple(replies_by_key[_request_key(question)] for question in scorer.grader_requests(answer, case))
                if replies_by_key
                else ()
            )
            scoring_input = ScoringInput(answer, case, own, completion, cost, cached, trace)
            if scorer.step and steps:
                scoring_input = ScoringInput(answer, case, own, steps[scorer.step], None, cached)
                scoring_input = msgspec.structs.replace(scoring_input, trace=(traces or {}).get(scorer.step))
            # a heavy library takes a second to import, and a user's function may hang or crash: neither happens here
            if scorer.heavy:
                self._workers[scorer.permissions].judge(index, scoring_input, pending.add_to(slot))
            else:
                pending.add(slot, score_safely(scorer, scoring_input))
        return pending.future

    def close(self) -> None:
        """End the processes; what they still had to judge gets scores that do not apply."""
        for worker in self._workers.values():
            worker.close()

    def _match_replies(
        self, text: str | None, case: Case, replies: Sequence[GraderReply], steps: StepAnswers | None
    ) -> dict[bytes, GraderReply]:
        if not replies:
            return {}
        keys = [_request_key(question) for question in self.grader_requests(text, case, steps)]
        return dict(zip(keys, replies, strict=True))


class _PendingScores:
    """Scores on their way, from several threads."""

    def __init__(self, count: int) -> None:
        self.future: Future[tuple[Score, ...]] = Future()
        self.future.set_running_or_notify_cancel()
        self._scores: list[Score | None] = [None] * count
        self._missing = count
        self._lock = threading.Lock()
        if not count:
            self.future.set_result(())

    def add(self, index: int, score: Score) -> None:
        with self._lock:
            self._scores[index] = score
            self._missing -= 1
            done = not self._missing
        if done:
            self.future.set_result(tuple(score for score in self._scores if score))

    def add_to(self, index: int) -> Any:
        return lambda score: self.add(index, score)


def _find_text(scorer: Scorer, text: str | None, steps: StepAnswers | None) -> str | None:
    """What a scorer scores; None where there is nothing."""
    if not scorer.step:
        return text
    done = (steps or {}).get(scorer.step)
    return None if done is None else done.text


def _not_run(scorer: Scorer, steps: StepAnswers | None) -> Score:
    why = "was not run" if steps is not None else "is none of this variant"
    return Score(scorer.name, 0.0, "", f"The step {scorer.step} {why}.", applies=False)


def score_safely(scorer: Scorer, scoring_input: ScoringInput) -> Score:
    """The scorer's score; for one that raises, a score that says so and does not apply."""
    try:
        score = bound_score(scorer.score_input(scoring_input))
        return score if scorer.scale == "unit" else msgspec.structs.replace(score, scale=scorer.scale)
    except Exception as error:  # noqa: BLE001  a scorer that fails must not end a run
        explanation = f"The scorer failed: {type(error).__name__}: {error}"
        details = traceback.format_exc()
        return bound_score(Score(scorer.name, 0.0, "", explanation, False, details, unscored="error"))


def _request_key(question: GraderRequest) -> bytes:
    return msgspec.msgpack.encode(question)
