"""A chain's maps and votes: their calls are in flight together, and what comes of them is as one after another."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.datasets import Case
from workbench.errors import EngineError, ServerMismatchError
from workbench.inference.types import Completion, Sampling
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.runs.bench import Variant
from workbench.runs.cell_prompt import CellPrompt
from workbench.runs.cell_step import CellStep
from workbench.runs.chain import StepCall, resolve_chain
from workbench.runs.chain_client import AnswerMemory
from workbench.runs.chain_outcome import ChainOutcome, StepAnswer
from workbench.runs.chain_task import run_chain
from workbench.runs.run import RunOptions
from workbench.runs.side_by_side import run_side_by_side
from workbench.store.cell_records import StoredCompletion

CASE = Case(1, {"message": "x"})
MAP = PromptStep("map", template="{{ item }}", each="[3, 1, 2]")
VOTE = PromptStep("vote", template="?", samples=3, sampling={"temperature": 1.0})


class GatedAnswers:
    """Answers calls once `wanted` of them wait, in the order `release` gives; sooner only when nothing else moves."""

    def __init__(self, wanted: int, release=lambda calls: calls, answer=lambda call: "ok") -> None:
        self.wanted, self.release, self.answer = wanted, release, answer
        self.waiting: list[tuple[StepCall, asyncio.Future[None]]] = []
        self.most = 0
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.calls: list[StepCall] = []

    async def ask(self, call: StepCall) -> StepAnswer:
        self.calls.append(call)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((call, mine))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == self.wanted:
            asyncio.get_running_loop().create_task(self._open())
        try:
            await mine
        except asyncio.CancelledError:
            self.cancelled.append(call.label)
            raise
        found = self.answer(call)
        self.ended.append(call.label)
        if isinstance(found, Exception):
            raise found
        return StepAnswer(StoredCompletion(Completion(found, output_tokens=1, stop_reason="eos")), "desk", cost=1.0)

    async def _open(self) -> None:
        held, self.waiting = self.waiting, []
        for _, future in self.release(held):
            if not future.done():
                future.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)  # until what waited for it has gone on


def go(gate: GatedAnswers, *steps: PromptStep, on_step=lambda at, step: None) -> ChainOutcome:
    chain = resolve_chain(Prompt("chain", "", steps=steps), {}.__getitem__)
    return asyncio.run(run_chain(chain, CASE, gate.ask, on_step))


def backwards(held):
    return held[::-1]


def test_the_items_of_a_map_are_asked_together_and_stand_in_the_order_of_the_list():
    gate = GatedAnswers(3, backwards, lambda call: f"<{call.index}>")
    noted: list[tuple[int, str]] = []
    outcome = go(gate, MAP, on_step=lambda at, step: noted.append((at, step.label)))
    assert gate.most == 3
    assert gate.ended == ["map, item 3", "map, item 2", "map, item 1"]
    assert outcome.completion.text == "<1>\n<2>\n<3>"
    assert [step.index for step in outcome.steps] == [1, 2, 3]
    assert noted == [(0, "map, item 1"), (1, "map, item 2"), (2, "map, item 3")]
    assert outcome.spent == outcome.cost == 3.0


def test_samples_are_drawn_together_by_their_own_seeds_and_the_earliest_of_equals_wins():
    gate = GatedAnswers(3, backwards, lambda call: {1: "a", 2: "b", 3: "B"}[call.sample])
    outcome = go(gate, VOTE)
    assert gate.most == 3
    assert outcome.completion.text == "b"
    assert [(step.sample, step.answers) for step in outcome.steps] == [(1, False), (2, True), (3, False)]
    seeds = {call.sample: call.sampling(Sampling(seed=5)).seed for call in gate.calls}
    assert seeds == {1: 5, 2: 1005, 3: 2005}


def test_samples_of_all_items_are_asked_together():
    step = PromptStep("both", template="{{ item }}", each="[1, 2]", samples=3, sampling={"temperature": 1.0})
    gate = GatedAnswers(6, backwards, lambda call: f"{call.index}")
    outcome = go(gate, step)
    assert gate.most == 6
    assert [(made.index, made.sample) for made in outcome.steps] == [(i, s) for i in (1, 2) for s in (1, 2, 3)]
    assert outcome.completion.text == "1\n2"


@pytest.mark.parametrize("release", [backwards, list])
def test_the_first_item_that_fails_is_the_error_and_what_is_behind_it_is_cancelled(release):
    def answer(call: StepCall):
        return EngineError(f"died {call.index}") if call.index >= 2 else "fine"

    gate = GatedAnswers(3, release, answer)
    outcome = go(gate, MAP, PromptStep("after", template="x"))
    assert outcome.error is not None and outcome.error.message == "Step map: died 2"
    first, second, *_, last = outcome.steps
    assert (first.state, second.state, second.error, last.state) == ("done", "failed", "died 2", "not_run")
    assert gate.cancelled == ([] if release is backwards else ["map, item 3"])


def test_a_server_that_is_another_ends_all_whichever_it_is():
    def answer(call: StepCall):
        return ServerMismatchError("another model") if call.index == 3 else EngineError("died")

    gate = GatedAnswers(3, backwards, answer)
    with pytest.raises(ServerMismatchError):
        go(gate, MAP)
    assert gate.cancelled == ["map, item 1", "map, item 2"]


def test_cancelling_a_chain_cancels_every_call_in_flight():
    async def cancel() -> GatedAnswers:
        gate = GatedAnswers(99)
        chain = resolve_chain(Prompt("chain", "", steps=(MAP,)), {}.__getitem__)
        task = asyncio.create_task(run_chain(chain, CASE, gate.ask))
        while len(gate.waiting) < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return gate

    assert sorted(asyncio.run(cancel()).cancelled) == ["map, item 1", "map, item 2", "map, item 3"]


def test_no_job_gives_nothing():
    assert asyncio.run(run_side_by_side([])) == []


def test_time_in_which_calls_were_side_by_side_counts_once(monkeypatch):
    clock = iter([6.0, 10.0, 6.0, 10.0, 6.0, 12.0])  # when each was asked, and when it ended
    monkeypatch.setattr("workbench.runs.chain_calls.time", SimpleNamespace(monotonic=lambda: next(clock)))

    async def ask(call: StepCall) -> StepAnswer:
        seconds = 6.0 if call.index == 3 else 4.0
        return StepAnswer(StoredCompletion(Completion("x", elapsed_seconds=seconds, stop_reason="eos")))

    chain = resolve_chain(Prompt("chain", "", steps=(MAP,)), {}.__getitem__)
    outcome = asyncio.run(run_chain(chain, CASE, ask))
    assert [step.overlap for step in outcome.steps] == [0.0, 4.0, 4.0]
    assert outcome.completion.elapsed_seconds == 6.0


def test_of_equal_calls_each_gets_its_own_answer_back():
    memory = AnswerMemory()
    spec = object()
    for label, text in (("item 2", "second"), ("item 1", "first")):
        memory.keep(spec, label, Completion(text))  # type: ignore[arg-type]
    memory.begin()
    assert memory.find(spec, "item 1") == Completion("first")  # type: ignore[arg-type]
    assert memory.find(spec, "item 3") == Completion("second")  # type: ignore[arg-type]
    assert memory.find(spec, "item 2") is None  # type: ignore[arg-type]


class InFlight:
    """Counts the calls that a run has in flight."""

    def __init__(self, monkeypatch, wanted: int) -> None:
        self.now = self.most = 0
        self.together = asyncio.Event()
        own, original = self, CellPrompt.generate

        async def generate(prompt: CellPrompt, client, on_chunk) -> None:
            own.now += 1
            own.most = max(own.most, own.now)
            if own.most >= wanted:
                own.together.set()
            try:
                await own.together.wait()
                await original(prompt, client, on_chunk)
            finally:
                own.now -= 1

        monkeypatch.setattr(CellPrompt, "generate", generate)


@pytest.mark.parametrize(("concurrency", "together"), [(8, 4), (2, 2), (1, 1)])
def test_a_run_asks_as_many_calls_at_a_time_as_it_may(tmp_path, monkeypatch, concurrency: int, together: int):
    desk = Desk(tmp_path)
    desk.model("desk", rules=[{"regex": r"Say (?P<word>\w+)", "reply": "{word}"}])
    step = PromptStep("map", template="Say {{ item }}", each="['a', 'b', 'c', 'd']")
    desk.prompts["chain"] = resolve_chain(Prompt("chain", "", steps=(step,)), desk.prompts.__getitem__)
    flight = InFlight(monkeypatch, together)
    try:
        options = RunOptions(concurrency=concurrency)
        cells = carry_out(desk.evaluation(bench(Variant("chain", "chain", "desk")), [CASE], options))
    finally:
        desk.close()
    (cell,) = cells
    assert cell.completion.text == "a\nb\nc\nd"
    assert flight.most == together
    assert Counter(map(_state, cell.steps)) == {"done": 4}


def _state(step: CellStep) -> str:
    return step.state
