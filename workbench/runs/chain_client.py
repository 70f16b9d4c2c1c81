"""A chain asked of its models directly, without a store: by a pane, a command, a cell that is run again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from workbench.datasets.turns import has_turns
from workbench.errors import PromptError, StepError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Completion, Event, fold
from workbench.prompting.prompt import Message
from workbench.prompting.steps import LAST, offers_tools
from workbench.prompting.tool_formats.bare_calls import GENERIC
from workbench.prompting.tool_formats.json_calls import HERMES
from workbench.prompting.tools import ToolCall
from workbench.runs.cell_step import CellStep
from workbench.runs.chain import StepCall
from workbench.runs.chain_outcome import AnswerCall, ChainOutcome, OnPart, OnStep, StepAnswer
from workbench.runs.chain_task import run_chain
from workbench.runs.conversation import run_conversation
from workbench.runs.generation import GenerationSpec
from workbench.runs.tool_file import AnswerTool, open_tools, refuse_call
from workbench.runs.tool_rounds import ToolRules
from workbench.runs.tool_setup import NO_SETUP, constrain_calls
from workbench.store.cell_records import StoredCompletion

OnEvent = Callable[[StepCall, GenerationSpec, Event], object]
"""Gets what comes of a call while it is answered."""


class AnswerMemory:
    """Answers of calls by what they were asked, so that a chain of which one step was changed asks only what follows.

    It holds those of the last time: what the chain does not ask any more is forgotten.
    """

    def __init__(self) -> None:
        self._known: list[tuple[GenerationSpec, str, Completion]] = []
        self._asked: list[tuple[GenerationSpec, str, Completion]] = []

    def begin(self) -> None:
        """The chain is asked once more."""
        self._known, self._asked = self._asked or self._known, []

    def find(self, spec: GenerationSpec, label: str) -> Completion | None:
        """The answer to exactly this; each is given once, so that two equal calls of a chain stay two answers. label:
        of the call, which tells equal calls apart that are asked at the same time."""
        same = [at for at, (known, _, _) in enumerate(self._known) if known == spec]
        if not same:
            return None
        chosen = next((at for at in same if self._known[at][1] == label), same[0])
        return self._known.pop(chosen)[2]

    def keep(self, spec: GenerationSpec, label: str, done: Completion) -> None:
        self._asked.append((spec, label, done))


def make_step_spec(spec: GenerationSpec, call: StepCall) -> GenerationSpec:
    """What a call of a chain or a conversation asks. spec: of the chain. Raises PromptError."""
    if not spec.prompt.steps:
        return replace(spec, case=call.case, following=call.following)
    own = call.name == LAST and call.content.body == spec.prompt.body
    asked = replace(
        spec,
        prompt=call.content,
        case=call.case,
        examples_off=spec.examples_off if own else frozenset(),
        sampling=call.sampling(spec.sampling),
        following=call.following,
        step_models=(),
        constrained_calls=spec.constrained_calls and bool(call.content.tools),
        tool_setup=spec.tool_setup if call.content.tools else NO_SETUP,
        tool_code=spec.tool_code if call.content.tools else "",
    )
    if asked.constrained_calls:
        asked = replace(asked, sampling=constrain_calls(asked.sampling, call.content.tools))
    if not call.model:
        return asked
    return replace(asked, model=dict(spec.step_models)[call.model], adapters=())


async def ask_chain(
    pool: Pool,
    spec: GenerationSpec,
    priority: int,
    on_event: OnEvent = lambda call, spec, event: None,
    on_step: OnStep = lambda at, step: None,
    memory: AnswerMemory | None = None,
    top_logprobs: int = 0,
    on_part: OnPart = lambda progress: None,
) -> ChainOutcome:
    """The answer of a chain or a conversation. priority: 0 for a person who waits. memory: of answers that need not be
    asked for again.

    Raises ServerMismatchError; what else fails is the outcome's error.
    """
    try:
        tools = (
            await asyncio.to_thread(open_tools, spec.tool_setup, Path(spec.folder))
            if offers_tools(spec.prompt)
            else None
        )
    except WorkbenchError as error:
        return ChainOutcome((), Completion(), error)
    if tools:
        spec = replace(spec, tool_code=tools.code.content)
    if memory:
        memory.begin()

    async def ask(call: StepCall) -> StepAnswer:
        own = make_step_spec(spec, call)
        known = memory.find(own, call.label) if memory else None
        if memory and known:
            memory.keep(own, call.label, known)
            return StepAnswer(StoredCompletion(known), own.model.name, cached=True, found=True)
        chunks: list[Chunk] = []
        error: WorkbenchError | None = None
        try:
            async with aclosing(pool.client(own.model).generate(own.request(top_logprobs, priority))) as events:
                async for event in events:
                    on_event(call, own, event)
                    if isinstance(event, Chunk):
                        chunks.append(event)
        except WorkbenchError as failure:
            if not chunks:
                raise
            error = failure
        done = fold(chunks)
        if memory and error is None:
            memory.keep(own, call.label, done)
        return StepAnswer(StoredCompletion(done), own.model.name, error=error)

    try:
        return await run_calls(spec, ask, on_step, tools.answer if tools else refuse_call, on_part)
    finally:
        if tools:
            await asyncio.to_thread(tools.close)


async def run_calls(
    spec: GenerationSpec,
    ask: AnswerCall,
    on_step: OnStep = lambda at, step: None,
    live: AnswerTool = refuse_call,
    on_part: OnPart = lambda progress: None,
) -> ChainOutcome:
    """A chain or a conversation, whose calls somebody answers. live: the functions of the bench's Python file.

    Raises ServerMismatchError.
    """
    if spec.prompt.steps and has_turns(spec.case):
        error = PromptError(
            f"{spec.prompt.name} is a chain, and case {spec.case.number} has turns, which are not asked in steps.",
            "Choose a prompt without steps for these cases.",
        )
        return ChainOutcome((), Completion(), error)
    if spec.prompt.steps:

        def find_step_rules(call: StepCall) -> ToolRules:
            return replace(find_rules(make_step_spec(spec, call)), live=live)

        return await run_chain(spec.prompt, spec.case, ask, on_step, find_step_rules, on_part)
    rules = replace(find_rules(spec), live=live)
    return await run_conversation(spec.prompt, spec.case, rules, ask, on_step, Path(spec.folder))


def find_rules(spec: GenerationSpec) -> ToolRules:
    """By what the calls of tools are read and answered. Raises ModelError."""
    from workbench.inference.template_file import find_tool_format

    form = GENERIC if spec.constrained_calls else find_tool_format(spec.model) if spec.prompt.tools else HERMES
    return ToolRules(form, spec.tool_setup, spec.constrained_calls)


def list_sent(spec: GenerationSpec, steps: Sequence[CellStep]) -> list[tuple[str, tuple[Message, ...]]]:
    """The label and the messages of each call that a cell made, rendered again with the answers that it keeps.

    Where the record of them does not fit the chain, those up to there.
    """
    sent: list[tuple[int, str, tuple[Message, ...]]] = []
    made = {at: step for at, step in enumerate(steps) if step.model}

    async def answer(call: StepCall) -> StepAnswer:
        at = next((at for at, step in made.items() if step.label == call.label), None)
        if at is None:
            raise StepError("There is no record of this call.")
        step = made.pop(at)
        sent.append((at, step.label, make_step_spec(spec, call).conversation().messages))
        error = StepError(step.error) if step.state == "failed" and step.completion.stop_reason is None else None
        return StepAnswer(StoredCompletion(step.completion), error=error)

    results: dict[ToolCall, list[str]] = {}  # of equal calls, such as those of several samples, in their order
    for step, after in pairwise(steps):
        given = {one.call_id: one.content for one in after.before if one.role == "tool"}
        for made_call in step.calls:
            if made_call.id in given:
                results.setdefault(made_call, []).append(given[made_call.id])

    async def find_result(call: ToolCall) -> str | None:
        known = results.get(call)
        return known.pop(0) if known else None

    asyncio.run(run_calls(spec, answer, live=find_result))
    return [(label, messages) for _, label, messages in sorted(sent, key=itemgetter(0))]
