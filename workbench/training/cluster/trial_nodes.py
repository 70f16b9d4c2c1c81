"""Training jobs started on whichever node is free, and started again on another one where their node is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from workbench import files, yaml_document
from workbench.errors import EngineError, TrainingError, WorkbenchError
from workbench.runs.cluster.connection import MOST_COPIED_BYTES, NodeCaller, NodeLostError, prepare_file
from workbench.runs.cluster.messages import NodeReport, PackedFile, WantedFile, pack, unpack
from workbench.runs.cluster.node_files import measure
from workbench.training.cluster.node_trainer import TaskReport, TrialPage, TrialReport
from workbench.training.cluster.task_digest import digest_task
from workbench.training.events import JobEnded, JobEvent
from workbench.training.recipe import Recipe
from workbench.training.registry import Registry
from workbench.training.task import Task

TRAINERS = "workbench.training.cluster.node_trainer:NodeTrainer"
MOST_TRIES = 3
"""nodes that a trial may lose before it fails"""

_READ_SECONDS = 1.0


class TrialNode:
    """A node that trains one job at a time. base: where it has the model to train. on_lost: called once."""

    def __init__(self, call: NodeCaller, name: str, on_lost: Callable[[TrialNode], None]) -> None:
        self.name = name
        self.call = call
        self.report = unpack(call("describe"), NodeReport)
        self.base = Path()
        self._on_lost = on_lost

    def lose(self) -> None:
        """Say that it is lost."""
        self._on_lost(self)

    def close(self) -> None:
        """Nothing of it is held here."""


class TrialNodes:
    """See the module. task: of the recipe that trials are made of."""

    def __init__(self, task: Task, fingerprint: Callable[[Path], str], log: Callable[[str], None]) -> None:
        self._recipe = task.recipe
        self._folder = task.folder.absolute()
        path = task.base.path.absolute()
        self._base = WantedFile("model", path, fingerprint(path), measure(path))
        self._digests = digest_task(task, fingerprint)
        self._log = log
        self._changed = threading.Condition()
        self._free: list[TrialNode] = []
        self._cancelled = False

    def add_node(self, node: TrialNode) -> None:
        """Use a node that has come, where it has the same data; from any thread."""
        try:
            node.base = prepare_file(node.call, node.name, self._base)
            self._check(node)
        except NodeLostError:
            node.lose()
        except WorkbenchError as error:
            self._log(f"Node {node.name} is not used: {error.message} {error.hint}".strip())
        else:
            self._log(f"Node {node.name} joined.")
            self.release(node)

    def remove_node(self, node: TrialNode) -> None:
        """Forget a node that is lost."""
        with self._changed:
            self._free = [one for one in self._free if one is not node]

    def start(self, recipe: Recipe, folder: Path) -> ClusterTrial:
        """Start a trial on a node, as soon as one is free. Raises TrainingError when the sweep is cancelled before."""
        return ClusterTrial(self, recipe)

    def cancel(self) -> None:
        """Wait for no node any more."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def acquire(self) -> TrialNode:
        """A free node, as soon as there is one. Raises TrainingError when the sweep is cancelled before."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._cancelled)
            if self._cancelled:
                raise TrainingError("It was stopped.", "Run the sweep again.")
            return self._free.pop(0)

    def release(self, node: TrialNode) -> None:
        """Let another trial have the node."""
        with self._changed:
            self._free.append(node)
            self._changed.notify()

    def begin(self, node: TrialNode, recipe: Recipe) -> Path:
        """Start a job on a node; its folder there. Raises TrainingError, and NodeLostError."""
        text = self._encode(node, recipe)
        found = unpack(node.call("start", text, pack(self._folder)), TrialReport)
        if found.problem:
            raise TrainingError(f"Node {node.name} could not start the trial: {found.problem}", "Run the sweep again.")
        return found.folder

    def log(self, text: str) -> None:
        self._log(text)

    def _check(self, node: TrialNode) -> None:
        """Raise EngineError where a trial on the node would train something else."""
        found = unpack(node.call("check", self._encode(node, self._recipe), pack(self._folder)), TaskReport)
        if found.problem:
            raise EngineError(
                f"the recipe cannot be opened there: {found.problem}",
                f"Its files must be at the same paths on every node, from {self._folder} on.",
            )
        other = [name for name, digest in self._digests.items() if found.digests.get(name) != digest]
        if other:
            raise EngineError(f"it has other data: {', '.join(other)}.", "Copy the recipe's files to it once more.")

    def _encode(self, node: TrialNode, recipe: Recipe) -> bytes:
        """The recipe with the base where the node has it."""
        same = node.base == self._base.path
        return yaml_document.encode(recipe if same else msgspec.structs.replace(recipe, base=str(node.base))).encode()


class ClusterTrial:
    """A trial on a node, as a sweep follows it (TrialJob)."""

    def __init__(self, nodes: TrialNodes, recipe: Recipe) -> None:
        self._nodes = nodes
        self._recipe = recipe
        self._stopped = False
        self._node = nodes.acquire()
        self._folder: Path | None = None
        self._lost = 0
        self._begin()

    @property
    def id(self) -> str:
        """The job's folder with its node."""
        return f"{self._folder.name if self._folder else ''} on {self._node.name}"

    def is_alive(self) -> bool:
        return not self._stopped

    def stop(self, keep: bool = True) -> None:
        """Stop it after the current update; there is no adapter then."""
        self._stopped = True
        if self._folder:
            try:
                self._node.call("stop", pack(self._folder))
            except NodeLostError:
                return  # whoever follows it notices

    def events(self) -> Iterator[JobEvent]:
        """What happens until it is over; from its beginning again where its node is lost."""
        while True:
            try:
                yield from self._follow()
            except NodeLostError as error:
                self._replace_node(error)
                self._begin()
            except GeneratorExit:
                self._nodes.release(self._node)
                raise
            else:
                self._nodes.release(self._node)
                return

    def _begin(self) -> None:
        """Start it on its node, or where that is lost, on another one. Raises TrainingError."""
        while True:
            try:
                self._folder = self._nodes.begin(self._node, self._recipe)
                return
            except NodeLostError as error:
                self._replace_node(error)
            except TrainingError:
                self._nodes.release(self._node)
                raise

    def _replace_node(self, error: NodeLostError) -> None:
        """Take another node for the one that is lost. Raises TrainingError where it may have none."""
        self._node.lose()
        self._lost += 1
        if self._stopped or self._lost == MOST_TRIES:
            raise TrainingError(f"Node {self._node.name} was lost: {error}.", "Run the sweep again.") from error
        self._nodes.log(f"{self._recipe.name}: node {self._node.name} was lost; it begins again on another one.")
        self._node = self._nodes.acquire()

    def _follow(self) -> Iterator[JobEvent]:
        job, offset, alive = pack(self._folder), 0, True
        while alive:
            page = unpack(self._node.call("read", job, offset, _READ_SECONDS), TrialPage)
            for event in page.events:
                yield self._fetch(event) if isinstance(event, JobEnded) and event.adapter else event
            offset, alive = page.offset, page.alive

    def _fetch(self, ended: JobEnded) -> JobEnded:
        """The end with the adapter on this machine, where it was on the node alone; without it where it is large."""
        here = Path(ended.adapter)
        if here.is_dir():  # a folder that both see
            return ended
        packed = unpack(self._node.call("fetch", pack(here)), list[PackedFile])
        if not packed or sum(len(one.content) for one in packed) > MOST_COPIED_BYTES:
            self._nodes.log(f"The adapter of {self._recipe.name} stays on node {self._node.name}: {here}")
            return msgspec.structs.replace(ended, adapter="")
        folder = Registry().folder / here.name
        files.make_folder(folder)
        for one in packed:
            (folder / Path(one.name).name).write_bytes(one.content)
        return msgspec.structs.replace(ended, adapter=str(folder))
