"""Ray: cells of a scripted model with a fixed latency, on one node and on two: how much faster are two."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from workbench.datasets import Case
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import CellFinished
from workbench.runs.cluster.pool import ClusterPool
from workbench.runs.cluster.ray_cluster import RayCluster
from workbench.runs.run import Evaluation, RunOptions, Sources
from workbench.settings import Settings
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store

CELLS, CONCURRENCY = 400, 8
FIRST_TOKEN_SECONDS = 0.25
_AIM = "at least 0.9"


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    if importlib.util.find_spec("ray") is None:
        return [("Ray: two nodes against one", "left out: Ray is not installed", _AIM)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            seconds = []
            for nodes in (1, 2):
                cluster.add_node(num_cpus=1)
                seconds.append(_run(Path(folder) / str(nodes), cluster.address, nodes))
        finally:
            cluster.shutdown()
    efficiency = seconds[0] / (2 * seconds[1])
    figure = f"{efficiency:.2f} ({CELLS / seconds[0]:.0f} and {CELLS / seconds[1]:.0f} cells/s)"
    return [(f"Ray: two nodes against one, {CELLS} cells of {FIRST_TOKEN_SECONDS} s", figure, _AIM)]


def _run(folder: Path, address: str, nodes: int) -> float:
    """Seconds for all cells, once every node has its model."""
    folder.mkdir()
    script = folder / "desk.script.json"
    rules = [{"reply": "Lantern"}]
    timing = {"pace": "real", "first_token_seconds": FIRST_TOKEN_SECONDS, "tokens_per_second": 1000}
    script.write_text(json.dumps({"rules": rules, **timing}))
    model = Model("desk", script, "scripted")
    cases = tuple(Case(n, {"message": f"message {n}"}, "Lantern", n) for n in range(1, CELLS + 1))
    bench = Bench((Variant("A", "plain", "desk"),))
    sources = Sources(lambda _: Prompt("plain", "user:\n{{ message }}\n"), lambda _: model)
    store = Store(folder / "workbench.sqlite")
    known = partial(fingerprint, store)
    pool = ClusterPool(Settings(), partial(RayCluster, address), known, CONCURRENCY, lambda _: None)
    try:
        options = RunOptions(concurrency=CONCURRENCY)
        evaluation = Evaluation(bench, folder / "demo.bench.yaml", cases, pool, sources, store, options)
        pool.open(evaluation.plan().memory_bytes, [model], [])
        pool.load(model).result()
        (engine,) = pool.cluster_engines()
        while engine.ready_nodes < nodes:
            time.sleep(0.05)
        began = time.perf_counter()
        finished = sum(isinstance(event, CellFinished) for event in evaluation.events())
        assert finished == CELLS
        return time.perf_counter() - began
    finally:
        pool.close()
        store.close()
