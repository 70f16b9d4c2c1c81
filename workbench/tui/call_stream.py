"""The events of an answer that takes several calls, those of a chain or of a conversation, on their way to a pane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Completion, Event
from workbench.prompting.prompt import Message
from workbench.prompting.render import render_turn
from workbench.runs.cell_step import CellStep, StepKind
from workbench.runs.chain import StepCall
from workbench.runs.chain_client import AnswerMemory, ask_chain
from workbench.runs.generation import GenerationSpec


class CallBegan(NamedTuple):
    """A call is made. messages: what was said since the one before it, answers of the model aside."""

    label: str
    messages: tuple[Message, ...] = ()


class CallEnded(NamedTuple):
    """A call has ended. streamed: its text has come already."""

    step: CellStep
    streamed: bool


class CallsEnded(NamedTuple):
    """All calls have ended. completion: the answer, with the tokens and times of all."""

    steps: tuple[CellStep, ...]
    completion: Completion


CallEvent = CallBegan | CallEnded | CallsEnded
PaneEvent = Event | CallEvent
"""What a pane is fed."""


async def stream_calls(
    pool: Pool, spec: GenerationSpec, memory: AnswerMemory, top_logprobs: int
) -> AsyncGenerator[PaneEvent, None]:
    """The events of all calls; last of all a chunk with a stop reason.

    memory: of answers that need not be asked for again. Raises WorkbenchError where a call failed.
    """
    stream = _CallStream(spec)
    asked = ask_chain(pool, spec, 0, stream.note_event, stream.note_step, memory, top_logprobs)
    task = asyncio.create_task(asked)
    task.add_done_callback(lambda _: stream.events.put_nowait(None))
    try:
        while (event := await stream.events.get()) is not None:
            yield event
        outcome = await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    done = outcome.completion
    yield CallsEnded(outcome.steps, done)
    if outcome.error:
        raise outcome.error
    yield Chunk(
        0,
        prompt_tokens=done.prompt_tokens,
        output_tokens=done.output_tokens,
        tokens_per_second=done.tokens_per_second,
        elapsed_seconds=done.elapsed_seconds,
        stop_reason=done.stop_reason or "eos",
        notes=done.notes,
    )


class _CallStream:
    """Puts what is told of calls in one line of events."""

    def __init__(self, spec: GenerationSpec) -> None:
        self._spec = spec
        self.events: asyncio.Queue[PaneEvent | None] = asyncio.Queue()
        self._call: StepCall | None = None
        self._shown = 0
        self._ended = 0

    def note_event(self, call: StepCall, spec: GenerationSpec, event: Event) -> None:
        if call.index > 1 or call.sample > 1:
            return  # asked beside the first of them, whose text streams; it is shown when it has ended
        if call is not self._call:
            self._call = call
            if len(call.following) < self._shown:
                self._shown = 0  # of another step
            messages = tuple(one for one in call.following[self._shown :] if one.role != "assistant")
            self._shown = len(call.following)
            self.events.put_nowait(CallBegan(call.name, messages or self._open(call.kind)))
        if isinstance(event, Chunk) and event.stop_reason is not None:
            event = msgspec.structs.replace(event, stop_reason=None, notes=(), unclosed=False)
        self.events.put_nowait(event)

    def _open(self, kind: StepKind) -> tuple[Message, ...]:
        """What is said first in a conversation of several turns, which is part of the prompt."""
        if kind != "turn" or self._ended:
            return ()
        with suppress(WorkbenchError):
            return (render_turn(self._spec.prompt, self._spec.values()),)
        return ()

    def note_step(self, at: int, step: CellStep) -> None:
        if at < self._ended:
            return  # more is known of one that has ended: the pane's last word is that of CallsEnded
        streamed = self._call is not None and self._call.label == step.label
        if not streamed:
            messages = tuple(one for one in step.before if one.role != "assistant")
            self._shown += len(step.before) + (step.state == "done")
            self.events.put_nowait(CallBegan(step.label, messages or self._open(step.kind)))
        self._call, self._ended = None, at + 1
        self.events.put_nowait(CallEnded(step, streamed))
