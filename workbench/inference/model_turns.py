"""Models that do not fit into memory together take turns: the one that is idle for longest is unloaded for the next.

A model with live requests is never unloaded; whoever needs its memory waits until it is idle. Models that name the same
RPC server take turns as well, since a server serves one program at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from workbench.inference.memory_shortage import MemoryShortage, RunningModel
from workbench.inference.worker.engine_run import Transport
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import ENGINE_REPLIES, Command, LoadingProgress, Reply
from workbench.models.model import Model, ModelInfo

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


class ModelTurns:
    """Which engines may run now. shortage: finds what stands in a model's way. log: told of each turn."""

    def __init__(self, shortage: MemoryShortage, log: Callable[[str], None] = lambda text: None) -> None:
        self._shortage = shortage
        self.log = log
        self._lock = threading.Lock()
        self._deciding = threading.Lock()
        self._running: list[QueuedTransport] = []
        self._waiting: list[QueuedTransport] = []
        self._notes: dict[int, str] = {}
        self._review_pending = False

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
            if not self._waiting or self._review_pending:
                return
            self._review_pending = True
        # on a thread of its own: other engines' locks are needed, and a process is waited for
        threading.Thread(target=self._decide, name="model turns", daemon=True).start()

    def _decide(self) -> None:
        with self._deciding:
            self._review_pending = False
            while True:
                with self._lock:
                    waiting, running = self._waiting[:1], tuple(self._running)
                if not waiting or not self._admit(waiting[0], running):
                    return

    def _admit(self, first: QueuedTransport, running: Sequence[QueuedTransport]) -> bool:
        """Whether anything changed: it was started, or another one was unloaded for it."""
        model = first.engine.model
        shortage = self._shortage.find(model, [_describe(one) for one in running])
        if shortage is None:
            with self._lock:
                if first not in self._waiting:
                    return True
                self._waiting.remove(first)
                self._notes.pop(id(first), None)
                self._running.append(first)
            first.begin()
            return True
        others = [running[index] for index in shortage.others]
        idle = sorted((one for one in others if not one.engine.busy), key=lambda one: one.engine.used_at)
        for one in idle:
            if one.engine.stop_idle():
                self.log(f"{one.engine.model.name} was unloaded for {model.name}: {shortage.reason}.")
                one.join(_JOIN_SECONDS)
                self.leave(one)
                return True
        self._keep_waiting(first, ", ".join(one.engine.model.name for one in others), shortage.reason)
        return False

    def _keep_waiting(self, first: QueuedTransport, others: str, reason: str) -> None:
        """Note what it waits for, and tell those who wait for it."""
        note = f"{first.engine.model.name} waits until {others} is idle: {reason}."
        with self._lock:
            if first not in self._waiting:
                return
            known, self._notes[id(first)] = self._notes.get(id(first)), note
            behind = [one for one in self._waiting if one is not first]
            for one in behind:
                self._notes[id(one)] = f"{one.engine.model.name} waits behind {first.engine.model.name}."
            notes = [(one, self._notes[id(one)]) for one in (first, *behind)]
        if known is None:
            self.log(note)
        for one, text in notes:
            one.report(text)


def _describe(transport: QueuedTransport) -> RunningModel:
    return RunningModel(transport.engine.model, transport.engine.info, transport.pid)


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

    def report(self, note: str) -> None:
        """Tell whoever waits for the engine what it waits for itself."""
        with self._lock:
            if self._started or self._ended:
                return
        self._on_reply(LoadingProgress(None, note))

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
            waits = not self._started
            if waits:
                ENGINE_REPLIES.pack(message)  # so that one that cannot be sent is refused now
                self._kept.append(message)
        if waits:
            self._turns.review()  # so that the one who sent it is told what it waits for
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
