"""Pool: the engines of all models in use, one each, started when they are first needed.

Knows nothing of what is asked or why. Nothing here waits: answers come to sinks and futures.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

import msgspec
import psutil

from workbench.cores import register
from workbench.engines.engine import EngineStatus, Event, Likelihood, Request, Sampling, Tokenized, Weighing
from workbench.engines.scripted import ScriptedEngine
from workbench.errors import EngineError
from workbench.frames import shorten
from workbench.hosting.host import Host, HostState
from workbench.hosting.link import Link
from workbench.hosting.local import ThreadLink
from workbench.hosting.process import ProcessLink
from workbench.hosting.wire import Open
from workbench.models.reference import Adapter, Applied, Model, ModelInfo
from workbench.prompting.prompt import Message, Mode
from workbench.settings import Settings

N = TypeVar("N", Model, Adapter)


class Ticket:
    """A request under way."""

    def __init__(self, request: int, host: Host) -> None:
        self.request = request
        self._host = host

    def cancel(self) -> None:
        """End it; its last chunk says `cancelled`. Returns at once."""
        self._host.cancel(self.request)


class UnderWay(NamedTuple):
    """A weighing under way."""

    ticket: Ticket
    likelihoods: Future[tuple[Likelihood, ...]]


class Resident(msgspec.Struct, frozen=True):
    """A model in use. memory_bytes: what its process holds now; 0 when it does not run."""

    model: Model
    state: HostState
    pid: int | None
    memory_bytes: int
    info: ModelInfo | None


class Pool:
    """Engines by model; each method returns at once and may be called from any thread.

    threads: processor threads an engine may use; 0 lets it choose.
    max_context_tokens: the largest context opened for a model that names none of its own.
    isolate: give scripted models a process as well, instead of a thread of this one.
    reproducible: what requests are that do not say it themselves.
    parked_bytes, step_seconds: see the Open command.
    """

    def __init__(
        self,
        threads: int = 0,
        max_context_tokens: int = 8192,
        isolate: bool = False,
        reproducible: bool = False,
        parked_bytes: int = -1,
        step_seconds: float = 0.0,
    ) -> None:
        self._threads = threads
        self._max_context_tokens = max_context_tokens
        self._reproducible = reproducible
        self._parked_bytes = parked_bytes
        self._step_seconds = step_seconds
        self._isolate = isolate
        self._hosts: dict[Model, Host] = {}
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._closed = False

    @classmethod
    def configured(cls, settings: Settings, reproducible: bool = False) -> Pool:
        """As a person's settings say."""
        return cls(
            settings.threads,
            settings.max_context_tokens,
            reproducible=reproducible,
            parked_bytes=int(settings.parked_memory),
            step_seconds=float(settings.step_seconds),
        )

    def submit(
        self,
        model: Model,
        messages: Sequence[Message],
        sampling: Sampling,
        mode: Mode,
        sink: Callable[[Event], None],
        adapters: Sequence[Applied] = (),
        guesses: int = 0,
        priority: int = 0,
        reproducible: bool | None = None,
    ) -> Ticket:
        """Answer a conversation, with adapters laid over the model, telling each token's likeliest alternatives.

        priority: 0 for someone who looks on; 1 waits while such a one is answered.
        reproducible: computed by itself, the same to the last bit each time, if slower; None is as the pool says.

        The sink is called on the engine's reader thread, in order; its last event, a chunk with a stop reason or
        a failure, comes exactly once, whatever happens.
        """
        host = self._host(model)
        alone = self._reproducible if reproducible is None else reproducible
        laid = tuple(map(_lay, adapters))
        request = Request(
            next(self._ids),
            tuple(messages),
            sampling,
            mode,
            laid,
            guesses,
            priority,
            alone,
            model.chat_template_kwargs,
        )
        host.submit(request, sink)
        return Ticket(request.id, host)

    def weigh(
        self,
        model: Model,
        messages: Sequence[Message],
        answers: Sequence[str],
        mode: Mode,
        adapters: Sequence[Applied] = (),
        priority: int = 0,
        reproducible: bool | None = None,
    ) -> UnderWay:
        """How likely the model finds each answer to a conversation; its future fails with a WorkbenchError.

        priority, reproducible: as in `submit`. Where its ticket calls it off, the future fails as well.
        """
        host = self._host(model)
        alone = self._reproducible if reproducible is None else reproducible
        conversation, taken = tuple(messages), tuple(answers)
        weighing = Weighing(
            next(self._ids),
            conversation,
            taken,
            mode,
            tuple(map(_lay, adapters)),
            priority,
            alone,
            model.chat_template_kwargs,
        )
        return UnderWay(Ticket(weighing.id, host), host.weigh(weighing))

    def count(
        self, model: Model, conversations: Sequence[Sequence[Message]], mode: Mode, priority: int = 0
    ) -> Future[tuple[int, ...]]:
        """The number of prompt tokens of each conversation; the future fails with a WorkbenchError.

        priority: as in `submit`.
        """
        kwargs = model.chat_template_kwargs
        requests = [
            Request(0, tuple(messages), mode=mode, priority=priority, chat_template_kwargs=kwargs)
            for messages in conversations
        ]
        return self._host(model).count(requests)

    def tokenize(self, model: Model, messages: Sequence[Message], mode: Mode) -> Future[Tokenized]:
        """The conversation as the model would see it."""
        request = Request(0, tuple(messages), mode=mode, chat_template_kwargs=model.chat_template_kwargs)
        return self._host(model).tokenize(request)

    def load(self, model: Model) -> Future[ModelInfo]:
        """Load a model ahead of its first request."""
        return self._host(model).load()

    def info(self, model: Model) -> ModelInfo | None:
        """What is known of a model that is or was loaded."""
        host = self._hosts.get(_key(model))
        return host.info if host else None

    def status(self, model: Model) -> EngineStatus | None:
        """What a model's engine last said it is doing; None while it does not run, or where it does not tell."""
        host = self._hosts.get(_key(model))
        return host.status if host else None

    def residents(self) -> tuple[Resident, ...]:
        """Every model in use, by name."""
        with self._lock:
            hosts = list(self._hosts.values())
        return tuple(sorted(map(_resident, hosts), key=lambda resident: resident.model.name))

    def unload(self, model: Model) -> None:
        """End a model's engine, which frees its memory."""
        with self._lock:
            host = self._hosts.pop(_key(model), None)
        if host:
            host.stop()

    def close(self) -> None:
        """End every engine. Waits two seconds at most; a process that hangs is left to the system."""
        with self._lock:
            self._closed = True
            hosts = list(self._hosts.values())
            self._hosts.clear()
        for host in hosts:
            host.stop()
        deadline = time.monotonic() + 2
        for host in hosts:
            host.join(max(0.0, deadline - time.monotonic()))
        register.sweep()  # an engine that is killed leaves its claim behind

    def _host(self, model: Model) -> Host:
        key = _key(model)
        with self._lock:
            if self._closed:
                raise EngineError("The engines are closed.", "Start the workbench again.")
            if key not in self._hosts:
                command = Open(
                    _for_another_folder(model),
                    self._threads,
                    self._max_context_tokens,
                    self._parked_bytes,
                    self._step_seconds,
                )
                self._hosts[key] = Host(command, lambda: self._connect(model))
            return self._hosts[key]

    def _connect(self, model: Model) -> Link:
        if model.format == "scripted" and not self._isolate:
            return ThreadLink(lambda command, advance: ScriptedEngine.open(command.model, advance), model.name)
        return ProcessLink(model.name)


def _for_another_folder(named: N) -> N:
    """A model or adapter as its engine is told of it, which stands in another folder and cannot take half characters in
    a name."""
    return msgspec.structs.replace(named, name=shorten(named.name), path=named.path.absolute())


def _lay(applied: Applied) -> Applied:
    return msgspec.structs.replace(applied, adapter=_for_another_folder(applied.adapter))


def _key(model: Model) -> Model:
    """Two names for the same file share an engine, and so do requests with other variables of the chat template."""
    return msgspec.structs.replace(model, name="", path=model.path.absolute(), chat_template_kwargs="")


def _resident(host: Host) -> Resident:
    state, pid, info = host.state, host.pid, host.info
    return Resident(host.model, state, pid, _memory(state, pid, info), info)


def _memory(state: HostState, pid: int | None, info: ModelInfo | None) -> int:
    if pid is None:
        return info.memory_bytes if info and state == "ready" else 0
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
