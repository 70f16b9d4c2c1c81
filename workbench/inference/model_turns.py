"""Models that do not fit into memory together take turns: the one that is idle for longest is unloaded for the next.

A model with live requests is never unloaded; whoever needs its memory waits until it is idle. Models that name the same
RPC server take turns as well, since a server serves one program at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import psutil

from workbench.errors import WorkbenchError
from workbench.inference.worker.engine_run import Transport
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import ENGINE_REPLIES, Command, Reply
from workbench.models.model import Model, ModelInfo
from workbench.units import format_bytes

_JOIN_SECONDS = 5.0
"""For a process that is ended to give its memory back."""


class TurnTaker(Protocol):
    """An engine as it takes turns: EngineSupervisor."""

    @property
    def model(self) -> Model: ...
    @property
    def info(self) -> ModelInfo | None: ...
    @property
    def busy(self) -> bool:
        """Whether anybody waits for anything of it."""
        ...

    @property
    def used_at(self) -> float:
        """When it was last asked for something, or answered."""
        ...

    def stop_idle(self) -> bool:
        """End it, unless it is busy; whether it was ended."""
        ...


class _Shortage(NamedTuple):
    """Why a model does not fit beside those that are loaded, and which of them stand in its way."""

    reason: str
    others: tuple[QueuedTransport, ...]


class ModelTurns:
    """Which engines may run now. estimate: bytes of RAM that a model will take; raises WorkbenchError.

    capacity: bytes of RAM for all engines together, given the processes of those that run. log: told of each turn.
    """

    def __init__(
        self,
        estimate: Callable[[Model], int],
        capacity: Callable[[Collection[int]], int] | None = None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._estimate = estimate
        self._capacity = capacity or measure_capacity
        self.log = log
        self._lock = threading.Lock()
        self._deciding = threading.Lock()
        self._running: list[QueuedTransport] = []
        self._waiting: list[QueuedTransport] = []
        self._notes: dict[int, str] = {}
        self._needs: dict[Model, int] = {}

    def queue(self, engine: TurnTaker, transport: Transport) -> QueuedTransport:
        """A transport that starts once there is memory for its engine."""
        return QueuedTransport(engine, transport, self)

    def note(self, model: Model) -> str:
        """What a model waits for, in words; empty where it does not."""
        with self._lock:
            waiting = [one for one in self._waiting if one.engine.model.identity == model.identity]
            return next((self._notes.get(id(one), "") for one in waiting), "")

    def enter(self, transport: QueuedTransport) -> None:
        """Let it start as soon as it may; called under its engine's lock."""
        with self._lock:
            first = not self._running and not self._waiting
            (self._running if first else self._waiting).append(transport)
        if first:
            transport.begin()
        else:
            self.review()

    def leave(self, transport: QueuedTransport) -> None:
        """It ended, or is not wanted any more."""
        with self._lock:
            self._running = [one for one in self._running if one is not transport]
            self._waiting = [one for one in self._waiting if one is not transport]
            self._notes.pop(id(transport), None)
        self.review()

    def review(self) -> None:
        """Look again whether one that waits may start; returns at once. Called whenever an engine becomes idle."""
        with self._lock:
            waiting = bool(self._waiting)
        if waiting:  # on a thread of its own: other engines' locks are needed, and a process is waited for
            threading.Thread(target=self._decide, name="model turns", daemon=True).start()

    def _decide(self) -> None:
        with self._deciding:
            while True:
                with self._lock:
                    waiting, running = self._waiting[:1], tuple(self._running)
                if not waiting or not self._admit(waiting[0], running):
                    return

    def _admit(self, first: QueuedTransport, running: Sequence[QueuedTransport]) -> bool:
        """Whether anything changed: it was started, or another one was unloaded for it."""
        shortage = self._find_shortage(first, running)
        name = first.engine.model.name
        if shortage is None:
            with self._lock:
                if first not in self._waiting:
                    return True
                self._waiting.remove(first)
                self._notes.pop(id(first), None)
                self._running.append(first)
            first.begin()
            return True
        idle = sorted((one for one in shortage.others if not one.engine.busy), key=lambda one: one.engine.used_at)
        for one in idle:
            if one.engine.stop_idle():
                self.log(f"{one.engine.model.name} was unloaded for {name}: {shortage.reason}.")
                one.join(_JOIN_SECONDS)
                self.leave(one)
                return True
        others = ", ".join(one.engine.model.name for one in shortage.others)
        note = f"{name} waits until {others} is idle: {shortage.reason}."
        with self._lock:
            known, self._notes[id(first)] = self._notes.get(id(first)), note
        if known is None:
            self.log(note)
        return False

    def _find_shortage(self, first: QueuedTransport, running: Sequence[QueuedTransport]) -> _Shortage | None:
        model = first.engine.model
        sharing = tuple(one for one in running if set(one.engine.model.offload.rpc) & set(model.offload.rpc))
        if sharing:
            return _Shortage("both use the same RPC server, which serves one program at a time", sharing)
        on_devices = tuple(one for one in running if _device_bytes(one.engine.info))
        need = self._need(model)
        if on_devices and model.format == "gguf" and model.offload.gpu_layers not in ("none", 0):
            last = on_devices[-1].engine.info
            free = max(0, _device_room(last) - _device_bytes(last))
            room = free + sum(_device_bytes(one.engine.info) for one in on_devices)
            if min(need, room) > free:
                reason = f"it wants {format_bytes(need)}, and {format_bytes(free)} are free on devices"
                return _Shortage(reason, on_devices)
            return None
        capacity = self._capacity([pid for one in running if (pid := one.pid)])
        taken = sum(self._host_bytes(one) for one in running)
        if running and need > capacity - taken:
            return _Shortage(
                f"{format_bytes(need)} and {format_bytes(taken)} do not fit into {format_bytes(capacity)} of memory",
                tuple(running),
            )
        return None

    def _host_bytes(self, one: QueuedTransport) -> int:
        info = one.engine.info
        if info and _device_bytes(info):
            return info.placement[-1].bytes
        return self._need(one.engine.model)

    def _need(self, model: Model) -> int:
        key = model.identity
        if key not in self._needs:
            try:
                self._needs[key] = self._estimate(model)
            except WorkbenchError:
                self._needs[key] = 0  # its load says what is wrong with it
        return self._needs[key]


class QueuedTransport:
    """A transport that is started when its turn comes; what is sent before is kept."""

    def __init__(self, engine: TurnTaker, transport: Transport, turns: ModelTurns) -> None:
        self.engine = engine
        self._transport = transport
        self._turns = turns
        self._lock = threading.Lock()
        self._kept: list[Command] = []
        self._started = self._ended = False
        self._on_reply: Callable[[Reply], None] = lambda _: None
        self._on_exit: Callable[[WorkerExit], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        return self._transport.pid if self._started else None

    def start(self, on_reply: Callable[[Reply], None], on_exit: Callable[[WorkerExit], None]) -> None:
        self._on_reply, self._on_exit = on_reply, on_exit
        self._turns.enter(self)

    def begin(self) -> None:
        """Its turn has come."""
        with self._lock:
            if self._ended or self._started:
                return
            self._started = True
            self._transport.start(self._on_reply, self._exit)
            for command in self._kept:
                self._transport.send(command)
            self._kept.clear()

    def send(self, message: Command) -> None:
        with self._lock:
            if not self._started:
                ENGINE_REPLIES.pack(message)  # so that one that cannot be sent is refused now
                self._kept.append(message)
                return
        self._transport.send(message)

    def stop(self) -> None:
        with self._lock:
            started, self._ended = self._started, True
        if started:
            self._transport.stop()
        else:
            threading.Thread(target=self._exit, args=(WorkerExit("was stopped"),), daemon=True).start()

    def join(self, seconds: float) -> None:
        if self._started:
            self._transport.join(seconds)

    def _exit(self, ended: WorkerExit) -> None:
        self._on_exit(ended)
        self._turns.leave(self)


def measure_capacity(pids: Collection[int]) -> int:
    """Bytes of RAM that these processes and new ones may have together: all but what other programs hold.

    A file's pages that are mapped into memory count as free, as the system counts them.
    """
    memory, own = psutil.virtual_memory(), 0
    for pid in pids:
        try:
            used = psutil.Process(pid).memory_info()
        except psutil.Error:
            continue
        own += int(used.rss) - int(getattr(used, "shared", 0))
    others = max(0, int(memory.total) - int(memory.available) - own)
    return int(memory.total) - others


def _device_bytes(info: ModelInfo | None) -> int:
    return sum(share.bytes for share in info.placement[:-1]) if info else 0


def _device_room(info: ModelInfo | None) -> int:
    """What was free on the devices before a model was loaded."""
    return sum(share.device.free_bytes for share in info.placement[:-1]) if info else 0
