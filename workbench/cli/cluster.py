"""`--ray` of `workbench eval` and `workbench sweep`: models and training jobs on the nodes of a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from workbench.cli import terminal

if TYPE_CHECKING:
    from workbench.cli.services import Services
    from workbench.runs.cluster.pool import ClusterPool
    from workbench.runs.run import Evaluation
    from workbench.training.search_space import SearchSpace
    from workbench.training.sweep import Ranking
    from workbench.training.task import Task


@contextlib.contextmanager
def open_cluster_pool(
    services: Services, address: str, concurrency: int, log: Callable[[str], None]
) -> Iterator[ClusterPool]:
    """A pool over the cluster's nodes, which `begin` connects to. concurrency: requests in flight on a node."""
    from functools import partial

    from workbench.runs.cluster.pool import ClusterPool
    from workbench.runs.cluster.ray_cluster import RayCluster
    from workbench.store.fingerprints import fingerprint

    known = partial(fingerprint, services.store)
    with contextlib.closing(
        ClusterPool(services.settings, partial(RayCluster, address), known, concurrency, log)
    ) as pool:
        yield pool


def begin(pool: ClusterPool, evaluation: Evaluation) -> None:
    """Connect to the cluster for a run. Raises EngineError where there is none, or none with room for its models."""
    found = evaluation.provenances
    models = [own.base for own in found]
    pool.open(evaluation.plan().memory_bytes, models, [one for own in found for one in own.adapters])


def run_sweep(address: str, task: Task, study: str, space: SearchSpace, trials: int, minutes: float | None) -> Ranking:
    """Run trials on the nodes of a cluster, one at a time on each; ctrl+c stops those under way and keeps the others.

    Raises EngineError where there is no cluster.
    """
    import signal
    from functools import partial

    from workbench.cli.services import open_store
    from workbench.runs.cluster.ray_cluster import RayCluster
    from workbench.store.fingerprints import fingerprint
    from workbench.training.cluster.trial_nodes import TRAINERS, TrialNode, TrialNodes
    from workbench.training.sweep import Sweep

    with open_store() as store:
        nodes = TrialNodes(task, partial(fingerprint, store), terminal.log)
        joined, lost = nodes.add_node, nodes.remove_node
        cluster = RayCluster(address, 0, True, joined, lost, terminal.log, part=TRAINERS, connect=TrialNode)
        with contextlib.closing(cluster):
            sweep = Sweep(task.recipe, task.folder, study, space, start=nodes.start, parallel=max(1, cluster.width))
            stopped = False

            def stop(*_: object) -> None:
                nonlocal stopped
                stopped = True
                nodes.cancel()
                sweep.cancel()

            before = signal.signal(signal.SIGINT, stop)
            try:
                ranking = sweep.run(trials, terminal.log, minutes)
            finally:
                signal.signal(signal.SIGINT, before)
    if stopped:
        raise KeyboardInterrupt
    return ranking
