"""The terminal after the app was stopped and went on: the shell gets it back as it was, and what is typed arrives."""

from __future__ import annotations

import signal
from functools import partial

import psutil
import pytest

from tests.kill import app
from tests.kill.terminal import PseudoTerminal

MARKS = "щжю"


@pytest.mark.parametrize("announced", [None, "SIGSTOP", "SIGTSTP"])
def test_an_app_that_was_stopped_gives_the_terminal_back_as_it_was(tmp_path, announced):
    app.write_project(tmp_path / "project")
    trial = app.AppTrial(tmp_path / "project", tmp_path / "home")
    terminal = PseudoTerminal(trial.command("demo.bench.yaml"), trial.project, trial.environment)
    try:
        process = psutil.Process(terminal.process.pid)
        trial.wait(lambda: b"number" in terminal.seen, "the bench")
        if announced:
            process.send_signal(getattr(signal, announced))
            trial.wait(lambda: process.status() == psutil.STATUS_STOPPED, "the stop")
        process.send_signal(signal.SIGCONT)
        for mark in MARKS:
            terminal.type(mark)
            trial.wait(partial(is_shown, terminal, mark), f"{mark} on the screen")
        terminal.type("\x13")
        trial.wait(lambda: MARKS in (trial.project / "ask.prompty").read_text(), "the saved prompt")
        terminal.type("\x11")
        trial.wait(lambda: terminal.process.poll() is not None, "the end of the app")
        assert list(terminal.find_changes()) == []
        assert terminal.process.returncode == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.hang_up()


def is_shown(terminal: PseudoTerminal, text: str) -> bool:
    return text.encode() in terminal.seen
