from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.runs.cluster.nodes import LocalCluster
from tests.runs.evaluating import Desk, bench, carry_out
from workbench.datasets import Case
from workbench.runs.bench import Variant
from workbench.runs.cell import CellFinished
from workbench.runs.cluster.engine import MOST_TRIES
from workbench.runs.cluster.pool import ClusterPool
from workbench.runs.progress import RunProgress
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.fingerprints import fingerprint


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens on other threads."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        os.sched_yield()


class ClusterDesk:
    """A bench over scripted models on the nodes of a cluster."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.desk = Desk(folder)
        self.logged: list[str] = []
        self.pools: list[ClusterPool] = []
        self.cluster: LocalCluster

    def evaluation(self, nodes: int, cases, of=None, concurrency: int = 4, run: str = "", **options) -> Evaluation:
        self.cluster = LocalCluster(self.folder / f"cluster{len(self.pools)}", nodes)
        known = partial(fingerprint, self.desk.store)
        pool = ClusterPool(Settings(), self.cluster.start, known, concurrency, self.logged.append)
        self.pools.append(pool)
        wanted = RunOptions(concurrency=concurrency, **options)
        found = (
            Evaluation.resume(run, pool, self.desk.sources, self.desk.store, wanted)
            if run
            else self.desk.evaluation(of or bench(), cases, wanted, pool)
        )
        own = found.provenances
        pool.open(found.plan().memory_bytes, [one.base for one in own], [a for one in own for a in one.adapters])
        return found

    def wait_until_loaded(self) -> None:
        """Load the model on every node."""
        pool = self.pools[-1]
        pool.load(self.desk.models["desk"]).result()
        (engine,) = pool.cluster_engines()
        until(lambda: engine.ready_nodes == len(self.cluster.nodes))

    def close(self) -> None:
        for pool in self.pools:
            pool.close()
        self.desk.close()


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    desk = ClusterDesk(tmp_path)
    yield desk
    desk.close()


def make_cases(count: int) -> tuple[Case, ...]:
    return tuple(
        Case(number, {"message": f"message {number}"}, f"label{number}", number) for number in range(1, count + 1)
    )


def read_texts(view: RunView) -> dict[tuple[str, int], str]:
    return {(cell.variant, cell.case): cell.completion.text or cell.error for cell in view.cells()}


def test_a_run_on_a_cluster_gives_what_a_run_on_one_machine_does(desk):
    cells = carry_out(desk.evaluation(2, make_cases(30)))
    assert len(cells) == 60
    assert not any(cell.error for cell in cells)
    carry_out(desk.desk.evaluation(bench(), make_cases(30), RunOptions(cache=False)))
    assert read_texts(RunView(desk.desk.store, "last")) == read_texts(RunView(desk.desk.store, "last~1"))


def test_nodes_have_the_same_number_of_requests_and_no_more_than_they_may(desk):
    """Two nodes that answer equally fast so take half the time of one."""
    evaluation = desk.evaluation(2, make_cases(60), concurrency=4)
    desk.wait_until_loaded()
    nodes = desk.cluster.nodes
    for node in nodes:
        node.silence()
    looks = 0
    for event in evaluation.events():
        looks += isinstance(event, RunProgress)
        if nodes[0].silent.is_set() and looks >= 4 and sum(node.requests for node in nodes) >= 8:
            assert [node.requests for node in nodes] == [4, 4]
            for node in nodes:
                node.silent.clear()
    assert looks >= 4
    assert sum(node.requests for node in nodes) == 120


def test_a_killed_node_loses_no_cell_and_none_is_there_twice(desk):
    evaluation = desk.evaluation(3, make_cases(300))
    finished = Counter()
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            finished[event.cell.variant, event.cell.case] += 1
            assert not event.cell.error
            assert event.cell.completion.text == f"label{event.cell.case}"
            if sum(finished.values()) == 200:
                desk.cluster.nodes[1].kill()
    assert len(finished) == 600
    assert set(finished.values()) == {1}
    view = RunView(desk.desk.store, "last")
    assert (view.state, view.run.done, view.run.failed) == ("finished", 600, 0)


def test_cells_of_a_node_that_is_killed_while_it_answers_are_put_back(desk):
    evaluation = desk.evaluation(2, make_cases(60))
    desk.wait_until_loaded()
    finished = 0
    for event in evaluation.events():
        finished += isinstance(event, CellFinished)
        first = desk.cluster.nodes[0]
        if finished and first.calls.count("send") >= 2:  # it has loaded the model, and was asked something
            first.silent.set()
        if finished >= 100:
            first.kill()
    view = RunView(desk.desk.store, "last")
    assert (view.run.done, view.run.failed) == (120, 0)
    assert 1 <= desk.pools[0].resent <= 4  # the requests that a node has at most


def test_a_run_waits_while_no_node_is_left_and_goes_on_with_one_that_joins(desk):
    evaluation = desk.evaluation(1, make_cases(100))
    waited = ""
    finished = 0
    for event in evaluation.events():
        finished += isinstance(event, CellFinished)
        if finished == 20 and desk.cluster.nodes[0].calls[-1] != "killed":
            desk.cluster.nodes[0].kill()
            desk.cluster.nodes[0].calls.append("killed")
        if isinstance(event, RunProgress) and event.problem and not waited:
            waited = event.problem
            assert event.state == "waiting"
            desk.cluster.join()
    assert "No node of the cluster can run desk now" in waited
    assert RunView(desk.desk.store, "last").run.done == 200


def test_a_run_on_a_cluster_is_paused_cancelled_and_resumed(desk):
    evaluation = desk.evaluation(2, make_cases(100))
    events = evaluation.events()
    finished = 0
    for event in events:
        finished += isinstance(event, CellFinished)
        if finished == 10:
            evaluation.pause()
        if isinstance(event, RunProgress) and event.state == "paused":
            break
    evaluation.unpause()
    for event in events:
        finished += isinstance(event, CellFinished)
        if finished >= 40:
            evaluation.cancel()
    view = RunView(desk.desk.store, "last")
    assert view.state == "stopped"
    assert 40 <= view.run.done < 200
    more = carry_out(desk.evaluation(2, (), run=view.id))
    assert len(more) + finished == 200
    assert (view.state, view.run.done, view.run.failed) == ("finished", 200, 0)


def test_an_answer_that_fails_by_itself_is_not_tried_elsewhere(desk):
    desk.desk.model("desk", rules=[{"contains": "message 7", "reply": "x y", "fail_after": 1, "failure": "It fell."}])
    cells = carry_out(desk.evaluation(2, make_cases(10)))
    assert [(cell.case, cell.error) for cell in cells if cell.error] == [(7, "It fell.")] * 2
    assert desk.pools[0].resent == 0


def test_a_request_that_loses_every_node_it_is_given_to_fails_in_the_end(desk):
    desk.desk.model("desk", rules=[{"contains": "message 1", "hold": "running"}])
    evaluation = desk.evaluation(1, make_cases(1), of=bench(Variant("A", "plain", "desk")))
    killed = 0
    cells = []
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            cells.append(event.cell)
        node = desk.cluster.nodes[-1]
        if isinstance(event, RunProgress) and node.calls.count("send") >= 2 and killed < MOST_TRIES:
            killed += 1
            node.kill()
            desk.cluster.join()
    assert killed == MOST_TRIES
    (cell,) = cells
    assert "was lost with node" in cell.error


def test_a_model_that_no_node_can_load_is_said_once_for_all_cells(desk):
    desk.desk.model("desk", load="fails")
    cells = carry_out(desk.evaluation(2, make_cases(5)))
    assert len({cell.error for cell in cells}) == 1
    assert "says that loading fails" in cells[0].error
    assert any("is not used for desk" in line for line in desk.logged)


def test_likelihoods_are_asked_of_the_nodes_too(desk):
    cells = carry_out(desk.evaluation(2, make_cases(6), of=bench(scorers=("log_likelihood",))))
    assert len(cells) == 12
    assert all(score.applies and score.value < 0 for cell in cells for score in cell.scores)


def test_what_the_models_take_is_declared_to_the_cluster(desk):
    desk.evaluation(1, make_cases(2))
    assert (desk.cluster.memory, desk.cluster.computes) == (0, False)  # scripted models take and compute nothing
