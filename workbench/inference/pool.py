"""The engines of all models in use, one each, started when they are first asked; a server's model is connected to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec
import psutil

from workbench.cpu_budget.reservations import remove_dead
from workbench.errors import EngineError
from workbench.inference.client import EngineClient, for_worker
from workbench.inference.device_inventory import DeviceInventory
from workbench.inference.memory_shortage import MemoryShortage
from workbench.inference.model_client import EngineHandle, ModelClient, ProvingEngine, WorkerState
from workbench.inference.model_turns import ModelTurns
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.event_loop import BackgroundLoop
from workbench.inference.scripted import ScriptedEngine
from workbench.inference.sizes import context_size
from workbench.inference.types import EngineStatus, GenerateRequest
from workbench.inference.worker import spawn
from workbench.inference.worker.engine_run import Transport
from workbench.inference.worker.process import WorkerProcess, WorkerSpec
from workbench.inference.worker.protocol import ENGINE_REPLIES, LoadModel
from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.inference.worker.thread import ThreadTransport
from workbench.models.device_share import Device
from workbench.models.memory_estimate import MemoryEstimate, expect_in_memory
from workbench.models.placement_estimate import estimate_pane
from workbench.models.reference import Applied, Model, ModelInfo, model_at
from workbench.offload import Offload
from workbench.settings import Settings

ENGINE_WORKER = WorkerSpec("workbench.inference.worker.main")


class LoadedModel(msgspec.Struct, frozen=True):
    """A model in use. memory_bytes: what its process holds now; 0 when it does not run, or runs on a server. note: what
    it waits for, in words; empty where it does not."""

    model: Model
    state: WorkerState
    pid: int | None
    memory_bytes: int
    info: ModelInfo | None
    note: str = ""


class Pool:
    """Engines by model; each method returns at once and may be called from any thread.

    threads: processor threads an engine may use; 0 lets it choose.
    max_context_tokens: the largest context opened for a model that names none of its own.
    isolate: give scripted models a process as well, instead of a thread of this one.
    deterministic: what requests are that do not say it themselves.
    prompt_cache_bytes, step_seconds: see LoadModel.
    environment: variables of the engines' processes that differ from those here.
    connect: makes the engine of a remote model; None: over the network.
    low_priority: whether the system prefers other programs to the engines, such as a screen that has to follow keys.
    """

    def __init__(
        self,
        threads: int = 0,
        max_context_tokens: int = 8192,
        isolate: bool = False,
        deterministic: bool = False,
        prompt_cache_bytes: int = -1,
        step_seconds: float = 0.0,
        environment: Mapping[str, str] | None = None,
        connect: Callable[[Model, BackgroundLoop], EngineHandle] | None = None,
        low_priority: bool = False,
    ) -> None:
        self._environment = dict(environment or {})
        self._arguments = (spawn.LOW_PRIORITY,) if low_priority else ()
        self._threads = threads
        self._max_context_tokens = max_context_tokens
        self._deterministic = deterministic
        self._prompt_cache_bytes = prompt_cache_bytes
        self._step_seconds = step_seconds
        self._isolate = isolate
        self._remote_loop = BackgroundLoop("remote models")
        self._connect_remote = connect
        self._engines: dict[Model, EngineHandle] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.devices = DeviceInventory(self._environment)
        """what models may be offloaded to"""
        self.turns = ModelTurns(MemoryShortage(self._estimate, find_devices=self.find_devices))
        """which models have to wait for others; its `log` is told of each turn"""

    @classmethod
    def configured(cls, settings: Settings, deterministic: bool = False, low_priority: bool = False) -> Pool:
        """As a person's settings say."""
        return cls(
            settings.threads,
            settings.max_context_tokens,
            deterministic=deterministic,
            prompt_cache_bytes=int(settings.prompt_cache_ram),
            step_seconds=float(settings.step_seconds),
            low_priority=low_priority,
        )

    @property
    def width(self) -> int:
        """By how much a run may have more cells in flight than one engine takes."""
        return 1

    @property
    def problem(self) -> str:
        """What requests wait for, in words; "" where nothing keeps them."""
        return ""

    def client(self, model: Model) -> ModelClient:
        """What asks a model; it is loaded with the first request. Raises EngineError for a pool that is closed."""
        return EngineClient(self._engine(model), model, self._deterministic)

    def load(self, model: Model) -> Future[ModelInfo]:
        """Load a model ahead of its first request."""
        return self._engine(model).load()

    def prove(
        self, model: Model, adapters: Sequence[Applied] = (), renew: bool = False
    ) -> Future[CapabilityCard] | None:
        """The capability card of a server's model, with a proof of each of these adapters; None for a model that no
        server runs. renew: connect and probe again."""
        engine = self._engine(model)
        return engine.prove(adapters, renew) if isinstance(engine, ProvingEngine) else None

    def card(self, model: Model) -> CapabilityCard | None:
        """The capability card of a server's model that was probed already."""
        engine = self._engines.get(model.identity)
        return engine.card if isinstance(engine, ProvingEngine) else None

    def info(self, model: Model) -> ModelInfo | None:
        """What is known of a model that is or was loaded."""
        engine = self._engines.get(model.identity)
        return engine.info if engine else None

    def status(self, model: Model) -> EngineStatus | None:
        """What a model's engine last reported; None while it does not run, or where it reports nothing."""
        engine = self._engines.get(model.identity)
        return engine.status if engine else None

    def loaded_models(self) -> tuple[LoadedModel, ...]:
        """Every model in use, by name."""
        with self._lock:
            engines = list(self._engines.values())
        described = [_describe(engine, self.turns.note(engine.model)) for engine in engines]
        return tuple(sorted(described, key=lambda loaded: loaded.model.name))

    def find_devices(self, offload: Offload) -> tuple[Device, ...]:
        """The devices that a model may be offloaded to, with what is free on each; may take a second."""
        return self.devices.find(offload).devices

    def unload(self, model: Model) -> None:
        """End a model's engine, which frees its memory."""
        with self._lock:
            engine = self._engines.pop(model.identity, None)
        if engine:
            engine.stop()

    def close(self) -> None:
        """End every engine. Waits two seconds at most; a process that hangs is left to the system."""
        with self._lock:
            self._closed = True
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            engine.stop()
        deadline = time.monotonic() + 2
        for engine in engines:
            engine.join(max(0.0, deadline - time.monotonic()))
        self._remote_loop.close(max(0.1, deadline - time.monotonic()))
        remove_dead()  # an engine that is killed leaves its reservation behind

    def _engine(self, model: Model) -> EngineHandle:
        key = model.identity
        with self._lock:
            if self._closed:
                raise EngineError("The engines are closed.", "Start the workbench again.")
            if key not in self._engines:
                self._engines[key] = self._open_remote(model) if model.remote else self._open_local(model)
            return self._engines[key]

    def _open_local(self, model: Model) -> EngineHandle:
        if model.format == "scripted":
            return EngineSupervisor(self._load_command(model), lambda: self.open_transport(model))
        engine: EngineSupervisor = EngineSupervisor(
            self._load_command(model),
            lambda: self.turns.queue(engine, self.open_transport(model)),
            self.turns.review,
        )
        return engine

    def _estimate(self, model: Model, devices: Sequence[Device], ram_bytes: int) -> MemoryEstimate:
        """What a model takes. Raises WorkbenchError."""
        tokens = context_size(model, expect_in_memory(model), self._max_context_tokens)
        return estimate_pane(model, (), tokens, ram_bytes, devices)

    def _load_command(self, model: Model) -> LoadModel:
        return LoadModel(
            for_worker(model), self._threads, self._max_context_tokens, self._prompt_cache_bytes, self._step_seconds
        )

    def _open_remote(self, model: Model) -> EngineHandle:
        if self._connect_remote:
            return self._connect_remote(model, self._remote_loop)
        from workbench.inference.remote.engine import RemoteEngine  # httpx2 takes 0.1 s to import

        assert model.remote is not None
        count = self._count_locally if model.remote.tokenizer else None
        return RemoteEngine(model, self._remote_loop, count=count)

    async def _count_locally(self, tokenizer: str, request: GenerateRequest) -> int:
        """The tokens of a prompt by the tokenizer and template of a model on this machine. Raises WorkbenchError."""
        counter = self.client(model_at(Path(tokenizer)))
        return len((await counter.tokenize(msgspec.structs.replace(request, adapters=()))).ids)

    def open_transport(self, model: Model) -> Transport:
        """The way to a new engine of a model on this machine, which is not one of the pool's."""
        if model.format == "scripted" and not self._isolate:
            return ThreadTransport(lambda command, advance: ScriptedEngine.open(command.model, advance), model.name)
        spec = ENGINE_WORKER._replace(
            arguments=self._arguments, environment=lambda _: spawn.environment(**self._environment)
        )
        return WorkerProcess(spec, ENGINE_REPLIES, model.name)


def _describe(engine: EngineHandle, note: str) -> LoadedModel:
    state, pid, info = engine.state, engine.pid, engine.info
    return LoadedModel(engine.model, state, pid, _memory(state, pid, info), info, note)


def _memory(state: WorkerState, pid: int | None, info: ModelInfo | None) -> int:
    if pid is None:
        return info.memory_bytes if info and state == "ready" else 0
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
