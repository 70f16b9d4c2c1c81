"""Plan: what a run is about to do: how many cells, on which models in which order, how long and how much memory.

Knows nothing of carrying it out (run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import psutil

from workbench.errors import TemplateError, WorkbenchError
from workbench.evaluation.bench import Bench
from workbench.evaluation.contamination import check_contamination
from workbench.evaluation.datasets import Case, Cases
from workbench.evaluation.inputs import warn_of_inputs
from workbench.evaluation.lane import Column, Lane
from workbench.evaluation.launch import enabled_examples
from workbench.prompting.render import render
from workbench.store.origins import digest_origin, estimate_pace
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.evaluation.ledger import Ledger


class PlannedModel(msgspec.Struct, frozen=True):
    """A model that will be loaded. variants: in the order they run. cells: still to do; cached: how many of those have
    their answer already. memory_bytes: 0 where it is not known. seconds: estimate; None where nothing is known.
    problem: why its cells will fail; "" when nothing is wrong so far."""

    model: str
    variants: tuple[str, ...]
    cells: int
    cached: int = 0
    memory_bytes: int = 0
    seconds: float | None = None
    problem: str = ""


class Plan(msgspec.Struct, frozen=True):
    """cells = cases x variants x repeats; done: those that an earlier attempt finished. models: in loading order.

    cached: cells whose answer is known already; counted over a sample where there are very many (`estimated`).
    seconds: estimate for all that is left; None where nothing is known. memory_bytes: the most that is in use at once.
    free_bytes: memory that is free now. problems: what will make cells fail, in words. warnings: what will make the
    scores too good: examples or training rows that are test cases. judges: models that judge answers, loaded beside.
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


SAMPLE = 300
"""cases of a variant that are looked up in the cache, where there are more of them"""


def make_plan(
    lanes: Sequence[Lane],
    cases: Sequence[Case],
    bench: Bench,
    ledger: Ledger,
    store: Store,
    known: Callable[[Column, Sequence[Case]], int],
    retry_failed: bool,
    judges: tuple[str, ...] = (),
) -> Plan:
    """What the lanes are about to do; sets how many cells each of them has left.

    known: for a column, how many of these cases have their answer already.
    """
    cells = len(cases) * bench.repeats
    sample = cases if len(cases) <= SAMPLE else [cases[len(cases) * place // SAMPLE] for place in range(SAMPLE)]
    models, done = [], 0
    for lane in lanes:
        finished = [ledger.count_finished(column, retry_failed) for column in lane.columns]
        done += sum(finished)
        left = [cells - count for count in finished]
        lane.left = sum(left)
        models.append(_plan_lane(lane, left, sample, store, known))
    memory = [model.memory_bytes for model in models]
    seconds = [model.seconds for model in models if model.cells]
    return Plan(
        cells * len(bench.variants),
        len(cases),
        len(bench.variants),
        bench.repeats,
        done,
        sum(model.cached for model in models),
        len(sample) < len(cases),
        tuple(models),
        None if None in seconds else sum(one for one in seconds if one is not None),
        max(memory, default=0),
        psutil.virtual_memory().available,
        tuple(dict.fromkeys(model.problem for model in models if model.problem)),
        (
            *_warn_of_inputs(lanes, cases),
            *_find_contamination(lanes, cases),
            *_find_losses(lanes, cases),
            *(cases.left_out if isinstance(cases, Cases) else ()),
        ),
        judges,
    )


def _warn_of_inputs(lanes: Sequence[Lane], cases: Sequence[Case]) -> Iterator[str]:
    columns = (column for lane in lanes for column in lane.columns)
    return warn_of_inputs(((one.variant, one.provenance.prompt) for one in columns if one.provenance), cases)


def _find_contamination(lanes: Sequence[Lane], cases: Sequence[Case]) -> tuple[str, ...]:
    """Which variants have seen which of the cases, in words."""
    columns = (column for lane in lanes for column in lane.columns)
    origins = (column.provenance for column in columns if column.provenance)
    return check_contamination(origins, cases).sentences


def _find_losses(lanes: Sequence[Lane], cases: Sequence[Case]) -> Iterator[str]:
    """What each model's chat template drops, changes or moves of the first case's messages, or why it refuses them."""
    from workbench.engines.template_file import find_notes

    for column in (column for lane in lanes for column in lane.columns if column.provenance and cases):
        own = column.provenance
        assert own is not None
        if own.prompt.mode == "completion":
            continue
        examples = enabled_examples(own.variant, own.prompt)
        try:
            notes = find_notes(own.base, render(own.prompt, cases[0].values, examples))
        except TemplateError as error:
            notes = (error.message,)
        except WorkbenchError:
            continue  # the model's own line of the plan says what is wrong with it
        yield from (f"{column.variant.name}: {note}" for note in notes)


def _plan_lane(
    lane: Lane,
    left: Sequence[int],
    sample: Sequence[Case],
    store: Store,
    known: Callable[[Column, Sequence[Case]], int],
) -> PlannedModel:
    names = tuple(column.variant.name for column in lane.columns)
    if lane.model is None:
        problem = "; ".join(dict.fromkeys(column.error.message for column in lane.columns if column.error))
        return PlannedModel(lane.name, names, sum(left), seconds=0.0, problem=problem)
    cached, seconds = 0, 0.0
    unknown = False
    for column, count in zip(lane.columns, left, strict=True):
        own = round(count * known(column, sample) / max(len(sample), 1)) if count else 0
        cached += own
        assert column.provenance is not None
        origin = digest_origin(column.provenance.encode())
        pace = estimate_pace(store, origin, column.provenance.model.fingerprint) if count > own else 0.0
        unknown = unknown or pace is None
        seconds += (pace or 0.0) * (count - own)
    memory, problem = _measure(lane)
    return PlannedModel(lane.name, names, sum(left), cached, memory, None if unknown else seconds, problem)


def _measure(lane: Lane) -> tuple[int, str]:
    """The memory that a lane's model takes with its adapters; what keeps it from loading, as far as one can see."""
    from workbench.engines.sizes import context_size
    from workbench.models.adapter import inspect_adapter
    from workbench.models.estimate import estimate_memory
    from workbench.models.inspect import USUAL_CONTEXT_TOKENS
    from workbench.models.precision import expect_in_memory

    assert lane.model is not None
    if lane.model.format == "scripted":
        return 0, ""
    sets = [column.provenance.adapters for column in lane.columns if column.provenance]
    adapters = {str(one.path): one.applied.adapter for laid in sets for one in laid}
    kinds = {tuple((str(one.path), one.applied.scale) for one in laid) for laid in sets if laid}
    try:
        info = expect_in_memory(lane.model)
        context = context_size(lane.model, info, USUAL_CONTEXT_TOKENS)
        laid = [inspect_adapter(one) for one in adapters.values()]
        estimate = estimate_memory(info, context, laid, len(kinds), form=lane.model.format)
    except WorkbenchError as error:
        return 0, error.message
    return estimate.total, ""
