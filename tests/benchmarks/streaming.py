"""Streaming: six panes at 60 tokens a second each, on a real terminal; how late the event loop is, and what is lost.

Run as a module with a folder, it is the measured app itself; `measure` starts that in a terminal and reads its report.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.terminal import MeasuredTerminal
from workbench.inference.pool import Pool
from workbench.inference.script import split_tokens
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState

PANES, TOKENS, RATE = 6, 1700, 60.0
TICK_SECONDS = 0.005


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        _write_project(Path(folder))
        terminal = MeasuredTerminal([sys.executable, "-m", "tests.benchmarks.streaming", folder])
        try:
            if terminal.wait_for_end() != 0 or not (Path(folder) / "report.json").exists():
                raise RuntimeError(terminal.seen[-2000:].decode(errors="replace"))
        finally:
            terminal.close()
        report = json.loads((Path(folder) / "report.json").read_text())
    lag = f"{report['lag_p95_ms']:.1f} ms  (median {report['lag_p50_ms']:.1f}, worst {report['lag_max_ms']:.0f} ms)"
    lost = f"{report['sent'] - report['shown']} of {report['sent']}  (in {report['seconds']:.1f} s)"
    return [
        ("event-loop lag p95, 6 panes at 60 tokens/s", lag, "under 50 ms"),
        ("tokens lost while streaming", lost, "none of 10,000"),
        ("processor time while streaming", f"{report['cpu_share']:.2f} of a core", "less is better"),
    ]


def _write_project(folder: Path) -> None:
    (folder / "p.prompty").write_text("---\nname: p\n---\nuser:\n{{ message }}\n")
    rule = {"endless": True, "reply": "\nseven small words make a line today."}
    script = {"rules": [rule], "pace": "real", "tokens_per_second": RATE, "context_tokens": 8192}
    for index in range(PANES):
        (folder / f"m{index}.script.json").write_text(json.dumps(script))
    variants = "".join(
        f"  - name: v{index}\n    prompt: p\n    model: m{index}.script.json\n    sampling: {{max_tokens: {TOKENS}}}\n"
        for index in range(PANES)
    )
    (folder / "b.bench.yaml").write_text(f"inputs: {{message: go}}\nvariants:\n{variants}")


class StreamFigures(WorkbenchApp):
    """The app with a probe on its event loop; leaves by itself once every pane is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lags: list[float] = []
        settings = Settings()
        session = Session(folder / "b.bench.yaml", settings)
        super().__init__(settings, lambda: AppState(session, Pool(), (), complete=True))

    def on_mount(self) -> None:
        self.run_worker(self._probe())

    async def _probe(self) -> None:
        started, cpu = time.perf_counter(), time.process_time()
        while not self._done():
            before = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self._lags.append(time.perf_counter() - before - TICK_SECONDS)
        seconds = time.perf_counter() - started
        self._write(seconds, (time.process_time() - cpu) / seconds)
        self.exit()

    def _done(self) -> bool:
        screen = self.bench_screen
        return bool(screen and screen.panes) and all(pane.state == "done" for pane in screen.panes)

    def _write(self, seconds: float, cpu_share: float) -> None:
        screen = self.bench_screen
        assert screen is not None
        lags = sorted(self._lags)
        shown = sum(len(split_tokens(pane.output.text)) for pane in screen.panes)
        sent = PANES * TOKENS
        report = {
            "lag_p50_ms": lags[len(lags) // 2] * 1000,
            "lag_p95_ms": lags[int(len(lags) * 0.95)] * 1000,
            "lag_max_ms": lags[-1] * 1000,
            "sent": sent,
            "shown": shown,
            "seconds": seconds,
            "cpu_share": cpu_share,
        }
        (self._folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    app = StreamFigures(Path(sys.argv[1]))
    app.run()
    app.close_engines()
