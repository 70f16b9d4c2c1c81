"""A Ray cluster as the run sees it: nodes that come and are lost, reached through a process of its own (ray_nodes.py).

Where that process ends, because the cluster's head is gone, the connection is tried again until the run ends.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from workbench.errors import EngineError
from workbench.inference.worker.process import WorkerExit, WorkerProcess, WorkerSpec
from workbench.runs.cluster.bridge_protocol import (
    BRIDGE_REPLIES,
    BridgeReply,
    CallDone,
    CallFailed,
    CallNode,
    ClusterFailed,
    ClusterLog,
    ClusterOpened,
    DropNode,
    NodeJoined,
    OpenCluster,
)
from workbench.runs.cluster.connection import NodeCaller, NodeConnection, NodeLostError

CONNECT_SECONDS = 90.0
_RETRY_SECONDS = 5.0
ENGINES = "workbench.runs.cluster.node_worker:NodeWorker"
_SPEC = WorkerSpec("workbench.runs.cluster.ray_nodes")


class RayCluster:
    """See the module. on_node: called with each part of the run that is ready, on_lost with one that is lost, from any
    thread. log: gets what a person is to know."""

    def __init__(
        self,
        address: str,
        memory: int,
        computes: bool,
        on_node: Callable[[Any], None],
        on_lost: Callable[[Any], None],
        log: Callable[[str], None],
        part: str = ENGINES,
        connect: Callable[[NodeCaller, str, Callable[[Any], None]], Any] = NodeConnection,
    ) -> None:
        """Connect. address: of the cluster's head as `ray start` prints it; `auto`: the one of this machine. memory,
        computes: as in divide_node. part: the class of the run's part on a node, as `module:name`. connect: makes of
        its name and the way to call it what on_node gets. Raises EngineError where there is no cluster, or no Ray.
        """
        self._command = OpenCluster(address, memory, computes, part)
        self.connect = connect
        self._on_node, self._on_lost, self._log = on_node, on_lost, log
        self._closed = threading.Event()
        try:
            self._bridge = _RayBridge(self)
        except EngineError:
            self._closed.set()
            raise

    @property
    def width(self) -> int:
        """Parts of the run that there are or will be."""
        return self._bridge.width

    def close(self) -> None:
        """Leave the cluster: the run's parts on the nodes end with the process that is connected."""
        self._closed.set()
        self._bridge.stop()

    def start_process(self) -> WorkerProcess[BridgeReply]:
        return WorkerProcess(_SPEC, BRIDGE_REPLIES, "ray")

    @property
    def pid(self) -> int | None:
        """The process that is connected."""
        return self._bridge.pid

    @property
    def command(self) -> OpenCluster:
        return self._command

    def add(self, connection: Any) -> None:
        if not self._closed.is_set():
            self._on_node(connection)

    def lose(self, connection: Any) -> None:
        if not self._closed.is_set():
            self._on_lost(connection)

    def log(self, text: str) -> None:
        if not self._closed.is_set():
            self._log(text)

    def reconnect(self, reason: str) -> None:
        """The process has ended: begin again, until the run ends. On a thread of its own."""
        if self._closed.is_set():
            return
        self._log(f"The connection to the Ray cluster was lost ({reason}); it is tried again.")
        while not self._closed.wait(_RETRY_SECONDS):
            try:
                self._bridge = _RayBridge(self)
            except EngineError:
                continue
            if self._closed.is_set():
                self._bridge.stop()
            return


class _RayBridge:
    """One process that is connected, from its start to its end."""

    def __init__(self, cluster: RayCluster) -> None:
        """Raises EngineError where it does not connect."""
        self.width = 0
        self._cluster = cluster
        self._opened: Future[int] = Future()
        self._calls: dict[int, Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._nodes: list[Any] = []
        self._lock = threading.Lock()
        self._ended = ""
        self._process = cluster.start_process()
        self._process.start(self._receive, self._end)
        self._process.send(cluster.command)
        try:
            self.width = self._opened.result(CONNECT_SECONDS)
        except TimeoutError as error:
            self.stop()
            raise EngineError(
                f"The Ray cluster at {cluster.command.address} has not answered for {CONNECT_SECONDS:.0f} s.",
                "Check that a Ray head of the same Ray version listens there: ray status --address HOST:6379",
            ) from error

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def stop(self) -> None:
        with self._lock:
            nodes = list(self._nodes)
        for node in nodes:
            node.close()
        self._process.stop()

    def _call_node(self, node: int, method: str, *arguments: bytes | int | float) -> bytes:
        """Call a node and wait for its result. Raises NodeLostError."""
        future: Future[bytes] = Future()
        with self._lock:
            if self._ended:
                raise NodeLostError(self._ended)
            number = next(self._numbers)
            self._calls[number] = future
        self._process.send(CallNode(number, node, method, arguments))
        return future.result()

    def _receive(self, reply: BridgeReply) -> None:
        match reply:
            case ClusterOpened(width):
                self._opened.set_result(width)
            case ClusterFailed(message, hint):
                self._opened.set_exception(EngineError(message, hint))
            case NodeJoined(node, name):  # connecting to it calls it, which waits for this thread
                threading.Thread(target=self._join, args=(node, name), name=f"join {name}", daemon=True).start()
            case CallDone(call, result):
                self._pop_call(call).set_result(result)
            case CallFailed(call, reason):
                self._pop_call(call).set_exception(NodeLostError(reason))
            case ClusterLog(text):
                self._cluster.log(text)

    def _pop_call(self, call: int) -> Future[bytes]:
        with self._lock:
            return self._calls.pop(call)

    def _join(self, node: int, name: str) -> None:
        try:
            call = partial(self._call_node, node)
            connection = self._cluster.connect(call, name, lambda lost: self._lose(node, lost))
        except NodeLostError:
            self._process.send(DropNode(node))
            return
        with self._lock:
            self._nodes.append(connection)
        self._cluster.add(connection)

    def _lose(self, node: int, connection: Any) -> None:
        with self._lock:
            self._nodes = [one for one in self._nodes if one is not connection]
        self._cluster.lose(connection)
        self._process.send(DropNode(node))

    def _end(self, ended: WorkerExit) -> None:
        """The process is gone, and with it every call. Called on its thread, last."""
        words = [line for line in ended.last_words.splitlines() if line.strip()]
        reason = f"its process {ended.reason}{f': {words[-1].strip()[:200]}' if words else ''}"
        with self._lock:
            self._ended = reason
            calls, self._calls = list(self._calls.values()), {}
        for future in calls:
            future.set_exception(NodeLostError(reason))
        if self._opened.done():
            if not self._opened.exception():
                threading.Thread(target=self._cluster.reconnect, args=(reason,), name="ray again", daemon=True).start()
        else:
            self._opened.set_exception(EngineError(f"No connection to the Ray cluster: {reason}."))
