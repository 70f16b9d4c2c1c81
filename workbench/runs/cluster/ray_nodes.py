"""The process that is connected to Ray, the only one that imports it: a run's calls go through it to the nodes.

It is a process of its own since Ray ends its own process when the cluster's head is gone, prints on standard output,
and cannot be interrupted while it connects. Which nodes there are is looked up again and again.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from workbench import __version__
from workbench.errors import EngineError
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameError
from workbench.package_commands import install_extra
from workbench.runs.cluster.bridge_protocol import (
    BRIDGE_COMMANDS,
    BridgeCommand,
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
from workbench.runs.cluster.messages import NodeReport, unpack
from workbench.runs.cluster.node_shares import NodeShare, divide_node

_LOOK_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
_MOST_LOSSES = 3
"""times that a node's part may be lost before the node is left out"""

_THREADS = 16
"""calls that a node's part answers at the same time: one of them waits for output, others look for files"""

_CALLS = 256
"""calls under way to all nodes together; each node has one that waits"""


def main() -> None:
    """Serve until the run ends."""
    channel = ParentChannel(BRIDGE_COMMANDS)
    command = channel.first()
    assert isinstance(command, OpenCluster)
    lock = threading.Lock()

    def emit(reply: BridgeReply) -> None:
        with lock:
            channel.send(reply)

    try:
        nodes = RayNodes(_connect(command.address), command, emit)
        emit(ClusterOpened(nodes.width))
    except EngineError as error:
        emit(ClusterFailed(error.message, error.hint))
        return
    executor = ThreadPoolExecutor(_CALLS)
    channel.listen(lambda received: executor.submit(nodes.handle, received))
    nodes.watch()


class RayNodes:
    """See the module. emit: gets the replies, from any thread."""

    def __init__(self, ray: Any, command: OpenCluster, emit: Callable[[BridgeReply], None]) -> None:
        self._ray = ray
        self._command = command
        self._emit = emit
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._actors: dict[int, tuple[Any, str, str]] = {}
        self._parts: dict[str, int] = {}
        self._losses: dict[str, int] = {}
        self._unusable: set[str] = set()
        module, _, name = command.part.partition(":")
        self._part = getattr(import_module(module), name)
        self._look()

    @property
    def width(self) -> int:
        with self._lock:
            return sum(self._parts.values())

    def watch(self) -> None:
        """Look for nodes that join, for ever."""
        while not threading.Event().wait(_LOOK_SECONDS):
            with contextlib.suppress(Exception):  # the head does not answer: nothing is known of any node
                self._look()

    def handle(self, command: BridgeCommand) -> None:
        """Carry out a command; blocks as long as it takes."""
        match command:
            case CallNode(call, node, method, arguments):
                self._emit(self._call_node(call, node, method, arguments))
            case DropNode(node):
                self._drop(node)

    def _call_node(self, call: int, node: int, method: str, arguments: tuple[Any, ...]) -> BridgeReply:
        with self._lock:
            actor = self._actors.get(node)
        if actor is None:
            return CallFailed(call, "it was let go of")
        try:
            return CallDone(call, self._ask(actor[0], method, *arguments) or b"")
        except _ActorLostError as error:
            return CallFailed(call, str(error))

    def _ask(self, actor: Any, method: str, *arguments: bytes | int | float) -> bytes:
        try:
            result: bytes = self._ray.get(getattr(actor, method).remote(*arguments))
        except self._ray.exceptions.RayError as error:
            raise _ActorLostError(_first_line(error)) from error
        return result

    def _look(self) -> None:
        """Start the parts that are missing on the nodes that there are."""
        for entry in self._ray.nodes():
            identity = entry["NodeID"]
            name = f"{entry['NodeManagerHostname']}/{identity[:6]}"
            if not entry["Alive"] or identity in self._unusable:
                continue
            shares = divide_node(entry["Resources"], self._command.memory, self._command.computes)
            if isinstance(shares, str):
                self._refuse(identity, name, shares)
                continue
            with self._lock:
                missing = len(shares) - self._parts.get(identity, 0)
                self._parts[identity] = len(shares)
            for share in shares[:missing]:
                self._spawn(self._start, identity, name, share)

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _start(self, identity: str, name: str, share: NodeShare) -> None:
        """On a thread of its own: a part of the run on a node, as soon as the node has room for it."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = (
            self._ray.remote(self._part)
            .options(
                num_cpus=share.cpus,
                num_gpus=share.gpus,
                memory=share.memory,
                max_concurrency=_THREADS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(identity, soft=False),
            )
            .remote()
        )
        try:
            report = unpack(self._ask(actor, "describe"), NodeReport)
        except (_ActorLostError, FrameError) as error:
            self._give_up(identity, name, str(error))
            return
        if report.version != __version__:
            self._ray.kill(actor)
            self._refuse(identity, name, f"it has workbench {report.version}, and this is {__version__}")
            return
        with self._lock:
            number = next(self._numbers)
            self._actors[number] = actor, identity, name
        self._emit(NodeJoined(number, name))

    def _drop(self, node: int) -> None:
        with self._lock:
            found = self._actors.pop(node, None)
        if found is None:
            return
        actor, identity, name = found
        with contextlib.suppress(Exception):
            self._ray.kill(actor)  # it may only have been out of reach
        self._give_up(identity, name, "the connection was lost; what it was answering goes to others")

    def _give_up(self, identity: str, name: str, reason: str) -> None:
        """A node's part did not start or was lost: it is tried again, a few times."""
        with self._lock:
            self._losses[identity] = self._losses.get(identity, 0) + 1
            often = self._losses[identity] >= _MOST_LOSSES
        if "No module named 'workbench" in reason:
            self._refuse(identity, name, f"workbench is not installed there; install version {__version__}")
        elif often:
            self._refuse(identity, name, f"it was lost {_MOST_LOSSES} times: {reason}")
        else:
            self._emit(ClusterLog(f"Node {name}: {reason}."))
        with self._lock:
            self._parts[identity] = max(0, self._parts.get(identity, 0) - 1)

    def _refuse(self, identity: str, name: str, reason: str) -> None:
        self._unusable.add(identity)
        self._emit(ClusterLog(f"Node {name} is not used: {reason}."))


class _ActorLostError(Exception):
    """A node, or the part of the run on it, is gone."""


def _first_line(error: BaseException) -> str:
    """What Ray says, on one line; of a traceback that it quotes, the line that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = next((line for line in lines if "No module named" in line), "")
    return (named or (lines[0] if lines else type(error).__name__)).rstrip(".")[:300]


def _connect(address: str) -> Any:
    """Ray, connected. Raises EngineError where there is no cluster, or no Ray."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run reports nothing to anyone
    try:
        import ray
    except ImportError as error:
        raise EngineError("Ray is not installed.", f"Install it: {install_extra('ray')}") from error
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    try:
        _check_reachable(named)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise no_cluster(named, _first_line(error)) from error
    return ray


def no_cluster(address: str, reason: str) -> EngineError:
    """That no cluster answers. address: "" for the one of this machine."""
    return EngineError(
        f"No Ray cluster answers {f'at {address}' if address else 'on this machine'}: {reason}.",
        "Start one with `ray start --head`, join it from other machines with `ray start --address HOST:6379`, and name"
        " it: --ray HOST:6379",
    )


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT: Ray would try again for minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
