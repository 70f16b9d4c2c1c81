"""A cluster without Ray: nodes whose part of the run is in this process, each of which can be lost."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.inference.worker.protocol import ENGINE_COMMANDS, Command, SubmitGenerate
from workbench.runs.cluster.connection import NodeConnection, NodeLostError
from workbench.runs.cluster.messages import EngineInput, pack, unpack
from workbench.runs.cluster.node_part import NodePart
from workbench.runs.cluster.node_worker import NodeWorker


class LocalNode:
    """One node. Calls raise NodeLostError once it is killed, those under way too. silent: nothing of what its engines
    answer comes through."""

    def __init__(self, folder: Path, name: str, part: type[NodePart] = NodeWorker) -> None:
        self.name = name
        self.calls: list[str] = []
        self.requests = 0
        self.silent = threading.Event()
        self._worker = part(str(folder / name))
        self._killed = threading.Event()

    def __call__(self, method: str, *arguments: bytes | int | float) -> bytes:
        self.calls.append(method)
        if self._killed.is_set():
            raise NodeLostError("it was killed")
        if method == "send":
            self.requests += sum(isinstance(command, SubmitGenerate) for command in _read_commands(arguments[0]))
        if method == "poll":
            arguments = (0.01,)
            if self.silent.is_set():
                self._killed.wait(0.01)
                return pack([])
        result = getattr(self._worker, method)(*arguments)
        if self._killed.is_set():
            raise NodeLostError("it was killed")
        return result

    def silence(self) -> None:
        """Let nothing through any more, once the poll that is under way has ended."""
        self.silent.set()
        before = self.calls.count("poll")
        while self.calls.count("poll") < before + 2:
            os.sched_yield()

    def kill(self) -> None:
        self._killed.set()

    def close(self) -> None:
        self.kill()
        self._worker.close()


def _read_commands(inputs: bytes) -> Iterator[Command]:
    for one in unpack(inputs, list[EngineInput]):
        yield from ENGINE_COMMANDS.read(io.BytesIO(one.frame))


class LocalCluster:
    """A Cluster of such nodes; `start` is what a ClusterPool begins with."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.nodes: list[LocalNode] = []
        self.connections: dict[str, NodeConnection] = {}
        self.memory, self.computes = -1, False
        self._count = count
        self._on_node: Callable[[NodeConnection], None] = lambda _: None
        self._on_lost: Callable[[NodeConnection], None] = lambda _: None

    def start(self, memory, computes, on_node, on_lost, log) -> LocalCluster:
        self.memory, self.computes = memory, computes
        self._on_node, self._on_lost = on_node, on_lost
        for _ in range(self._count):
            self.join()
        return self

    def join(self) -> LocalNode:
        """One more node comes."""
        node = LocalNode(self.folder, f"node{len(self.nodes) + 1}")
        self.nodes.append(node)
        connection = NodeConnection(node, node.name, lambda lost: self._on_lost(lost))
        self.connections[node.name] = connection
        self._on_node(connection)
        return node

    @property
    def width(self) -> int:
        return self._count

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        for node in self.nodes:
            node.close()
