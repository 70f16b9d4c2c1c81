"""The llama.cpp engine holds its cores while it computes, and no longer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.cpu_budget.reservations import BATCH, INTERACTIVE, LockRegistry, Reservation
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message


def test_an_engine_claims_cores_while_it_answers(
    tiny_gguf: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    engine = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    others = LockRegistry(tmp_path / "workbench")
    assert others.others() == []
    for priority, rank in ((0, INTERACTIVE), (1, BATCH)):
        engine.submit(GenerateRequest(priority, (Message("user", "a"),), Sampling(max_tokens=40), priority=priority))
        for _ in range(3):
            engine.step()
        [claim] = others.others()
        assert claim == Reservation(claim.name, os.getpid(), rank, 1)
        assert engine.status.threads == 1 <= engine.status.cores
        while engine.busy:
            engine.step()
        assert others.others() == []
    engine.close()
    assert list((tmp_path / "workbench").iterdir()) == []
