"""Runs on a real Ray cluster of several nodes on this machine."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from functools import partial

import pytest

from tests.runs.evaluating import Desk, bench
from workbench.cli.app import run as run_command
from workbench.datasets import Case
from workbench.runs.cell import CellFinished
from workbench.runs.cluster.pool import ClusterPool
from workbench.runs.cluster.ray_cluster import RayCluster
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.fingerprints import fingerprint

pytest.importorskip("ray", reason="Ray is an optional extra")
pytestmark = pytest.mark.filterwarnings("default")  # what Ray warns of is its own affair

CELLS = 10_000


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory):
    """A head that answers nothing, and two nodes."""
    from ray.cluster_utils import Cluster

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            cluster.add_node(num_cpus=2)
        yield cluster
        cluster.shutdown()


class RayDesk(Desk):
    """Scripted models, asked on the nodes of a cluster."""

    def __init__(self, folder, address: str) -> None:
        super().__init__(folder)
        self.address = address
        self.logged: list[str] = []

    def on_cluster(self, of, cases, concurrency: int = 32) -> Evaluation:
        known = partial(fingerprint, self.store)
        start = partial(RayCluster, self.address)
        pool = ClusterPool(Settings(), start, known, concurrency, self.logged.append)
        self.pools.append(pool)
        found = self.evaluation(of, cases, RunOptions(concurrency=concurrency), pool)
        pool.open(found.plan().memory_bytes, [one.base for one in found.provenances], [])
        return found


@pytest.fixture
def desk(tmp_path, ray_cluster):
    desk = RayDesk(tmp_path, ray_cluster.address)
    yield desk
    desk.close()


def test_ten_thousand_cells_are_answered_once_each_though_a_node_is_killed(desk, ray_cluster):
    cases = tuple(Case(n, {"message": f"message {n}"}, f"label{n}", n) for n in range(1, CELLS // 2 + 1))
    victim = ray_cluster.add_node(num_cpus=2)
    evaluation = desk.on_cluster(bench(), cases)
    found: Counter[tuple[str, int]] = Counter()
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            found[event.cell.variant, event.cell.case] += 1
            assert not event.cell.error
            assert event.cell.completion.text == f"label{event.cell.case}"
            if found.total() == CELLS // 4:
                ray_cluster.remove_node(victim, allow_graceful=False)
    assert len(found) == CELLS
    assert set(found.values()) == {1}
    view = RunView(desk.store, "last")
    assert (view.state, view.run.done, view.run.failed) == ("finished", CELLS, 0)
    assert sum("joined" in line for line in desk.logged) >= 3
    assert any("connection was lost" in line for line in desk.logged)


def test_a_run_goes_on_when_the_connection_to_the_cluster_was_lost(desk):
    cases = tuple(Case(n, {"message": f"message {n}"}, f"label{n}", n) for n in range(1, 501))
    evaluation = desk.on_cluster(bench(), cases, concurrency=4)
    (pool,) = desk.pools
    first = killed = pool.cluster.pid
    finished = 0
    for event in evaluation.events():
        finished += isinstance(event, CellFinished)
        if finished == 100 and killed:
            os.kill(killed, signal.SIGKILL)
            killed = 0
    assert finished == 1000
    view = RunView(desk.store, "last")
    assert (view.state, view.run.done, view.run.failed) == ("finished", 1000, 0)
    assert pool.cluster.pid != first
    assert any("connection to the Ray cluster was lost" in line for line in desk.logged)


def write_bench(folder, cases: int) -> None:
    (folder / "ask.prompty").write_text("user:\n{{ message }}\n")
    (folder / "desk.script.json").write_text(json.dumps({"rules": [{"reply": "Lantern"}], "context_tokens": 1000}))
    rows = [json.dumps({"message": f"message {n}", "expected": "Lantern"}) for n in range(cases)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "my.bench.yaml").write_text(
        "variants:\n  - {name: plain, prompt: ask, model: desk.script.json}\n"
        "dataset: {path: rows.jsonl}\nscorers: [exact_match]\n"
    )


def test_the_command_prints_results_alone_on_stdout(tmp_path, ray_cluster, monkeypatch, capsys):
    write_bench(tmp_path, 20)
    monkeypatch.chdir(tmp_path)
    code = run_command(["eval", "my.bench.yaml", "--ray", ray_cluster.address, "--json"], lambda *_: 0)
    out, err = capsys.readouterr()
    assert code == 0, err
    assert json.loads(out)["variants"][0]["scores"]["exact_match"]["value"] == 1.0
    assert "joined" in err


def test_no_cluster_is_said_in_a_sentence(tmp_path, monkeypatch, capsys):
    write_bench(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    assert run_command(["eval", "my.bench.yaml", "--ray", "127.0.0.1:1"], lambda *_: 0) == 1
    err = capsys.readouterr().err
    assert "No Ray cluster answers at 127.0.0.1:1" in err
    assert "ray start --head" in err
