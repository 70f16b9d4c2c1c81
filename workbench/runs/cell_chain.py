"""A cell of several calls, a chain or a conversation: each from the cache or its model, summed up as one answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from workbench.datasets import Case
from workbench.errors import StepError
from workbench.models.reference import Model
from workbench.prompting.steps import list_steps
from workbench.runs.cache import CachedAnswers
from workbench.runs.cell_answer import CallAnswer, CellServices, find_known, generate_answer, price_call
from workbench.runs.cell_prompt import CellPrompt
from workbench.runs.cell_step import CellStep, collect_answers
from workbench.runs.chain import StepCall
from workbench.runs.chain_client import run_calls
from workbench.runs.chain_outcome import StepAnswer
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import read_steps
from workbench.runs.work_queue import CallSlots, CellTask, PlannedVariant, WorkQueue
from workbench.store.cell_records import StoredCompletion


async def answer_chain(task: CellTask, origin: Provenance, services: CellServices) -> CallAnswer:
    """The answer of a chain or a conversation with all its calls; a step that fails is the answer's error.

    origin: what the cell's answers come from. Raises ServerMismatchError.
    """
    if earlier := services.find_unscored(task):
        steps = read_steps(earlier.steps)
        done = collect_answers(steps) if origin.prompt.steps else None
        return CallAnswer(earlier.stored, earlier.cached, True, None, steps, done, earlier.cost)
    last_step = list_steps(origin.prompt)[-1].name if origin.prompt.steps else ""
    last_prompt: CellPrompt | None = None

    async def ask(call: StepCall) -> StepAnswer:
        nonlocal last_prompt
        own, step_origin = _make_task(task, origin, call, services)
        prompt = last_prompt = CellPrompt(step_origin, call.case, task.repeat, call.following)
        keys = prompt.cache_keys()
        shown = call.name == last_step and call.kind == "call" and not (call.index or call.sample or call.attempt)
        shown = shown or not last_step
        found = await find_known(keys, services) or await generate_answer(own, prompt, keys, services, shown)
        cost = price_call(own, found)
        return StepAnswer(found.stored, prompt.model.name, found.cached, found.found, cost, found.error)

    outcome = await run_calls(origin.spec(task.case, task.repeat), ask, live=services.live)
    stored = StoredCompletion(outcome.completion, outcome.share_seconds, _digest(outcome.steps))
    return CallAnswer(
        stored,
        outcome.cached,
        outcome.is_known,
        outcome.error,
        outcome.steps,
        collect_answers(outcome.steps) if origin.prompt.steps else None,
        outcome.cost,
        outcome.spent,
        outcome.answers,
        last_prompt,
    )


async def count_known_chains(origin: Provenance, cases: Sequence[Case], answers: CachedAnswers) -> int:
    """For how many cases the answers of all calls of a chain or a conversation are known."""

    async def ask(call: StepCall) -> StepAnswer:
        own = origin.of_step(call) if origin.prompt.steps else origin
        keys = CellPrompt(own, call.case, 0, call.following).cache_keys()
        stored = await answers.find(keys) if keys else None
        if stored is None:
            raise StepError("It is not known.")
        return StepAnswer(stored, cached=True, found=True)

    outcomes = await asyncio.gather(*(run_calls(origin.spec(case), ask) for case in cases))
    return sum(outcome.error is None for outcome in outcomes)


def _make_task(
    task: CellTask, origin: Provenance, call: StepCall, services: CellServices
) -> tuple[CellTask, Provenance]:
    """The cell as it makes one call, with the queue and the price of the model that is asked."""
    own = origin.of_step(call) if origin.prompt.steps else origin
    queue, price = task.queue, task.planned.price
    if call.model:
        queue = _find_queue(call.model, own.base, task.queue, services)
        price = services.find_price(own.base, call.model)
        if queue.load_error:
            raise queue.load_error
    planned = PlannedVariant(task.planned.index, task.planned.variant, own, None, price)
    return CellTask(queue, planned, call.case, task.repeat), own


def _find_queue(name: str, model: Model, cells: WorkQueue, services: CellServices) -> WorkQueue:
    """The queue of a step's own model, which holds no cells: it is loaded once for all of them. It takes as many calls
    at a time as the queue whose cells ask it."""
    if name not in services.step_queues:
        services.step_queues[name] = WorkQueue(model, (), name)
        services.step_queues[name].call_slots = CallSlots(cells.call_slots.count)
    return services.step_queues[name]


def _digest(steps: tuple[CellStep, ...]) -> bytes | None:
    """A fingerprint of all that determines the answer; None where chance does."""
    made = [step.digest for step in steps if step.state in ("done", "failed")]
    if not made or not all(made):
        return None
    return hashlib.blake2b(" ".join(made).encode(), digest_size=16).digest()
