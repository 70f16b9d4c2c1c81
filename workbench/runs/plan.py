"""What a run is about to do: how many cells, on which models in which order, how long and how much memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import psutil

from workbench.datasets import Case, Cases
from workbench.datasets.turns import first_turn
from workbench.errors import TemplateError, WorkbenchError
from workbench.models.device_share import DeviceShare
from workbench.prompting.prompt import PromptStep
from workbench.prompting.steps import MOST_CALLS, MOST_ITEMS, count_calls, list_steps
from workbench.runs.bench import Bench
from workbench.runs.chain import count_output
from workbench.runs.contamination import check_contamination
from workbench.runs.conversation import count_most_calls, count_rounds
from workbench.runs.generation import examples_for, render_steps
from workbench.runs.inputs import find_input_warnings
from workbench.runs.plan_memory import FindDevices, plan_memory
from workbench.runs.price_table import is_paid
from workbench.runs.provenance import Provenance
from workbench.runs.shard import select
from workbench.runs.spending import estimate_most, estimate_tokens
from workbench.runs.work_queue import PlannedVariant, WorkQueue
from workbench.store.provenance import digest_provenance, estimate_duration
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.runs.writer import RunWriter


PriceSource = Literal["none", "known", "unknown"]


class PlannedModel(msgspec.Struct, frozen=True):
    """A model that will be loaded. variants: in the order they run. cells: still to do; cached: how many of those have
    their answer already. memory_bytes: 0 where it is not known. seconds: estimate; None where nothing is known.
    problem: why its cells will fail; "" when nothing is wrong so far.

    prompt_tokens: of the cells that are neither done nor cached, about; completion_tokens: of those, at most.
    most_cost: money that these cost at most, by their tokens. price: where it is from; `none` where nothing is paid for
    tokens, `unknown` where something may be."""

    model: str
    variants: tuple[str, ...]
    cells: int
    cached: int = 0
    memory_bytes: int = 0
    seconds: float | None = None
    problem: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    most_cost: float = 0.0
    price: PriceSource = "none"
    shares: tuple[DeviceShare, ...] = ()
    """what is on each device, by estimate; memory_bytes is of RAM"""


class Plan(msgspec.Struct, frozen=True):
    """cells = cases x variants x repeats, or a shard of them; done: those that an earlier attempt finished.
    models: in loading order.

    cached: cells whose answer is known already; counted over a sample where there are very many (`estimated`).
    seconds: estimate for all that is left; None where nothing is known. memory_bytes: the most that is in use at once.
    free_bytes: RAM that is free now. problems: what will make cells fail, in words. warnings: what will make the
    scores too good: examples or training rows that are test cases. judges: models that judge answers, loaded beside;
    step_models: those that steps of chains have of their own, likewise.
    shard: the part of the run that this is, such as `3/8`; empty: all of it.
    """

    cells: int
    cases: int
    variants: int
    repeats: int
    done: int = 0
    cached: int = 0
    estimated: bool = False
    models: tuple[PlannedModel, ...] = ()
    seconds: float | None = None
    memory_bytes: int = 0
    free_bytes: int = 0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    shard: str = ""
    step_models: tuple[str, ...] = ()


MOST_MEASURED = 40
"""cases of a variant whose prompts are measured"""

SAMPLE = 300
"""cases of a variant that are looked up in the cache, where there are more of them"""


def make_plan(
    queues: Sequence[WorkQueue],
    cases: Sequence[Case],
    spans: Sequence[range],
    bench: Bench,
    writer: RunWriter,
    store: Store,
    known: Callable[[PlannedVariant, Sequence[Case]], float],
    retry_failed: bool,
    judges: tuple[str, ...] = (),
    fill: Callable[[PlannedVariant, Case], Case] = lambda planned, case: case,
    find_devices: FindDevices = lambda offload: (),
) -> Plan:
    """What the queues are about to do; sets how many cells each of them has left.

    spans: by a variant's index, which of the cases it answers. known: for a planned, how many of these cases have their
    answer already. fill: the case with the passages that a variant retrieves for it. find_devices: those that a model
    may be offloaded to.
    """
    models, done = [], 0
    for queue in queues:
        finished = [writer.count_finished(planned, retry_failed) for planned in queue.variants]
        done += sum(finished)
        own = [select(cases, spans[planned.index]) for planned in queue.variants]
        left = [len(some) * bench.repeats - count for some, count in zip(own, finished, strict=True)]
        queue.left = sum(left)
        models.append(_plan_queue(queue, left, [_take_sample(some) for some in own], store, known, fill, find_devices))
    memory = [model.memory_bytes for model in models]
    seconds = [model.seconds for model in models if model.cells]
    return Plan(
        sum(map(len, spans)) * bench.repeats,
        len(cases),
        len(bench.variants),
        bench.repeats,
        done,
        sum(model.cached for model in models),
        max(map(len, spans)) > SAMPLE,
        tuple(models),
        None if None in seconds else sum(one for one in seconds if one is not None),
        max(memory, default=0),
        psutil.virtual_memory().available,
        tuple(dict.fromkeys(model.problem for model in models if model.problem)),
        (
            *_warn_of_inputs(queues, cases),
            *_find_contamination(queues, cases),
            *_find_losses(queues, cases, fill),
            *(cases.left_out if isinstance(cases, Cases) else ()),
        ),
        judges,
        step_models=_list_step_models(queues),
    )


def _list_step_models(queues: Sequence[WorkQueue]) -> tuple[str, ...]:
    origins = (planned.provenance for queue in queues for planned in queue.variants if planned.provenance)
    return tuple(dict.fromkeys(one.name for origin in origins for one in origin.step_models))


def _take_sample(cases: Sequence[Case]) -> Sequence[Case]:
    if len(cases) <= SAMPLE:
        return cases
    return [cases[len(cases) * index // SAMPLE] for index in range(SAMPLE)]


def _warn_of_inputs(queues: Sequence[WorkQueue], cases: Sequence[Case]) -> Iterator[str]:
    variants = (planned for queue in queues for planned in queue.variants)
    return find_input_warnings(((one.variant, one.provenance.prompt) for one in variants if one.provenance), cases)


def _find_contamination(queues: Sequence[WorkQueue], cases: Sequence[Case]) -> tuple[str, ...]:
    """Which variants have seen which of the cases, in words."""
    variants = (planned for queue in queues for planned in queue.variants)
    origins = (planned.provenance for planned in variants if planned.provenance)
    return check_contamination(origins, cases).sentences


def _find_losses(
    queues: Sequence[WorkQueue], cases: Sequence[Case], fill: Callable[[PlannedVariant, Case], Case]
) -> Iterator[str]:
    """What each model's chat template drops, changes or moves of the first case's messages, or why it refuses them."""
    from workbench.inference.template_file import find_notes

    for planned in (planned for queue in queues for planned in queue.variants if planned.provenance and cases):
        own = planned.provenance
        assert own is not None
        if own.prompt.mode == "completion":
            continue
        try:
            first = fill(planned, cases[0])
            values = first.values if own.prompt.steps else first_turn(first).values
            conversations = render_steps(own.prompt, values, examples_for(own.variant, own.prompt, first))
            notes = tuple(dict.fromkeys(note for one in conversations for note in find_notes(own.base, one)))
            notes = tuple(dict.fromkeys(note for one in conversations for note in find_notes(own.base, one)))
        except TemplateError as error:
            notes = (error.message,)
        except WorkbenchError:
            continue  # the model's own line of the plan says what is wrong with it
        yield from (f"{planned.variant.name}: {note}" for note in notes)


def _plan_queue(
    queue: WorkQueue,
    left: Sequence[int],
    samples: Sequence[Sequence[Case]],
    store: Store,
    known: Callable[[PlannedVariant, Sequence[Case]], float],
    fill: Callable[[PlannedVariant, Case], Case],
    find_devices: FindDevices,
) -> PlannedModel:
    names = tuple(planned.variant.name for planned in queue.variants)
    if queue.model is None:
        problem = "; ".join(dict.fromkeys(planned.error.message for planned in queue.variants if planned.error))
        return PlannedModel(queue.name, names, sum(left), seconds=0.0, problem=problem)
    cached, seconds = 0, 0.0
    prompt_tokens, completion_tokens, most_cost = 0, 0, 0.0
    unknown = False
    for planned, count, sample in zip(queue.variants, left, samples, strict=True):
        own = round(count * known(planned, sample) / max(len(sample), 1)) if count else 0
        cached += own
        tokens, limit = _estimate_prompt(planned, sample, fill), _count_output(planned, sample)
        prompt_tokens += round(tokens * (count - own))
        completion_tokens += limit * (count - own)
        if planned.price and count > own:
            queue.most_per_cell[planned.index] = estimate_most(planned.price, tokens, limit)
            most_cost += queue.most_per_cell[planned.index] * (count - own)
        assert planned.provenance is not None
        origin = digest_provenance(planned.provenance.encode())
        pace = estimate_duration(store, origin, planned.provenance.model.fingerprint) if count > own else 0.0
        unknown = unknown or pace is None
        seconds += (pace or 0.0) * (count - own)
    memory = plan_memory(queue, find_devices)
    return PlannedModel(
        queue.name,
        names,
        sum(left),
        cached,
        memory.ram_bytes,
        None if unknown else seconds,
        memory.problem,
        prompt_tokens,
        completion_tokens,
        most_cost,
        _find_source(queue),
        memory.shares,
    )


def _estimate_prompt(
    planned: PlannedVariant, sample: Sequence[Case], fill: Callable[[PlannedVariant, Case], Case]
) -> float:
    """About how many tokens a prompt of a variant has: the mean over the sample, by length."""
    assert planned.provenance is not None
    found = []
    for case in sample[:MOST_MEASURED]:
        with contextlib.suppress(WorkbenchError):  # a cell that cannot be rendered says so when its turn comes
            found.append(_estimate_case(planned.provenance, fill(planned, case)))
    return sum(found) / len(found) if found else 0.0


def _estimate_case(origin: Provenance, case: Case) -> int:
    """About the tokens of all prompts of a case; of a chain at most, with as many calls as its steps can make, and all
    that the steps before can say."""
    values = case.values if origin.prompt.steps else first_turn(case).values
    conversations = render_steps(origin.prompt, values, examples_for(origin.variant, origin.prompt, case))
    if not origin.prompt.steps:
        return estimate_tokens(conversations[0]) * count_most_calls(origin.prompt, case, origin.tool_setup)
    found, before = 0, 0
    for step, messages in zip(list_steps(origin.prompt), conversations, strict=True):
        calls = _count_step_calls(step, origin, case)
        found += calls * (estimate_tokens(messages) + before)
        before += count_output(step, origin.variant.sampling) * (MOST_ITEMS if step.each else 1)
    return found


def _count_output(planned: PlannedVariant, sample: Sequence[Case]) -> int:
    """The most tokens that the answers of a cell can have, over a sample of cases."""
    origin = planned.provenance
    sampling = origin.sampling if origin else planned.variant.sampling
    steps = list_steps(origin.prompt) if origin else ()
    if not steps:
        return sampling.max_tokens * (_count_answers(origin, sample) if origin else 1)
    assert origin is not None
    found = 0
    for step in steps:
        calls = max((_count_step_calls(step, origin, case) for case in sample[:MOST_MEASURED]), default=0)
        found += calls * count_output(step, sampling)
    return found


def _count_step_calls(step: PromptStep, origin: Provenance, case: Case) -> int:
    """The most calls of a step of a chain for a case, with the rounds in which its tools are answered."""
    rounds = 1
    with contextlib.suppress(WorkbenchError):  # such a cell says what is wrong when its turn comes
        contents = [one.content for one in (step, step.verify) if one and one.content]
        rounds = max(count_rounds(content, case, origin.tool_setup) for content in contents)
    return min(count_calls(step, MOST_ITEMS if step.each else 1) * rounds, MOST_CALLS)


def _count_answers(origin: Provenance, sample: Sequence[Case]) -> int:
    """The most answers of the model that one of these cases takes."""
    most = 1
    for case in sample[:MOST_MEASURED]:
        with contextlib.suppress(WorkbenchError):  # such a cell says what is wrong when its turn comes
            most = max(most, count_most_calls(origin.prompt, case, origin.tool_setup))
    return most


def _find_source(queue: WorkQueue) -> PriceSource:
    """Where the price of a queue's model is from."""
    if any(planned.price for planned in queue.variants):
        return "known"
    return "unknown" if queue.model and is_paid(queue.model) else "none"
