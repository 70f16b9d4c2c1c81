"""One call of a cell: its answer from the cache or the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from workbench.errors import ServerMismatchError, WorkbenchError
from workbench.inference.model_client import ModelClient
from workbench.inference.types import Chunk, Completion, fold
from workbench.models.reference import Model
from workbench.runs.cache import AnswerKeys, CachedAnswers
from workbench.runs.cell import CellText
from workbench.runs.cell_prompt import CellPrompt
from workbench.runs.cell_step import CellStep
from workbench.runs.conversation import TurnOutcome
from workbench.runs.cost import Price, price_answer
from workbench.runs.graders import Graders
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.tool_file import AnswerTool, refuse_call
from workbench.runs.work_queue import CellTask, WorkQueue
from workbench.scoring.scorer_set import ScorerSet, StepAnswers
from workbench.store.cell_records import NO_COMPLETION, CellRecord, StoredCompletion


@dataclass(frozen=True, slots=True)
class CellServices:
    """What every cell of a run works with.

    client: of a model. answers: those that are known already; None where none of them may be taken. find_unscored: the
    cell as an earlier attempt left it, where it has its answer and lacks scores. prove: makes sure of a queue's server
    before its first cell. finder: retrieves passages. on_text: gets the pieces of the answer. find_price: of a model,
    under the name that a step of a chain has for it. step_queues: of models that steps have of their own, by name.
    live: the functions of the bench's Python file, which answer calls of tools.
    """

    client: Callable[[Model], ModelClient]
    scorers: ScorerSet
    graders: Graders
    answers: CachedAnswers | None
    find_unscored: Callable[[CellTask], CellRecord | None]
    prove: Callable[[WorkQueue], Awaitable[None]]
    finder: PassageFinder
    on_text: Callable[[CellText], None] | None = None
    find_price: Callable[[Model, str], Price | None] = lambda model, name: None
    live: AnswerTool = refuse_call
    step_queues: dict[str, WorkQueue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """stored: the completion as the store has it or should have it. cached: made for another cell or an earlier run.
    found: it was in the store, so that the model was not asked. error: why there is none, or only a part.

    steps: the calls that it is made of, where there are several; then its completion sums them up, `cost` is what all
    of them cost and `spent` those that were not known; `done` are the answers of single steps, `answers` what later
    cells may take. prompt: what the only or the last call asked. turns: of a conversation."""

    stored: StoredCompletion = NO_COMPLETION
    cached: bool = False
    found: bool = False
    error: WorkbenchError | None = None
    steps: tuple[CellStep, ...] = ()
    done: StepAnswers | None = None
    cost: float | None = None
    spent: float = 0.0
    answers: tuple[StoredCompletion, ...] = ()
    prompt: CellPrompt | None = None
    turns: tuple[TurnOutcome, ...] = ()

    @property
    def completion(self) -> Completion:
        return self.stored.completion


async def find_known(keys: AnswerKeys | None, services: CellServices) -> CallAnswer | None:
    """The answer that the cache has."""
    known = await services.answers.find(keys) if keys and services.answers else None
    return CallAnswer(known, cached=True, found=True) if known else None


async def generate_answer(
    task: CellTask, prompt: CellPrompt, keys: AnswerKeys | None, services: CellServices, shown: bool = True
) -> CallAnswer:
    """The model's answer; where it breaks off, what there was until then with the error.

    shown: whether its text is the cell's, so that it is told as it comes.
    """
    chunks: list[Chunk] = []

    def on_chunk(chunk: Chunk) -> None:
        chunks.append(chunk)
        if chunk.text and shown and services.on_text:
            name, number = task.planned.variant.name, task.case.number
            services.on_text(CellText(name, number, chunk.text, chunk.thinking, task.repeat))

    error: WorkbenchError | None = None
    share = 0.0
    try:
        async with task.queue.call_slots:
            client = await load_model(task, prompt, services)
            started = task.queue.generating.begin()
            try:
                await prompt.generate(client, on_chunk)
            finally:
                share = task.queue.generating.end(started)
    except ServerMismatchError:
        raise
    except WorkbenchError as failure:
        error = failure
    done = fold(chunks)
    key = keys.cache_key(done) if keys and error is None else None
    digest = key or (keys.limited if keys else None)
    return CallAnswer(StoredCompletion(done, share, digest, reusable=key is not None), error=error)


async def load_model(task: CellTask, prompt: CellPrompt, services: CellServices) -> ModelClient:
    """The model's client, once it is loaded; a model that cannot be loaded is tried once for all its cells.

    The lock keeps the cells in their order: one that comes when the model has just been loaded would otherwise overtake
    those that waited for it.
    """
    client = services.client(prompt.model)
    async with task.queue.load_lock:
        if task.queue.load_error:
            raise task.queue.load_error
        if client.info is None or not task.queue.proved:
            try:
                await services.prove(task.queue)
                task.queue.proved = True
                await client.load()
            except ServerMismatchError:
                raise
            except WorkbenchError as error:
                task.queue.load_error = error
                raise
    return client


def price_call(task: CellTask, answer: CallAnswer) -> float:
    if answer.cost is not None:
        return answer.cost
    return price_answer(task.planned.price, answer.completion, answer.stored.share_seconds)
