"""One cell, from its prompt to its scores: the answer from the cache or the model, then graders, then scorers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from workbench.errors import ServerMismatchError, WorkbenchError
from workbench.runs.cache import AnswerKeys
from workbench.runs.cell import Cell
from workbench.runs.cell_answer import (
    CallAnswer,
    CellServices,
    find_known,
    generate_answer,
    load_model,
    price_call,
)
from workbench.runs.cell_chain import answer_chain
from workbench.runs.cell_prompt import CellPrompt
from workbench.runs.conversation import TurnOutcome, collect_turns, is_conversation, list_following
from workbench.runs.graders import GraderReplies
from workbench.runs.step_traces import CHAIN, collect_traces
from workbench.runs.turn_scores import score_turns
from workbench.runs.work_queue import CellTask
from workbench.scoring.grader_request import GraderRequest, needs_prompt
from workbench.scoring.scorer import Score
from workbench.store.cell_records import StoredCompletion


@dataclass(frozen=True, slots=True)
class FinishedCell:
    """A cell that is to be stored. replies: of graders, by digest, that were not known before.

    seconds: its part of the time in which cells ran side by side; 0 where it did not ask its model. spent: money, for
    its answer and its graders' replies, where they were not known before. answers: to the calls of a cell that makes
    several, for later cells.
    """

    task: CellTask
    cell: Cell
    stored: StoredCompletion
    replies: tuple[tuple[bytes, str], ...] = ()
    seconds: float = 0.0
    spent: float = 0.0
    answers: tuple[StoredCompletion, ...] = ()


async def run_cell(task: CellTask, services: CellServices) -> FinishedCell:
    """The cell, well or not: a cell that fails says so and stops no other.

    Raises ServerMismatchError where no further answer of its model can be trusted, which ends the run.
    """
    started = task.queue.working.begin()
    answer, replies = CallAnswer(), GraderReplies()
    scores: tuple[Score, ...] = ()
    try:
        task = await _retrieve(task, services)
        answer = await _answer(task, services)
        if answer.turns and answer.error is None:
            answer, scores, replies = await _score_turns(task, answer, services)
        elif answer.error is None or answer.done is not None:
            text = answer.completion.text if answer.error is None else None
            requests = services.scorers.grader_requests(text, task.case, answer.done)
            if answer.prompt and any(map(needs_prompt, requests)):
                await load_model(task, answer.prompt, services)
            replies = await services.graders.ask(requests, answer.prompt)
            if not services.scorers.needs_answer and answer.done is None:
                answer = replace(answer, cached=replies.known)
            scores = await _score(task, answer, text, replies, services)
    except ServerMismatchError:
        raise
    except WorkbenchError as error:
        answer = replace(answer, error=error)
    seconds = task.queue.working.end(started)
    asked = not answer.found and answer.error is None
    cell, stored = _describe(task, answer, scores)
    single = 0.0 if answer.found else cell.cost
    spent = (answer.spent if answer.steps else single) + replies.spent
    timed = seconds if asked and not cell.cached else 0.0
    return FinishedCell(task, cell, stored, replies.new, timed, spent, answer.answers)


async def _retrieve(task: CellTask, services: CellServices) -> CellTask:
    """The task whose case has the passages that its variant retrieves. Raises WorkbenchError."""
    origin = task.planned.provenance
    if origin is None or origin.passages is None:
        return task
    case = await asyncio.to_thread(services.finder.fill, origin.passages, task.case)
    return replace(task, case=case)


async def _answer(task: CellTask, services: CellServices) -> CallAnswer:
    """Raises WorkbenchError where the variant cannot run, or its prompt cannot be rendered for this case."""
    if error := task.planned.error or task.queue.load_error:
        raise error
    origin = task.planned.provenance
    assert origin is not None
    if origin.prompt.steps:
        return await answer_chain(task, origin, services)
    # scores of a turn's passages stand at its answer, so that it is asked for even where nothing else needs one
    if is_conversation(origin.prompt, task.case) and (services.scorers.needs_answer or task.case.turn_passages):
        answer = await answer_chain(task, origin, services)
        return replace(answer, turns=collect_turns(origin.prompt, task.case, answer.steps))
    prompt = CellPrompt(origin, task.case, task.repeat)  # the digest of the cache is over what would be sent
    keys = prompt.cache_keys() if services.scorers.needs_answer else None
    answer = await _find_answer(task, keys, services) or await generate_answer(task, prompt, keys, services)
    return replace(answer, prompt=prompt)


async def _find_answer(task: CellTask, keys: AnswerKeys | None, services: CellServices) -> CallAnswer | None:
    """The answer that need not be made: none is wanted, an earlier attempt has it, or it is in the cache."""
    if not services.scorers.needs_answer:
        return CallAnswer()
    if earlier := services.find_unscored(task):
        return CallAnswer(earlier.stored, earlier.cached, found=True)
    return await find_known(keys, services)


async def _score_turns(
    task: CellTask, answer: CallAnswer, services: CellServices
) -> tuple[CallAnswer, tuple[Score, ...], GraderReplies]:
    """A conversation with the scores of its turns."""
    origin = task.planned.provenance
    assert origin is not None
    first = answer.turns[0].case if answer.turns else task.case

    async def ask_graders(requests: Sequence[GraderRequest], turn: TurnOutcome) -> GraderReplies:
        if not requests:
            return GraderReplies()
        prompt = CellPrompt(origin, first, task.repeat, list_following(answer.steps, turn.at))
        if any(map(needs_prompt, requests)):
            await load_model(task, prompt, services)
        return await services.graders.ask(requests, prompt)

    cost = price_call(task, answer) if task.planned.price else None
    done = await score_turns(
        services.scorers, answer.turns, answer.steps, answer.completion, cost, answer.cached, ask_graders
    )
    return replace(answer, steps=done.steps), done.scores, done.replies


async def _score(
    task: CellTask, answer: CallAnswer, text: str | None, replies: GraderReplies, services: CellServices
) -> tuple[Score, ...]:
    """text: None where there is no answer, so that only the steps before it are scored."""
    done = answer.completion
    cost = price_call(task, answer) if task.planned.price else None
    origin = task.planned.provenance
    traces = collect_traces(origin.prompt, answer.steps) if origin and origin.prompt.steps else {}
    scoring = services.scorers.score(
        text, task.case, replies.replies, done, cost, answer.cached, answer.done, traces.get(CHAIN), traces
    )
    return scoring.result() if scoring.done() else await asyncio.wrap_future(scoring)


def _describe(task: CellTask, answer: CallAnswer, scores: tuple[Score, ...]) -> tuple[Cell, StoredCompletion]:
    """The cell as it is announced, and its completion as it is stored."""
    stored, error = answer.stored, answer.error
    if error is not None:
        failed = msgspec.structs.replace(stored.completion, stop_reason="error")
        stored = msgspec.structs.replace(stored, completion=failed, reusable=False, key=0)
    cell = Cell(
        task.planned.variant.name,
        task.case.number,
        stored.completion,
        scores,
        error=(error.message or "It failed without a message.") if error else "",
        hint=error.hint if error else "",
        repeat=task.repeat,
        cached=answer.cached,
        cost=price_call(task, answer),
        prompt_digest=stored.digest.hex() if stored.digest else "",
        steps=answer.steps,
    )
    return cell, stored
