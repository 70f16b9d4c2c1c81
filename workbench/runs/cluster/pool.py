"""ClusterPool: a pool whose local models are loaded on the nodes of a Ray cluster instead of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from workbench.errors import EngineError
from workbench.inference.model_client import EngineHandle
from workbench.inference.pool import Pool
from workbench.models.device_share import Device
from workbench.models.reference import Model
from workbench.offload import Offload
from workbench.runs.cluster.connection import NodeConnection
from workbench.runs.cluster.engine import ClusterEngine
from workbench.runs.cluster.messages import WantedFile
from workbench.runs.cluster.node_files import measure
from workbench.runs.provenance import AdapterTrace
from workbench.runs.run import DEFAULT_OPTIONS
from workbench.settings import Settings


class Cluster(Protocol):
    """Nodes with a part of the run on each. width: how many parts there are."""

    @property
    def width(self) -> int: ...

    def close(self) -> None: ...


ClusterStarter = Callable[
    [int, bool, Callable[[NodeConnection], None], Callable[[NodeConnection], None], Callable[[str], None]], Cluster
]
"""memory in bytes, whether engines compute, what to call with a node that has come and one that is lost, a log"""


class ClusterPool(Pool):
    """See the module. A model on a server is asked from here, as by any pool."""

    def __init__(
        self,
        settings: Settings,
        start: ClusterStarter,
        fingerprint: Callable[[Path], str],
        concurrency: int,
        log: Callable[[str], None],
    ) -> None:
        """start: connects to the cluster, when `open` is called. concurrency: requests that a node has at a time; 0: as
        many as a model has without a cluster."""
        super().__init__(
            settings.threads,
            settings.max_context_tokens,
            prompt_cache_bytes=int(settings.prompt_cache_ram),
            step_seconds=float(settings.step_seconds),
        )
        self._start = start
        self._fingerprint = fingerprint
        self._concurrency = concurrency or DEFAULT_OPTIONS.concurrency
        self._log = log
        self.cluster: Cluster | None = None
        self._nodes: list[NodeConnection] = []
        self._adapters: tuple[WantedFile, ...] = ()

    def open(self, memory: int, models: Iterable[Model], adapters: Iterable[AdapterTrace]) -> None:
        """Begin to use the nodes. memory: bytes that the models take on each, by their estimate. adapters: of all
        requests that will come. Raises EngineError where there is no cluster."""
        wanted = {one.path: WantedFile("adapter", one.path, one.fingerprint, measure(one.path)) for one in adapters}
        self._adapters = tuple(wanted.values())
        computes = any(model.format in ("gguf", "hf") for model in models)
        self.cluster = self._start(memory, computes, self._add_node, self._remove_node, self._log)
        if not self.cluster.width:
            raise EngineError("No node of the Ray cluster can be used.", "Add one: ray start --address HOST:6379")

    @property
    def width(self) -> int:
        """Twice the nodes' parts: while each answers its requests, its next ones wait here."""
        return 2 * max(1, self.cluster.width) if self.cluster else 1

    @property
    def problem(self) -> str:
        return next((problem for engine in self.cluster_engines() if (problem := engine.problem)), "")

    def find_devices(self, offload: Offload) -> tuple[Device, ...]:
        """None: each node fits its layers to devices of its own."""
        return ()

    @property
    def resent(self) -> int:
        """Requests that were put back because their node was lost."""
        return sum(engine.resent for engine in self.cluster_engines())

    def close(self) -> None:
        super().close()
        if self.cluster:
            self.cluster.close()

    def _open_local(self, model: Model) -> EngineHandle:
        path = model.path.absolute()
        wanted = WantedFile("model", path, self._fingerprint(path), measure(path))
        engine = ClusterEngine(self._load_command(model), (wanted, *self._adapters), self._concurrency, self._log)
        for node in self._nodes:
            engine.add_node(node)
        return engine

    def _add_node(self, node: NodeConnection) -> None:
        with self._lock:
            self._nodes.append(node)
            engines = self.cluster_engines()
        self._log(f"Node {node.name} joined.")
        for engine in engines:
            engine.add_node(node)

    def _remove_node(self, node: NodeConnection) -> None:
        with self._lock:
            self._nodes = [one for one in self._nodes if one is not node]
            engines = self.cluster_engines()
        for engine in engines:
            engine.remove_node(node)

    def cluster_engines(self) -> list[ClusterEngine]:
        """Those of the models that are asked on the nodes."""
        return [engine for engine in list(self._engines.values()) if isinstance(engine, ClusterEngine)]
