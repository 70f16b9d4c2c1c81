"""Models that do not fit together take turns: the one that is idle for longest goes, a busy one never."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inference.listener import PATIENCE
from workbench.inference.model_turns import ModelTurns, measure_capacity
from workbench.inference.pool import Pool
from workbench.inference.worker.process import WorkerExit
from workbench.models.device_share import Device, DeviceShare
from workbench.models.offload import Offload
from workbench.models.reference import Model, ModelInfo

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
        self.queued.start(lambda reply: None, lambda ended: self.stopped.set())

    def stop_idle(self) -> bool:
        if not self.busy:
            self.queued.stop()
        return not self.busy

    def become_idle(self) -> None:
        self.busy = False
        self._turns.review()


def make_turns(capacity: int, **needs: int) -> tuple[ModelTurns, list[str]]:
    log: list[str] = []
    told = threading.Event()

    def note(text: str) -> None:
        log.append(text)
        told.set()

    turns = ModelTurns(lambda model: needs.get(model.name, 10), lambda pids: capacity, note)
    turns.told = told  # type: ignore[attr-defined]
    return turns, log


def test_models_that_fit_run_side_by_side() -> None:
    turns, log = make_turns(25)
    engines = [IdleEngine(turns, name) for name in "ab"]
    assert all(engine.transport.started.wait(PATIENCE) for engine in engines)
    assert log == []


def test_a_busy_model_is_waited_for_and_then_unloaded() -> None:
    turns, log = make_turns(15)
    first, second = IdleEngine(turns, "a"), IdleEngine(turns, "b")
    assert turns.told.wait(PATIENCE)  # type: ignore[attr-defined]
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
    turns, _ = make_turns(10_000, b=need)
    first = IdleEngine(turns, "a")
    card = Device("CUDA0", free_bytes=100)
    shares = (DeviceShare(card, 9, weights_bytes=60), DeviceShare(Device("CPU"), 0))
    first.info = ModelInfo("llama", "Q8_0", 1, 1, 1, 1, True, placement=shares)
    first.busy = False
    second = IdleEngine(turns, "b")
    assert second.transport.started.wait(PATIENCE)
    assert first.stopped.is_set() == evicted


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
    pool.turns = ModelTurns(lambda model: 10, lambda pids: 15, log.append)
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


def test_memory_of_other_programs_is_not_for_the_engines() -> None:
    assert 0 < measure_capacity(()) <= measure_capacity((1 << 30,)) + 2**30
