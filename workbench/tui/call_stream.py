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
from workbench.runs.chain_outcome import PartProgress
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


class CallsProgress(NamedTuple):
    """How many of the items, or samples, that are asked side by side have all their answers."""

    unit: str
    ended: int
    total: int


def show_calls_progress(progress: CallsProgress | None) -> tuple[str, ...]:
    """`3/12 items`; empty where none are in flight together."""
    if progress is None or progress.ended == progress.total:
        return ()
    return (f"{progress.ended}/{progress.total} {progress.unit}s",)


CallEvent = CallBegan | CallEnded | CallsEnded | CallsProgress
PaneEvent = Event | CallEvent
"""What a pane is fed."""


async def stream_calls(
    pool: Pool, spec: GenerationSpec, memory: AnswerMemory, top_logprobs: int
) -> AsyncGenerator[PaneEvent, None]:
    """The events of all calls; last of all a chunk with a stop reason.

    memory: of answers that need not be asked for again. Raises WorkbenchError where a call failed.
    """
    stream = _CallStream(spec)
    asked = ask_chain(pool, spec, 0, stream.note_event, stream.note_step, memory, top_logprobs, stream.note_part)
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
        self._order = _CallOrder()
        self._call: StepCall | None = None
        self._part: _CallPart | None = None
        self._shown = 0
        self._ended = 0

    def note_event(self, call: StepCall, spec: GenerationSpec, event: Event) -> None:
        if self._order.accept(call, event):
            self._show(call, event)

    def note_step(self, at: int, step: CellStep) -> None:
        if at < self._ended:
            return  # more is known of one that has ended: the pane's last word is that of CallsEnded
        self._order.drop(step)
        self._enter(step.name, step.index, step.sample)
        streamed = self._call is not None and self._call.label == step.label
        if not streamed:
            messages = tuple(one for one in step.before if one.role != "assistant")
            self._shown += len(step.before) + (step.state == "done")
            self.events.put_nowait(CallBegan(step.label, messages or self._open(step.kind)))
        self._call, self._ended = None, at + 1
        self.events.put_nowait(CallEnded(step, streamed))

    def note_part(self, progress: PartProgress) -> None:
        if progress.unit == "item" or not progress.item:
            self.events.put_nowait(CallsProgress(progress.unit, progress.ended, progress.total))
        if progress.ended:
            for call, event in self._order.end(progress):
                self._show(call, event)

    def _show(self, call: StepCall, event: Event) -> None:
        self._enter(call.name, call.index, call.sample)
        if call is not self._call:
            self._call = call
            if len(call.following) < self._shown:
                self._shown = 0  # of another step
            messages = tuple(one for one in call.following[self._shown :] if one.role != "assistant")
            self._shown = len(call.following)
            self.events.put_nowait(CallBegan(call.label, messages or self._open(call.kind)))
        if isinstance(event, Chunk) and event.stop_reason is not None:
            event = msgspec.structs.replace(event, stop_reason=None, notes=(), unclosed=False)
        self.events.put_nowait(event)

    def _enter(self, name: str, index: int, sample: int) -> None:
        """Another item or sample begins: nothing was said to it yet."""
        part = _CallPart(name, index, sample)
        if (index or sample) and part != self._part:
            self._shown = 0
        self._part = part

    def _open(self, kind: StepKind) -> tuple[Message, ...]:
        """What is said first in a conversation of several turns, which is part of the prompt."""
        if kind != "turn" or self._ended:
            return ()
        with suppress(WorkbenchError):
            return (render_turn(self._spec.prompt, self._spec.values()),)
        return ()


class _CallPart(NamedTuple):
    """The item and the sample that a call belongs to; 0 where its step has none."""

    step: str
    item: int
    sample: int


class _HeldCall(NamedTuple):
    """A call that is answered before its turn, and what has come of it."""

    call: StepCall
    events: list[Event]


class _CallOrder:
    """Whose text streams, of calls that are asked side by side: that of the first item, or sample, that has not ended.
    What comes of one behind it is held until its turn, so that the text of a pane grows in the order of the list."""

    def __init__(self) -> None:
        self._turn: _CallPart | None = None
        self._ended: set[_CallPart] = set()
        self._held: dict[_CallPart, _HeldCall] = {}

    def accept(self, call: StepCall, event: Event) -> bool:
        """Whether it is the call's turn; else the event is held."""
        part = _CallPart(call.name, call.index, call.sample)
        self._enter(part)
        if part == self._turn:
            return True
        held = self._held.get(part)
        if held is None or held.call is not call:
            held = self._held[part] = _HeldCall(call, [])
        held.events.append(event)
        return False

    def drop(self, step: CellStep) -> None:
        """A call has ended, and is shown as a whole."""
        part = _CallPart(step.name, step.index, step.sample)
        if part in self._held and self._held[part].call.label == step.label:
            del self._held[part]

    def end(self, progress: PartProgress) -> list[tuple[StepCall, Event]]:
        """An item or a sample has all its answers; what was held of the one whose turn it is then."""
        ended = _CallPart(progress.step, progress.item, progress.sample)
        self._enter(ended)
        self._ended.add(ended)
        while (following := self._find_next()) is not None:
            self._turn = following
        assert self._turn is not None
        held = self._held.pop(self._turn, None)
        return [(held.call, event) for event in held.events] if held else []

    def _enter(self, part: _CallPart) -> None:
        """Begin with the first item and sample where a part is of another step."""
        if self._turn is None or self._turn.step != part.step:
            self._turn = _CallPart(part.step, min(part.item, 1), min(part.sample, 1))
            self._ended.clear()
            self._held.clear()

    def _find_next(self) -> _CallPart | None:
        """The part behind the one whose turn it is; None where that one has not ended."""
        turn = self._turn
        assert turn is not None
        if turn.item and turn._replace(sample=0) in self._ended:  # the item, with all its samples
            return _CallPart(turn.step, turn.item + 1, min(turn.sample, 1))
        return turn._replace(sample=turn.sample + 1) if turn.sample and turn in self._ended else None
