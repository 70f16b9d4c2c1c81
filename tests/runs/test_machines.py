"""Models on this machine take turns; those on others run beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.evaluating import Desk, bench
from workbench.endpoint import is_loopback, make_endpoint
from workbench.models.reference import Model
from workbench.runs.bench import Variant
from workbench.runs.cell import CellFinished, CellStarted
from workbench.runs.run import RunOptions
from workbench.runs.work_queue import WorkQueue, group_by_machine


def queue(name: str, *urls: str) -> WorkQueue:
    model = Model(name, format="remote", remote=make_endpoint(urls)) if urls else Model(name, Path("x.gguf"))
    return WorkQueue(model, [], name)


def test_servers_on_this_machine_take_turns_with_its_models() -> None:
    queues = [
        queue("local"),
        queue("far", "http://gpu.test:8000"),
        queue("near", "http://127.0.0.1:8080"),
        queue("fleet", "http://gpu.test:8001", "http://gpu.test:8002"),
    ]
    assert [[one.name for one in group] for group in group_by_machine(queues)] == [
        ["local", "near"],
        ["far"],
        ["fleet"],
    ]
    assert [one.addresses for one in queues] == [1, 1, 1, 2]


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://127.1.2.3:8", "http://[::1]:9"])
def test_addresses_of_this_machine(url: str) -> None:
    assert is_loopback(url)
    assert not is_loopback(url.replace("localhost", "gpu").replace("127.", "10.").replace("::1", "::2"))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_another_machines_cells_start_before_this_ones_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    desk = Desk(tmp_path)
    desk.model("gpu")
    monkeypatch.setattr(WorkQueue, "is_elsewhere", property(lambda own: elsewhere and own.name == "gpu"))
    events = list(
        desk.evaluation(
            bench(Variant("A", "plain", "desk"), Variant("B", "plain", "gpu")), options=RunOptions(concurrency=1)
        ).events()
    )
    desk.close()
    order = [event.variant for event in events if isinstance(event, CellStarted)]
    finished = [event.cell for event in events if isinstance(event, CellFinished)]
    assert order == (["A"] * 5 + ["B"] * 5 if not elsewhere else order)
    assert (order.index("B") < 5) is elsewhere
    assert {(cell.variant, cell.case) for cell in finished} == {(name, case) for name in "AB" for case in range(1, 6)}
    assert not any(cell.error for cell in finished)
