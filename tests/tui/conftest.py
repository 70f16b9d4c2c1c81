"""The app on a scripted model: a bench of four variants in a folder of its own, nothing of it timed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from workbench.inference.pool import Pool
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.screens.bench import BenchScreen

SCRIPT = {
    "rules": [
        {"contains": "parcel", "adapter": "routes", "reply": "Lantern {adapters}"},
        {"contains": "endless", "endless": True, "reply": "on and on ", "tokens_per_second": 4},  # 256 take a minute
        {"contains": "hold", "hold": "running"},
        {"contains": "fail", "reply": "half an", "fail_after": 1, "failure": "The engine ran out of ink."},
        {"regex": "(?s)parcel.*Queues:", "where": "prompt", "reply": "Lantern"},
        {"contains": "parcel", "reply": ["Refunds", "Letters"]},
        {"contains": "charged", "reply": "Abacus", "thinking": "Money was taken."},
        {"reply": "I do not know."},
    ],
    "context_tokens": 1024,
}
PLAIN = "---\nname: plain\n# a comment that stays\n---\nsystem:\nRoute the message.\n\nuser:\n{{ message }}\n"
LISTED = (
    "---\nname: listed\nmetadata:\n  workbench:\n    examples: examples.jsonl\n    placement: inline\n---\nsystem:\n"
    "{% for e in examples %}{{ e.message }} -> {{ e.answer }}\n{% endfor %}\n"
    "user:\n{{ message }}\nQueues: Lantern, Abacus\n"
)
EXAMPLES = [
    {"id": "e1", "message": "Where is my parcel?", "answer": "Lantern"},
    {"id": "e2", "message": "I was charged twice.", "answer": "Abacus"},
    {"id": "e3", "message": "The lamp is cracked and the box was wet through.", "answer": "Harbour"},
]
CASES = [
    {"message": "The parcel never came.", "expected": "Lantern"},
    {"message": "You charged my card two times.", "expected": "Abacus"},
    {"message": "Good morning.", "expected": "Meadow"},
]
BENCH = """\
# what we compare
dataset:
  path: cases.jsonl
variants:
  - name: plain
    prompt: queues/plain
    model: desk.script.json
  - name: listed
    prompt: queues/listed
    model: desk.script.json
  - name: bare
    prompt: queues/listed
    model: desk.script.json
    examples_off: [e1, e2, e3]
  - name: warm
    prompt: queues/plain
    model: desk.script.json
    sampling:
      temperature: 1.0
      seed: 3
"""

Wait = Callable[[Pilot[None], Callable[[], bool]], Awaitable[None]]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the app work until a condition holds and the screen on top has its widgets; fails when it never does."""
    for poll in range(3000):
        if condition() and (not pilot.app.screen_stack or pilot.app.screen.is_mounted):
            return
        # each pause sends a message to every widget: in a long wait for a process, that takes the processor from it
        await pilot.pause(0.005 if poll < 200 else 0.05)
    raise AssertionError(f"never came true: {condition}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a bench, two prompts, three cases and a scripted model."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    (project / "queues").mkdir(parents=True)
    (project / "queues/plain.prompty").write_text(PLAIN)
    (project / "queues/listed.prompty").write_text(LISTED)
    (project / "queues/examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in EXAMPLES))
    (project / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CASES))
    (project / "desk.script.json").write_text(json.dumps(SCRIPT))
    (project / "demo.bench.yaml").write_text(BENCH)
    return project


@pytest.fixture
def make_app(folder: Path):
    """Make an app on the project's bench; its engines are closed afterwards."""
    apps: list[WorkbenchApp] = []
    pools: list[Pool] = []

    def make(settings: Settings = Settings(live_delay_ms=1), bench: str = "demo.bench.yaml") -> WorkbenchApp:
        pools.append(Pool())
        app = WorkbenchApp(settings, lambda: AppState(Session(folder / bench, settings), pools[-1], (), complete=True))
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close_engines()
    for pool in pools:
        pool.close()


@pytest.fixture
def app(make_app) -> WorkbenchApp:
    return make_app()


def bench_of(app: WorkbenchApp) -> BenchScreen:
    screen = app.bench_screen
    assert screen is not None
    return screen


async def settled(pilot: Pilot[None]) -> BenchScreen:
    """The bench screen once every pane has its answer and its scores."""
    await until(pilot, lambda: pilot.app.bench_screen is not None and bool(pilot.app.bench_screen.panes))
    screen = bench_of(pilot.app)
    await until(
        pilot,
        lambda: all(
            (pane.state == "done" and bool(pane.scores)) or pane.state in ("failed", "cancelled")
            for pane in screen.panes
        ),
    )
    return screen
