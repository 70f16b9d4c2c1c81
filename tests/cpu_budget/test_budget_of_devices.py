"""A process whose model is computed on devices takes no core from those that compute on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cpu_budget.budget import CpuBudget
from workbench.cpu_budget.reservations import LockRegistry


def test_it_reserves_nothing_and_nothing_slows_it_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    busy = CpuBudget.open()
    busy.begin()
    on_devices = CpuBudget.none()
    on_devices.begin(interactive=True)
    for _ in range(20):
        assert on_devices.threads() == 1
        on_devices.record("decode", 10.0)
    assert on_devices.granted == 0
    watcher = LockRegistry(tmp_path / "workbench")
    assert [one.most for one in watcher.others()] == [busy.cores], "the other process has all cores to itself"
    on_devices.end()
    on_devices.close()
    busy.close()
