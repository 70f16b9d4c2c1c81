"""Keystroke: from a key in the prompt to the first token of the chosen pane, against the engine alone.

Four panes share a prompt with 80 examples, which stand after the text that is edited, so that every key makes
the engine read all of them again. The app waits for a quarter of a second without a key before it asks; the ratio
leaves that out.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from textual.pilot import Pilot

from tests.benchmarks.shapes import SMALL, write_shape
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk
from workbench.prompting.prompt import Message
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.screens.bench import BenchScreen
from workbench.tui.widgets.prompt_editor import PromptEditor

PANES, EXAMPLES, ROUNDS = 4, 80, 5
PATIENCE = 120.0
LOOK_SECONDS = 0.001


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        _write_project(Path(folder))
        pairs = asyncio.run(_drive(Path(folder) / "b.bench.yaml"))
    ratio = statistics.median(mine / alone for mine, alone in pairs)
    mine, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    times = f"{mine * 1000:.0f} ms / {alone * 1000:.0f} ms, {ROUNDS} pairs"
    return [
        ("key to first token, 4 panes, 80 examples / engine alone", f"{ratio:.2f}  ({times})", "at most 1.3"),
    ]


def _write_project(folder: Path) -> None:
    model = write_shape(SMALL)
    examples = (
        json.dumps(
            {"id": f"e{index}", "message": f"Message {index} of a customer who waits.", "answer": f"queue {index}"}
        )
        for index in range(EXAMPLES)
    )
    (folder / "examples.jsonl").write_text("\n".join(examples) + "\n")
    kept = "metadata:\n  workbench:\n    examples: examples.jsonl\n    placement: turns\n    mode: chat\n"
    front = f"name: p\n{kept}inputs:\n  - name: message\n    kind: string\n    default: go\n"
    (folder / "p.prompty").write_text(f"---\n{front}---\nsystem:\nRoute it.\n\nuser:\n{{{{ message }}}}\n")
    variants = "".join(
        f"  - name: v{index}\n    prompt: p\n    model: {model}\n    sampling: {{max_tokens: 4, temperature: 0}}\n"
        for index in range(PANES)
    )
    (folder / "b.bench.yaml").write_text(f"inputs: {{message: go}}\nvariants:\n{variants}")


async def _drive(bench: Path) -> list[tuple[float, float]]:
    settings, pool = Settings(), Pool()
    session = Session(bench, settings)
    app = WorkbenchApp(settings, lambda: AppState(session, pool, (), complete=True))
    async with app.run_test(size=(160, 45)) as pilot:
        await _until(lambda: app.bench_screen is not None and _idle(app.bench_screen))
        screen = app.bench_screen
        assert screen is not None
        editor = screen.query_one(PromptEditor)
        editor.focus()
        editor.move_cursor((1, 0))
        letters = "abcdefgh"[:ROUNDS]
        pairs = [(await _type(pilot, screen, one), await _ask(pool, screen, one.upper())) for one in letters]
    app.close_engines()
    return pairs


async def _type(pilot: Pilot[None], screen: BenchScreen, letter: str) -> float:
    """Seconds from a key to the chosen pane's first token, without the quiet that the app waits for."""
    pane, started = screen.controller.chosen_pane, time.perf_counter()
    await pilot.press(letter)
    await _until(lambda: pane.state != "done")
    await _until(lambda: bool(pane.chunks))
    seconds = time.perf_counter() - started - screen.session.settings.live_delay_ms / 1000
    await _until(lambda: _idle(screen))
    return seconds


async def _ask(pool: Pool, screen: BenchScreen, letter: str) -> float:
    """Seconds to the first token of the same prompt, changed at the same place, asked of the engine alone."""
    spec = screen.controller.runner.shown(screen.controller.chosen_pane)
    assert spec is not None
    request = spec.request()
    assert request.prompt is not None
    first, *others = request.prompt.messages
    changed = Message(first.role, letter + first.content)
    request = msgspec.structs.replace(request, prompt=None, messages=(changed, *others))
    started, found = time.perf_counter(), 0.0
    async for event in pool.client(spec.model).generate(request):
        if isinstance(event, Chunk) and not found:
            found = time.perf_counter() - started
    return found


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(LOOK_SECONDS)


def _idle(screen: BenchScreen) -> bool:
    return bool(screen.panes) and all(pane.state == "done" for pane in screen.panes)
