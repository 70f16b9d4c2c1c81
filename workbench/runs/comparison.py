"""A bench's cells run side by side without a store, told as small events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Event, fold
from workbench.models.reference import find_applied
from workbench.prompting.context_fit import Strategy
from workbench.prompting.steps import list_steps
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import Cell, CellEvent, CellFinished, CellStarted, CellText
from workbench.runs.cell_step import collect_answers
from workbench.runs.chain import StepCall, check_sampling, list_step_models
from workbench.runs.chain_client import ask_chain
from workbench.runs.conversation import collect_turns, is_conversation
from workbench.runs.generation import GenerationSpec
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.perturbations import perturb
from workbench.runs.sources import Sources
from workbench.runs.step_traces import CHAIN, collect_traces
from workbench.runs.tool_setup import NO_SETUP, ToolSetup
from workbench.runs.turn_scores import score_turns
from workbench.scoring.scorer_set import ScorerSet

_PRIORITY = 1
"""nobody looks on at the parts of each prompt"""


class _Services(NamedTuple):
    """What every cell works with."""

    pool: Pool
    sources: Sources
    strategy: Strategy
    scoring: ScorerSet
    emit: Callable[[CellEvent], None]
    top_logprobs: int
    finder: PassageFinder
    tools: ToolSetup = NO_SETUP
    folder: Path = Path()


def compare(
    bench: Bench,
    cases: Sequence[Case],
    pool: Pool,
    sources: Sources,
    strategy: Strategy = "refuse",
    concurrency: int = 8,
    folder: Path | None = None,
    top_logprobs: int = 0,
) -> Iterator[CellEvent]:
    """Run every variant on every case, case by case, up to `concurrency` cells at a time.

    Each cell gives CellStarted, any number of CellText and one CellFinished; a cell that fails says so in its
    Cell and stops no other. Closing the iterator cancels what is running.
    folder: the bench's, from which files that scorers name are looked up first.
    Raises ScorerError before anything runs.
    """
    sources = sources.once()
    events: asyncio.Queue[CellEvent | None] = asyncio.Queue()
    scoring = ScorerSet(bench.scorers, folder or Path.cwd())
    finder = PassageFinder()
    services = _Services(
        pool, sources, strategy, scoring, events.put_nowait, top_logprobs, finder, bench.tools, folder or Path()
    )
    stream = _run_all([(variant, case) for case in cases for variant in bench.variants], services, events, concurrency)
    try:
        with asyncio.Runner() as runner:
            try:
                while event := runner.run(_next(stream)):
                    yield event
            finally:
                runner.run(stream.aclose())
    finally:
        finder.close()
        scoring.close()


async def _next(stream: AsyncGenerator[CellEvent, None]) -> CellEvent | None:
    return await anext(stream, None)


async def _run_all(
    cells: Sequence[tuple[Variant, Case]],
    services: _Services,
    events: asyncio.Queue[CellEvent | None],
    concurrency: int,
) -> AsyncGenerator[CellEvent, None]:
    """The events of all cells as they come."""
    slots = asyncio.Semaphore(concurrency)

    async def run_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for variant, case in cells:
                    group.create_task(_run_cell(variant, case, services, slots))
        finally:
            events.put_nowait(None)

    running = asyncio.create_task(run_all())
    try:
        while event := await events.get():
            yield event
        await running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _run_cell(variant: Variant, case: Case, services: _Services, slots: asyncio.Semaphore) -> None:
    async with slots:
        services.emit(CellStarted(variant.name, case.number))
        services.emit(await _answer(variant, case, services))


async def _answer(variant: Variant, case: Case, services: _Services) -> CellFinished:
    """The cell as it ended; the text of a failed one is what there was until then."""
    chunks: list[Chunk] = []
    try:
        prompt = perturb(services.sources.open_prompt(variant.prompt), variant.perturbation)
        model = services.sources.find_model(variant.model)
        adapters = find_applied(model, variant.adapters, services.sources.find_adapters)
        source = services.sources.find_passages(variant, prompt)
        case = await asyncio.to_thread(services.finder.fill, source, case) if source else case
        check_sampling(prompt, variant.sampling, variant.default_sampling)
        models = tuple((name, services.sources.find_model(name)) for name in list_step_models(prompt))
        asked = GenerationSpec.of(variant, prompt, case, services.strategy, model, adapters, source, models)
        asked = replace(asked, folder=str(services.folder))
        if prompt.steps:
            return await _answer_chain(replace(asked, tool_setup=services.tools), services, variant)
        if is_conversation(prompt, case):
            return await _answer_turns(replace(asked, tool_setup=services.tools), services, variant)
        async for event in services.pool.client(asked.model).generate(asked.request(services.top_logprobs, _PRIORITY)):
            if isinstance(event, Chunk):
                chunks.append(event)
                if event.text:
                    services.emit(CellText(variant.name, case.number, event.text, event.thinking))
    except WorkbenchError as error:
        failed = msgspec.structs.replace(fold(chunks), stop_reason="error")
        return CellFinished(Cell(variant.name, case.number, failed, error=error.message, hint=error.hint))
    completion = fold(chunks)
    scores = await asyncio.wrap_future(services.scoring.score(completion.text, case, completion=completion))
    tokens = tuple(token for chunk in chunks for token in chunk.tokens)
    return CellFinished(Cell(variant.name, case.number, completion, scores), tokens)


async def _answer_turns(asked: GenerationSpec, services: _Services, variant: Variant) -> CellFinished:
    """The cell of a conversation as it ended."""
    case = asked.case

    def emit(call: StepCall, spec: GenerationSpec, event: Event) -> None:
        if isinstance(event, Chunk) and event.text:
            services.emit(CellText(variant.name, case.number, event.text, event.thinking))

    outcome = await ask_chain(services.pool, asked, _PRIORITY, emit)
    done, error = outcome.completion, outcome.error
    if error is not None:
        failed = msgspec.structs.replace(done, stop_reason="error")
        return CellFinished(Cell(variant.name, case.number, failed, (), error.message, error.hint, steps=outcome.steps))
    turns = collect_turns(asked.prompt, case, outcome.steps)
    scored = await score_turns(services.scoring, turns, outcome.steps, done)
    return CellFinished(Cell(variant.name, case.number, done, scored.scores, steps=scored.steps))


async def _answer_chain(asked: GenerationSpec, services: _Services, variant: Variant) -> CellFinished:
    """The cell of a chain as it ended; where a step failed, with the scores of those before it."""
    last, case = list_steps(asked.prompt)[-1].name, asked.case

    def emit(call: StepCall, spec: GenerationSpec, event: Event) -> None:
        if (
            isinstance(event, Chunk)
            and event.text
            and call.name == last
            and not (call.index or call.sample or call.attempt)
        ):
            services.emit(CellText(variant.name, case.number, event.text, event.thinking))

    outcome = await ask_chain(services.pool, asked, _PRIORITY, emit)
    done, error = outcome.completion, outcome.error
    text = done.text if error is None else None
    answers = collect_answers(outcome.steps)
    traces = collect_traces(asked.prompt, outcome.steps)
    scoring = services.scoring.score(text, case, completion=done, steps=answers, trace=traces.get(CHAIN), traces=traces)
    scores = await asyncio.wrap_future(scoring)
    if error is None:
        return CellFinished(Cell(variant.name, case.number, done, scores, steps=outcome.steps))
    failed = msgspec.structs.replace(done, stop_reason="error")
    cell = Cell(variant.name, case.number, failed, scores, error.message, error.hint, steps=outcome.steps)
    return CellFinished(cell)
