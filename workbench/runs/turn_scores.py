"""The scores of a conversation: each turn by what is expected of it, and of the conversation the mean over its turns.

The conversation is one case to every statistic: its turns are no independent observations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from workbench.inference.types import Completion
from workbench.runs.cell_step import CellStep
from workbench.runs.conversation import TurnOutcome
from workbench.runs.graders import GraderReplies
from workbench.scoring.grader_request import GraderRequest
from workbench.scoring.scorer import Score
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.tool_trace import ToolTrace

AskGraders = Callable[[Sequence[GraderRequest], TurnOutcome], Awaitable[GraderReplies]]


class TurnScores(NamedTuple):
    """scores: of the conversation. steps: with the scores of each turn at its last step. replies: of all graders."""

    scores: tuple[Score, ...]
    steps: tuple[CellStep, ...]
    replies: GraderReplies = GraderReplies()


async def score_turns(
    scorers: ScorerSet,
    turns: Sequence[TurnOutcome],
    steps: Sequence[CellStep],
    whole: Completion,
    cost: float | None = None,
    cached: bool = False,
    ask_graders: AskGraders | None = None,
) -> TurnScores:
    """cost: of the whole, None where no price is known."""
    replies = []
    found: list[tuple[Score, ...]] = []
    for turn in turns:
        requests = scorers.grader_requests(turn.text, turn.case)
        own = await ask_graders(requests, turn) if ask_graders else GraderReplies()
        spent = sum(step.cost for step in steps if step.turn == turn.number) if cost is not None else None
        scoring = scorers.score(turn.text, turn.case, own.replies, turn.completion, spent, cached, trace=turn.trace)
        found.append(await asyncio.wrap_future(scoring))
        replies.append(own)
    scores = found[0] if len(turns) == 1 else await _combine(scorers, turns, found, whole, cost, cached)
    scored = list(steps)
    for turn, own_scores in zip(turns, found, strict=True):
        if len(turns) > 1:
            scored[turn.at] = msgspec.structs.replace(scored[turn.at], scores=own_scores)
    return TurnScores(scores, tuple(scored), _join(replies))


async def _combine(
    scorers: ScorerSet,
    turns: Sequence[TurnOutcome],
    found: Sequence[tuple[Score, ...]],
    whole: Completion,
    cost: float | None,
    cached: bool,
) -> tuple[Score, ...]:
    """The mean of each score over the turns; of what is said of a conversation as a whole, such as its time, that."""
    entire: dict[str, Score] = {}
    if any(one.whole for one in scorers.scorers):
        trace = _join_traces([turn.trace for turn in turns if turn.trace])
        last = turns[-1]
        scoring = scorers.score(whole.text, last.case, (), whole, cost, cached, trace=trace)
        names = {one.name for one in scorers.scorers if one.whole}
        entire = {score.scorer: score for score in await asyncio.wrap_future(scoring) if score.scorer in names}
    columns = zip(*found, strict=True)
    return tuple(entire.get(column[0].scorer) or _mean(column, turns) for column in columns)


def _mean(scores: Sequence[Score], turns: Sequence[TurnOutcome]) -> Score:
    """One turn without the score that it should have leaves the conversation without one."""
    if lost := next((one for one in scores if one.unscored), None):
        return lost
    applied = [(turn.number, one) for turn, one in zip(turns, scores, strict=True) if one.applies]
    if not applied:
        return scores[0]
    parts: dict[str, float] = {}
    for number, one in applied:
        parts[f"turn {number}"] = one.value
        parts |= {f"turn {number} {name}": value for name, value in one.parts.items()}
    value = sum(one.value for _, one in applied) / len(applied)
    lines = [f"turn {number}: {one.value:.4g}  {one.explanation.partition(chr(10))[0]}" for number, one in applied]
    counted = f"{len(applied)} of {len(turns)} turns" if len(applied) < len(turns) else f"{len(turns)} turns"
    last = applied[-1][1]
    return Score(
        last.scorer, value, last.extracted, "\n".join([f"Mean of {counted}.", *lines]), parts=parts, scale=last.scale
    )


def _join_traces(traces: Sequence[ToolTrace]) -> ToolTrace | None:
    if not traces:
        return None
    return ToolTrace(
        tuple(call for trace in traces for call in trace.calls),
        sum(trace.rounds for trace in traces),
        next((trace.problem for trace in traces if trace.problem), ""),
        any(trace.limited for trace in traces),
        sum(trace.unanswered for trace in traces),
        traces[0].tools,
        sum(trace.live for trace in traces),
    )


def _join(replies: Sequence[GraderReplies]) -> GraderReplies:
    asked = [one for one in replies if one.replies]
    return GraderReplies(
        tuple(reply for one in asked for reply in one.replies),
        tuple(new for one in asked for new in one.new),
        bool(asked) and all(one.known for one in asked),
        sum(one.spent for one in asked),
    )
