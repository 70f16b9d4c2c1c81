"""Models that do not fit together take turns: the one that is idle for longest goes, a busy one never."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.inference.listener import PATIENCE
from workbench.inference.memory_shortage import MemoryShortage, measure_capacity
from workbench.inference.model_turns import ModelTurns
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, GenerateRequest, Progress, Sampling
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import LoadingProgress, Reply, Tokenize
from workbench.models.device_share import Device, DeviceShare
from workbench.models.memory_estimate import MemoryEstimate
from workbench.models.reference import Model, ModelInfo
from workbench.offload import Offload
from workbench.prompting.prompt import Message

INFO = ModelInfo("llama", "Q8_0", 1, 1, 1, 1, True)


class InstantTransport:
    """Ends as soon as it is stopped."""

    pid = None

    def __init__(self) -> None:
        self.started = threading.Event()
        self.sent: list[object] = []

    def start(self, on_reply: object, on_exit: Callable[[WorkerExit], None]) -> None:
        self._on_exit = on_exit
        self.started.set()

    def send(self, message: object) -> None:
        self.sent.append(message)

    def stop(self) -> None:
        self._on_exit(WorkerExit("was stopped"))

    def join(self, seconds: float) -> None:
        pass


class IdleEngine:
    """Busy until it is said to be idle."""

    def __init__(self, turns: ModelTurns, name: str, used_at: float = 0.0, **options: object) -> None:
        self.model = Model(name, Path(f"/{name}.gguf"), offload=Offload(**options))  # type: ignore[arg-type]
        self.info: ModelInfo | None = None
        self.busy, self.used_at, self.stopped = True, used_at, threading.Event()
        self.transport = InstantTransport()
        self._turns = turns
        self.queued = turns.queue(self, self.transport)
        self.progress: list[LoadingProgress] = []
        self.reported = threading.Event()
        self.queued.start(self._on_reply, lambda ended: self.stopped.set())

    def _on_reply(self, reply: Reply) -> None:
        if isinstance(reply, LoadingProgress):
            self.progress.append(reply)
            self.reported.set()

    def stop_idle(self) -> bool:
        if not self.busy:
            self.queued.stop()
        return not self.busy

    def become_idle(self) -> None:
        self.busy = False
        self._turns.review()


def make_turns(capacity: int, *devices: Device, **needs: int) -> tuple[ModelTurns, list[str]]:
    """Models of ten layers, each of which takes a tenth of its need, on the first of these devices with room for it."""
    log: list[str] = []
    noted = threading.Event()

    def note(text: str) -> None:
        log.append(text)
        noted.set()

    def estimate(model: Model, found: Sequence[Device], ram: int) -> MemoryEstimate:
        need = needs.get(model.name, 10)
        shares, left = [], 10
        for device in () if model.offload.gpu_layers == "none" else found:
            layers = min(left, device.free_bytes * 10 // need)
            shares.append(DeviceShare(device, layers, weights_bytes=layers * need // 10))
            left -= layers
        return MemoryEstimate(left * need // 10, 0, 0, ram, shares=tuple(shares), layers=left)

    shortage = MemoryShortage(estimate, lambda pids: capacity, lambda offload: devices)
    turns = ModelTurns(shortage, note)
    turns.noted = noted  # type: ignore[attr-defined]
    return turns, log


def place(engine: IdleEngine, *shares: DeviceShare) -> None:
    """What an engine reports of its model once it is loaded."""
    placement = (*shares, DeviceShare(Device("CPU"), 0))
    engine.info = ModelInfo("llama", "Q8_0", 1, 1, 1, 1, True, placement=placement)


def test_models_that_fit_run_side_by_side() -> None:
    turns, log = make_turns(25)
    engines = [IdleEngine(turns, name) for name in "ab"]
    assert all(engine.transport.started.wait(PATIENCE) for engine in engines)
    assert log == []


def test_a_busy_model_is_waited_for_and_then_unloaded() -> None:
    turns, log = make_turns(15)
    first, second = IdleEngine(turns, "a"), IdleEngine(turns, "b")
    assert turns.noted.wait(PATIENCE)  # type: ignore[attr-defined]
    assert not second.transport.started.is_set()
    assert not first.stopped.is_set()
    assert turns.note(second.model) == "b waits until a is idle: 10 B and 10 B do not fit into 15 B of memory."
    first.become_idle()
    assert second.transport.started.wait(PATIENCE)
    assert first.stopped.is_set()
    assert turns.note(second.model) == ""
    assert [line.partition(":")[0] for line in log] == ["b waits until a is idle", "a was unloaded for b"]


def test_the_one_that_is_idle_for_longest_goes() -> None:
    turns, log = make_turns(25)
    engines = [IdleEngine(turns, "old", 1.0), IdleEngine(turns, "new", 2.0)]
    assert all(engine.transport.started.wait(PATIENCE) for engine in engines)
    for engine in engines:
        engine.busy = False
    third = IdleEngine(turns, "c")
    assert third.transport.started.wait(PATIENCE)
    assert engines[0].stopped.is_set()
    assert not engines[1].stopped.is_set()
    assert len(log) == 1


def test_one_that_fits_nowhere_is_tried_alone() -> None:
    turns, _ = make_turns(5)
    first = IdleEngine(turns, "a")
    assert first.transport.started.is_set()
    first.busy = False
    assert IdleEngine(turns, "b").transport.started.wait(PATIENCE)


def test_models_on_the_same_rpc_server_take_turns() -> None:
    turns, log = make_turns(1000)
    first, other = IdleEngine(turns, "a", rpc=("10.0.0.2:1",)), IdleEngine(turns, "b", rpc=("10.0.0.3:1",))
    assert other.transport.started.wait(PATIENCE)
    first.busy = False
    assert IdleEngine(turns, "c", rpc=("10.0.0.2:1", "10.0.0.4:1")).transport.started.wait(PATIENCE)
    assert first.stopped.is_set()
    assert not other.stopped.is_set()
    assert "serves one program at a time" in log[0]


@pytest.mark.parametrize(("need", "evicted"), [(30, False), (60, True)])
def test_a_model_that_would_go_on_a_full_device_takes_the_idle_one_s_turn(need: int, evicted: bool) -> None:
    card = Device("CUDA0", free_bytes=40)  # what the first one has left of it
    turns, log = make_turns(10_000, card, b=need)
    first = IdleEngine(turns, "a")
    place(first, DeviceShare(msgspec.structs.replace(card, free_bytes=100), 9, weights_bytes=60))
    first.busy = False
    second = IdleEngine(turns, "b")
    assert second.transport.started.wait(PATIENCE)
    assert first.stopped.is_set() == evicted
    reason = "it takes 60 B on CUDA0, and 40 B are free there"
    assert log == ([f"a was unloaded for b: {reason}."] if evicted else [])


def test_a_model_waits_for_the_one_on_its_own_card_and_leaves_that_on_another_alone() -> None:
    small, large = Device("CUDA0", free_bytes=5), Device("CUDA1", free_bytes=100)
    turns, log = make_turns(10_000, small, large, c=200)
    on_small, on_cpu, on_large = (IdleEngine(turns, name) for name in ("a", "cpu", "b"))
    assert on_large.transport.started.wait(PATIENCE)
    place(on_small)
    place(on_cpu)
    place(on_large, DeviceShare(large, 10, weights_bytes=100))
    on_small.busy = on_cpu.busy = False
    waiting = IdleEngine(turns, "c")
    assert turns.noted.wait(PATIENCE)  # type: ignore[attr-defined]
    note = turns.note(waiting.model)
    assert note.startswith("c waits until b is idle: it takes ")
    assert " on CUDA1, and " in note
    assert not on_small.stopped.is_set()
    assert not on_cpu.stopped.is_set()
    on_large.become_idle()
    assert waiting.transport.started.wait(PATIENCE)
    assert on_large.stopped.is_set()
    assert [line.partition(":")[0] for line in log] == ["c waits until b is idle", "b was unloaded for c"]


def test_memory_of_a_device_that_computes_in_ram_is_shared_with_models_on_the_cpu() -> None:
    apple = Device("MTL0", backend="Metal", free_bytes=100)
    turns, log = make_turns(100, apple, a=60, b=60)
    first = IdleEngine(turns, "a", gpu_layers="none")
    first.busy = False
    second = IdleEngine(turns, "b")
    assert second.transport.started.wait(PATIENCE)
    assert first.stopped.is_set()
    assert log == ["a was unloaded for b: 60 B and 60 B do not fit into 100 B of memory."]


def test_whoever_waits_for_a_waiting_model_is_told_for_what_and_also_behind_whom() -> None:
    turns, _ = make_turns(15)
    first, second, third = (IdleEngine(turns, name) for name in "abc")
    for waiting in (second, third):
        waiting.queued.send(Tokenize(1, GenerateRequest(1, (Message("user", "hi"),))))
        assert waiting.reported.wait(PATIENCE)
    notes = [engine.progress[-1].note for engine in (second, third)]
    assert notes == ["b waits until a is idle: 10 B and 10 B do not fit into 15 B of memory.", "c waits behind b."]
    assert turns.note(third.model) == notes[1]
    assert first.progress == []


def test_one_that_is_stopped_while_it_waits_leaves_the_queue() -> None:
    turns, _ = make_turns(15)
    first, second, third = (IdleEngine(turns, name) for name in "abc")
    second.queued.stop()
    assert second.stopped.wait(PATIENCE)
    first.become_idle()
    assert third.transport.started.wait(PATIENCE)
    assert not second.transport.started.is_set()


def test_two_real_models_take_turns(tiny_gguf: Callable[..., Path]) -> None:
    pool, log = Pool(), []
    shortage = MemoryShortage(lambda model, devices, ram: MemoryEstimate(10, 0, 0, ram), lambda pids: 15)
    pool.turns = ModelTurns(shortage, log.append)
    try:
        first, second = Model("one", tiny_gguf("one")), Model("two", tiny_gguf("two"))
        for model in (first, second, first):
            assert pool.load(model).result(PATIENCE).engine == "llama.cpp"
            states = {one.model.name: one.state for one in pool.loaded_models()}
            assert states.pop(model.name) == "ready"
            assert set(states.values()) <= {"stopped"}
    finally:
        pool.close()
    assert [line.partition(":")[0] for line in log] == ["one was unloaded for two", "two was unloaded for one"]


def test_a_request_for_a_model_that_waits_is_told_for_what(tiny_gguf: Callable[..., Path]) -> None:
    def request(tokens: int) -> GenerateRequest:
        sampling = Sampling(max_tokens=tokens, ignore_eos=True)
        return GenerateRequest(0, (Message("user", "go"),), sampling, "completion")

    async def run(pool: Pool) -> list[str]:
        first, second = (pool.client(Model(name, tiny_gguf(name))) for name in ("one", "two"))
        busy = first.generate(request(100_000))
        async for event in busy:
            if isinstance(event, Chunk):
                break
        notes = []
        async for event in second.generate(request(2)):
            if isinstance(event, Progress) and event.note:
                notes.append(event.note)
                await busy.aclose()  # its request is cancelled
        return notes

    pool = Pool()
    shortage = MemoryShortage(lambda model, devices, ram: MemoryEstimate(10, 0, 0, ram), lambda pids: 15)
    pool.turns = ModelTurns(shortage)
    try:
        assert asyncio.run(run(pool))[0].startswith("two waits until one is idle: 10 B and 10 B do not fit")
    finally:
        pool.close()


def test_memory_of_other_programs_is_not_for_the_engines() -> None:
    assert 0 < measure_capacity(()) <= measure_capacity((1 << 30,)) + 2**30
