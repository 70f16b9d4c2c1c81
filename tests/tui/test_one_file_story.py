"""From a file of 60 rows to a gate, by the keys of the screen: split, training, verdict with retention, gate."""

from __future__ import annotations

import asyncio
import json

import pytest
from conftest import settled, until
from test_first_hour import type_command
from textual.widgets import Static

from workbench.cli.app import run
from workbench.training.recipe_file import parse_stored_recipe
from workbench.training.registry import Registry, RegistryEntry
from workbench.training.verdict import Verdict
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.screens.verdict import VerdictScreen

pytestmark = pytest.mark.filterwarnings("ignore")

QUEUES = ("parcel", "refund", "login", "garden")
KEPT = "".join(f'{{"message": "{n}: {word}?", "expected": "{word}"}}\n' for n in range(6) for word in ("yes", "no"))
BENCH = """\
dataset: {path: tickets.csv}
scorers: [exact_match]
models: {mine: {path: tiny, context_tokens: 128}}
variants:
  - {name: plain, prompt: ask, model: mine, sampling: {max_tokens: 24, regex: parcel|refund|login|garden|yes|no}}
keep: [{name: yes and no, dataset: {path: keep.jsonl}, prompt: ask, scorers: [exact_match], margin: 0.5}]
"""
GATED = """\
dataset: {path: tickets.csv, split: test, auto_split: {seed: %d}}
scorers: [exact_match]
variants: [{name: plain, prompt: ask, model: desk.script.json}]
"""


@pytest.fixture
def tickets(tmp_path, monkeypatch, tiny_hf):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    work = tmp_path / "work"
    work.mkdir()
    (work / "tiny").symlink_to(tiny_hf)
    (work / "ask.prompty").write_text("user:\n{{ message }}\n")
    rows = "".join(f"{n} {n * n} {n**3} {n**4}: my {QUEUES[n % 4]} ?,{QUEUES[n % 4]}\n" for n in range(60))
    (work / "tickets.csv").write_text(f"message,expected\n{rows}")
    (work / "keep.jsonl").write_text(KEPT)
    (work / "tickets.bench.yaml").write_text(BENCH)
    monkeypatch.chdir(work)
    monkeypatch.setattr("workbench.cli.terminal.is_interactive", lambda: True)
    return work


def answer(folder, **wrong: str) -> None:
    rules = [{"contains": f"my {word} ", "reply": wrong.get(word, word)} for word in QUEUES]
    (folder / "desk.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 1000}))


async def train_and_judge() -> tuple[RegistryEntry, Verdict]:
    """By the keys of the screen."""
    app = type_command("workbench tickets.bench.yaml")
    async with app.run_test(size=(160, 45)) as pilot:
        await settled(pilot)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
        screen = pilot.app.screen
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "27 train, 9 validation, 24 test" in read(screen))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: bool(Registry().entries()))
        (made,) = Registry().entries()
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        verdict = pilot.app.screen
        await pilot.press("ctrl+r")
        await until(pilot, lambda: verdict.verdict is not None or bool(verdict.current and verdict.current.error))
        assert verdict.verdict is not None, verdict.current.error
        judged = verdict.verdict
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, VerdictScreen))
    return made, judged


def test_one_file_is_trained_on_judged_and_gated(tickets, capsys):
    made, judged = asyncio.run(train_and_judge())
    assert [(trace.role, trace.rows) for trace in made.manifest.data] == [("train", 27), ("validation", 9)]
    assert judged.cases == 24 and "cut off" not in judged.recommendation.headline
    assert not any("seen" in note for note in judged.notes), judged.notes
    (kept,) = judged.retention
    assert (kept.task, kept.cases) == ("yes and no", 12) and kept.result.outcome in ("better", "not worse", "worse")
    assert any("yes and no" in line for line in judged.recommendation.evidence)

    auto = parse_stored_recipe(made.manifest.recipe, "plain").auto_split
    (tickets / "gate.bench.yaml").write_text(GATED % auto.seed)
    answer(tickets)
    assert run(["gate", "gate.bench.yaml", "--write-baseline"], lambda *_: 0) == 0
    assert run(["gate", "gate.bench.yaml", "--margin", "0.2"], lambda *_: 0) == 0
    answer(tickets, **dict.fromkeys(("parcel", "refund"), "lost"))
    assert run(["gate", "gate.bench.yaml", "--margin", "0.2"], lambda *_: 0) == 1
    assert "worse" in capsys.readouterr().out


def read(screen) -> str:
    return " ".join(str(widget.visual) for widget in screen.query(Static))
