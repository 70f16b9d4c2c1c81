"""One node as the run sees it: its files, the engines on it, and whether it is lost."""

from __future__ import annotations

import io
import itertools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from workbench.errors import EngineError
from workbench.inference.worker.frames import FrameError
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import ENGINE_REPLIES, Command
from workbench.runs.cluster.messages import (
    EngineInput,
    EngineOutput,
    FileReport,
    NodeReport,
    WantedFile,
    pack,
    unpack,
)
from workbench.runs.cluster.node_files import describe_size, pack_files

MOST_COPIED_BYTES = 512 * 2**20
"""a larger file is not copied to a node that lacks it"""

_POLL_SECONDS = 1.0
_MOST_AT_ONCE = 256

_log = logging.getLogger(__name__)


class NodeLostError(Exception):
    """A node, or the part of the run on it, is gone."""


class NodeCaller(Protocol):
    """Calls a method of the node's NodeWorker and waits for its result."""

    def __call__(self, method: str, *arguments: bytes | int | float) -> bytes:
        """Raises NodeLostError where the node is gone."""
        ...


def prepare_file(call: NodeCaller, name: str, wanted: WantedFile) -> Path:
    """See that a node has a file, and say where: it is found there, or copied where it is small.

    Raises EngineError, and NodeLostError.
    """
    found = unpack(call("find", pack(wanted)), FileReport)
    if found.problem and wanted.bytes <= MOST_COPIED_BYTES:
        found = unpack(call("save", pack(wanted), pack(pack_files(wanted.path))), FileReport)
    if found.problem:
        raise EngineError(
            f"Node {name} does not have the {wanted.kind} {describe_size(wanted)}: {found.problem}.",
            "Put it there, at the same path or into one of its model folders. Files of up to 512 MiB are copied.",
        )
    return found.path


class NodeConnection:
    """See the module. call: reaches the node. name: what messages call it. on_lost: called once where it is lost."""

    def __init__(self, call: NodeCaller, name: str, on_lost: Callable[[NodeConnection], None]) -> None:
        self.name = name
        self.lost = False
        self.report = unpack(call("describe"), NodeReport)
        self._call = call
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._engines: dict[int, NodeTransport] = {}
        self._lock = threading.Lock()
        self._inputs: SimpleQueue[EngineInput | None] = SimpleQueue()
        self._closed = threading.Event()
        for target, role in ((self._receive, "replies of"), (self._send, "commands to")):
            threading.Thread(target=target, name=f"{role} {name}", daemon=True).start()

    def prepare_file(self, wanted: WantedFile) -> None:
        """As the function of that name."""
        prepare_file(self._call, self.name, wanted)

    def open_engine(self) -> NodeTransport:
        """The way to a new engine on the node."""
        return NodeTransport(self, next(self._numbers))

    def attach(self, transport: NodeTransport) -> None:
        """Hand what comes of an engine to its transport; its end at once where the node is lost."""
        with self._lock:
            self._engines[transport.engine] = transport
            gone = self.lost or self._closed.is_set()
        if gone:  # not on this thread, which holds the supervisor's lock
            threading.Thread(target=self._end_all, name=f"end of {self.name}", daemon=True).start()

    def send(self, engine: int, command: Command) -> None:
        """Hand a command over; never waits. Raises for one that cannot be packed."""
        self._inputs.put(EngineInput(engine, ENGINE_REPLIES.pack(command)))

    def stop_engine(self, engine: int) -> None:
        """End an engine; returns at once."""

        def stop() -> None:
            try:
                self._call("stop", engine)
            except NodeLostError:
                _log.debug("node %s was lost before its engine was stopped", self.name)

        threading.Thread(target=stop, name=f"stop on {self.name}", daemon=True).start()

    def close(self) -> None:
        """Let go of the node; what its engines were doing fails."""
        self._closed.set()
        self._inputs.put(None)

    def _receive(self) -> None:
        """On a thread of its own: hand on what comes, until the node is let go of or lost."""
        try:
            while not self._closed.is_set():
                for output in unpack(self._call("poll", _POLL_SECONDS), list[EngineOutput]):
                    self._dispatch(output)
        except (NodeLostError, FrameError) as error:
            if not self._closed.is_set():
                _log.info("node %s is lost: %s", self.name, error)
                self.lost = True
        self._inputs.put(None)
        self._end_all()
        if self.lost:
            self._on_lost(self)

    def _dispatch(self, output: EngineOutput) -> None:
        with self._lock:
            transport = self._engines.get(output.engine)
            if not output.frame:
                self._engines.pop(output.engine, None)
        if transport is None:
            return
        if output.frame:
            for reply in ENGINE_REPLIES.read(io.BytesIO(output.frame)):
                transport.on_reply(reply)
        else:
            transport.end(WorkerExit(output.reason, output.last_words, output.external))

    def _end_all(self) -> None:
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        reason = f"was lost with node {self.name}" if self.lost else "was stopped"
        for transport in engines:
            transport.end(WorkerExit(reason, external=self.lost))

    def _send(self) -> None:
        """On a thread of its own: as many commands at a time as there are, the next ones when those have arrived."""
        while (first := self._inputs.get()) is not None:
            batch = [first]
            while len(batch) < _MOST_AT_ONCE:
                try:
                    following = self._inputs.get_nowait()
                except Empty:
                    break
                if following is None:
                    self._inputs.put(None)
                    break
                batch.append(following)
            try:
                self._call("send", pack(batch))
            except NodeLostError:
                return  # the thread that receives says so


class NodeTransport:
    """Transport to an engine on a node (engine_run.py)."""

    def __init__(self, node: NodeConnection, engine: int) -> None:
        self.engine = engine
        self.on_reply: Callable[[Any], None] = lambda _: None
        self._node = node
        self._on_exit: Callable[[WorkerExit], None] = lambda _: None
        self._ended = threading.Event()

    @property
    def pid(self) -> int | None:
        """None: it is no process of this machine."""
        return None

    def start(self, on_reply: Callable[[Any], None], on_exit: Callable[[WorkerExit], None]) -> None:
        self.on_reply, self._on_exit = on_reply, on_exit
        self._node.attach(self)

    def send(self, message: Command) -> None:
        self._node.send(self.engine, message)

    def stop(self) -> None:
        self._node.stop_engine(self.engine)

    def join(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def end(self, ended: WorkerExit) -> None:
        """Its engine is gone; called once."""
        self._on_exit(ended)
        self._ended.set()
