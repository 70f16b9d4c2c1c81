"""The text of calls that are asked side by side grows in the order of the list, and streams while it does."""

from __future__ import annotations

import asyncio

from workbench.datasets import Case
from workbench.inference.types import Chunk, Completion
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.runs.chain import StepCall, resolve_chain
from workbench.runs.chain_outcome import StepAnswer
from workbench.runs.chain_task import run_chain
from workbench.store.cell_records import StoredCompletion
from workbench.tui.call_stream import CallBegan, CallEnded, CallsProgress, _CallStream

MAP = PromptStep("map", template="{{ item }}", each='["x", "y", "z"]')
BOTH = PromptStep("both", template="{{ item }}", each="[1, 2]", samples=2, sampling={"temperature": 1.0})
RETRY = PromptStep("map", template="{{ item }}", each='["x", "y"]', check="'!' in answer.text", retries=1)
CHECK = PromptStep("answer", template="{{ steps.map.text }}")


class _Model:
    """Says the first half of each answer at once, and the second when the call's gate opens."""

    def __init__(self, *steps: PromptStep) -> None:
        self.chain = resolve_chain(Prompt("chain", "", steps=steps), {}.__getitem__)
        self.stream = _CallStream(None)  # type: ignore[arg-type]  # only conversations look at it
        self.gates: dict[str, asyncio.Event] = {}
        self.shown = ""

    async def ask(self, call: StepCall) -> StepAnswer:
        gate = self.gates[call.label] = asyncio.Event()
        halves = f"<{call.label}", "!>" if call.attempt != 1 else ">"
        self.stream.note_event(call, None, Chunk(0, halves[0]))  # type: ignore[arg-type]
        await gate.wait()
        self.stream.note_event(call, None, Chunk(0, halves[1], stop_reason="eos"))  # type: ignore[arg-type]
        return StepAnswer(StoredCompletion(Completion("".join(halves), stop_reason="eos")), "desk")

    async def open(self, *labels: str) -> str:
        """Let calls end, and what has been shown since, in one text."""
        for label in labels:
            self.gates[label].set()
        for _ in range(30):
            await asyncio.sleep(0)  # until what waited for them has gone on
        shown = ""
        while not self.stream.events.empty():
            event = self.stream.events.get_nowait()
            if isinstance(event, CallBegan):
                shown += f"[{event.label}]"
            elif isinstance(event, CallEnded):
                shown += "." if event.streamed else f"{event.step.completion.text}."
            elif isinstance(event, CallsProgress):
                shown += f" {event.ended}/{event.total} "
            elif isinstance(event, Chunk):
                assert event.stop_reason is None  # of the whole answer alone
                shown += event.text
        return shown

    async def begin(self) -> asyncio.Task[object]:
        return asyncio.create_task(
            run_chain(self.chain, Case(1, {}), self.ask, self.stream.note_step, on_part=self.part)
        )

    def part(self, progress: object) -> None:
        self.stream.note_part(progress)  # type: ignore[arg-type]


def test_the_first_item_streams_and_the_next_one_goes_on_where_it_is():
    async def go() -> None:
        model = _Model(MAP, CHECK)
        task = await model.begin()
        assert await model.open() == " 0/3 [map, item 1]<map, item 1"
        assert await model.open("map, item 3") == " 1/3 "  # held: it is not its turn
        assert await model.open("map, item 1") == "!>. 2/3 [map, item 2]<map, item 2"
        assert await model.open("map, item 2") == "!>.[map, item 3]<map, item 3!>. 3/3 [answer]<answer"
        assert await model.open("answer") == "!>."
        await task

    asyncio.run(go())


def test_samples_of_items_follow_one_another_and_items_are_counted():
    async def go() -> None:
        model = _Model(BOTH)
        task = await model.begin()
        assert await model.open() == " 0/2 [both, item 1, sample 1]<both, item 1, sample 1"
        assert await model.open("both, item 2, sample 1") == ""
        assert await model.open("both, item 1, sample 1") == "!>.[both, item 1, sample 2]<both, item 1, sample 2"
        shown = await model.open("both, item 1, sample 2")
        begun = "[both, item 2, sample 1]<both, item 2, sample 1!>."
        assert shown == f"!>.{begun} 1/2 [both, item 2, sample 2]<both, item 2, sample 2"
        assert await model.open("both, item 2, sample 2") == "!>. 2/2 "
        await task

    asyncio.run(go())


def test_an_item_that_is_tried_again_before_its_turn_shows_both_answers_in_order():
    async def go() -> None:
        model = _Model(RETRY)
        task = await model.begin()
        assert await model.open() == " 0/2 [map, item 1]<map, item 1"
        assert await model.open("map, item 2") == ""
        assert await model.open("map, item 1") == ">.[map, item 1, attempt 2]<map, item 1, attempt 2"
        shown = await model.open("map, item 1, attempt 2")
        assert shown == "!>.[map, item 2]<map, item 2>. 1/2 [map, item 2, attempt 2]<map, item 2, attempt 2"
        await model.open("map, item 2, attempt 2")
        await task

    asyncio.run(go())
