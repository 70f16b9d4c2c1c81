"""Matrix screen: how late the event loop is while 100,000 cells come in, and while a person scrolls through them.

Run as a module with a folder, it is the measured app itself; `measure` starts that in a terminal and reads its report.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.terminal import MeasuredTerminal
from workbench.inference.pool import Pool
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.screens.matrix import MatrixScreen

CASES, VARIANTS = 20_000, 5
TICK_SECONDS = 0.005
KEYS = ("pagedown", "down", "down", "end", "pageup", "up", "right", "home")
SCROLLS = 400


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        _write_project(Path(folder))
        os.environ["WORKBENCH_HOME"] = folder
        terminal = MeasuredTerminal([sys.executable, "-m", "tests.benchmarks.matrix_screen", folder])
        try:
            if terminal.wait_for_end(420) != 0 or not (Path(folder) / "report.json").exists():
                raise RuntimeError(terminal.seen[-2000:].decode(errors="replace"))
        finally:
            terminal.close()
        report = json.loads((Path(folder) / "report.json").read_text())
    return [
        (f"event-loop lag p95, {CASES * VARIANTS:,} cells coming in", _tell(report["running"]), "under 50 ms"),
        (f"event-loop lag p95, scrolling through {CASES:,} rows", _tell(report["scrolling"]), "under 50 ms"),
    ]


def _tell(lags: dict[str, float]) -> str:
    return f"{lags['p95']:.1f} ms  (median {lags['p50']:.1f}, worst {lags['max']:.0f} ms)"


def _write_project(folder: Path) -> None:
    rows = (
        {"message": f"This is message number {number}", "expected": f"label {number % 10}"}
        for number in range(1, CASES + 1)
    )
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    script = {"rules": [{"regex": r"number \d*(?P<n>\d)", "reply": "label {n}"}]}
    (folder / "m.script.json").write_text(json.dumps(script))
    for number in range(VARIANTS):
        (folder / f"p{number}.prompty").write_text(f"---\nname: p{number}\n---\nuser:\nHere is {{{{ message }}}}\n")
    variants = "".join(
        f"  - name: v{number}\n    prompt: p{number}\n    model: m.script.json\n" for number in range(VARIANTS)
    )
    (folder / "b.bench.yaml").write_text(f"dataset: {{path: cases.jsonl}}\nlive: false\nvariants:\n{variants}")


class ScreenFigures(WorkbenchApp):
    """The app with a probe on its event loop; runs the whole dataset, scrolls, and leaves by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lags: list[float] = []
        settings = Settings()
        session = Session(folder / "b.bench.yaml", settings)
        super().__init__(settings, lambda: AppState(session, Pool(), (), complete=True))

    def on_mount(self) -> None:
        self.run_worker(self._probe())
        self.run_worker(self._act())

    async def _probe(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self._lags.append(time.perf_counter() - before - TICK_SECONDS)

    async def _act(self) -> None:
        while self.bench_screen is None or not self.bench_screen.panes:
            await asyncio.sleep(0.05)
        screen = MatrixScreen(self.bench_screen.state.runs)
        self.push_screen(screen)
        await self._agree()
        self._lags.clear()
        while screen.runs.current is None or screen.runs.current.running:
            await asyncio.sleep(0.05)
        report = {"running": _sum_up(self._lags)}
        while screen.table.count < CASES:
            await asyncio.sleep(0.05)
        self._lags.clear()
        for turn in range(SCROLLS):
            self.simulate_key(KEYS[turn % len(KEYS)])
            await asyncio.sleep(1 / 30)
        report["scrolling"] = _sum_up(self._lags)
        (self._folder / "report.json").write_text(json.dumps(report))
        self.exit()

    async def _agree(self) -> None:
        """So large a run asks before it begins."""
        from workbench.tui.dialogs.confirm import ConfirmDialog

        while not isinstance(self.screen, ConfirmDialog):
            await asyncio.sleep(0.05)
        self.screen.dismiss("run")


def _sum_up(lags: list[float]) -> dict[str, float]:
    ordered = sorted(lags)
    return {
        "p50": ordered[len(ordered) // 2] * 1000,
        "p95": ordered[int(len(ordered) * 0.95)] * 1000,
        "max": ordered[-1] * 1000,
    }


if __name__ == "__main__":
    app = ScreenFigures(Path(sys.argv[1]))
    app.run()
    app.close_engines()
