"""Signals and a closed terminal end the app: what was typed is kept, the terminal is given back, no process stays."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pseudo_terminal import Terminal
from terminal_app import TerminalApp, wait_until

from workbench.runs.session import Session
from workbench.settings import Settings

NEVER = 600.0


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[object]:
    """Open the bench in a terminal, with some letters typed."""
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "settings.toml").write_text("live_delay_ms = 60000\n")
    started: list[TerminalApp] = []

    def start(keep_seconds: float) -> TerminalApp:
        app = TerminalApp(folder / "demo.bench.yaml", keep_seconds)
        started.append(app)
        app.wait_for_output("Route")
        app.type("QQQQQQ")
        app.wait_for_output("QQQQQ")
        return app

    yield start
    for app in started:
        app.close()


def typed(folder: Path) -> str:
    """The text below the first header, where the cursor starts."""
    body = Session(folder / "demo.bench.yaml", Settings()).prompt("queues/plain").body
    return body.removeprefix("system:\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_keeps_what_was_typed_and_gives_the_terminal_back(start, folder: Path, number: signal.Signals):
    app = start(NEVER)
    children = psutil.Process(app.process.pid).children(recursive=True)
    app.process.send_signal(number)
    assert app.wait() == 128 + number
    assert typed(folder).startswith("QQQQQ")
    app.wait_for_output("\x1b[?1049l")
    assert app.is_terminal_restored
    assert "Traceback" not in app.output
    wait_until(lambda: not any(child.is_running() for child in children))


def test_a_closed_terminal_keeps_what_was_typed(start, folder: Path):
    app = start(NEVER)
    children = psutil.Process(app.process.pid).children(recursive=True)
    app.close_terminal()
    app.wait()
    assert typed(folder).startswith("QQQQQ")
    wait_until(lambda: not any(child.is_running() for child in children))


def test_a_kill_loses_at_most_what_was_typed_since_the_last_draft(start, folder: Path, tmp_path: Path):
    app = start(0.05)
    drafts = tmp_path / "home" / "data" / "drafts"
    wait_until(lambda: any("QQQQ" in path.read_text() for path in drafts.glob("*.json")))
    app.process.kill()
    app.wait()
    assert typed(folder).startswith("QQQQ")


def test_an_app_whose_controlling_terminal_is_another_ends_with_its_own(folder: Path):
    terminal = Terminal(folder)
    terminal.start([sys.executable, "-m", "workbench", "demo.bench.yaml"])
    terminal.wait_for("Route")
    terminal.hang_up()
    assert terminal.process.wait(60) == 128 + signal.SIGHUP
    terminal.close()
