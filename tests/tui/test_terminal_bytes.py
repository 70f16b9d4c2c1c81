"""The bytes that reach a terminal: the app runs on a pseudo-terminal with hostile text in every source there is."""

from __future__ import annotations

import os
import re
import sys
import termios

import pytest
from hostile_bench import MARKUP, STEERING, find_foreign_on_screen, write_hostile
from pseudo_terminal import Terminal

ESCAPE = re.compile(
    r"\x1b\[\d*;\d*H"  # where a row begins
    r"|\x1b\[[\d;]*m"  # colours
    r"|\x1b\[\?\d+(?:;\d+)*[hl]|\x1b\[\?\d+\$p"  # modes and the question for one
    r"|\x1b\[[<>=]\d*u|\x1b\[\?u|\x1b\[>\d*[qu]"  # kitty's keyboard
    r"|\x1b\[[cn]|\x1b\[\d*[ABCDGJK]|\x1b\[\d+ q|\x1b\[\d*t|\x1b\[6n"
    r"|\x1b\]22;[a-z-]*\x07"  # the shape of the pointer
    r"|\x1b\]11;\?\x1b\\"  # the question for the background
    r"|\x1b[78=>]|\x1bP[^\x1b]*\x1b\\|\x1b_G[^\x1b]*\x1b\\"
)
"""what Textual 8.2.8's driver and compositor write"""


@pytest.fixture
def open_terminal(tmp_path):
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(tmp_path))
        opened[-1].start([sys.executable, *arguments])
        return opened[-1]

    yield start
    for one in opened:
        one.close()


SCREENS = {
    "help": "\x1bOP", "palette": "\x1c", "tokens": "\x14", "matrix": "\x1b[17~", "models": "M", "engines": "E",
    "prompts": "\x0f", "training": "\x1b[20~", "verdict": "\x1b[21~", "adapters": "\x1b[24~", "next case": "\x1b[1;5B",
}  # fmt: skip
DIALOGS = "senptdmvy"


def test_nothing_foreign_reaches_the_terminal(open_terminal, tmp_path):
    write_hostile(tmp_path)
    terminal = open_terminal("-m", "workbench", "hostile.bench.yaml")
    terminal.wait_for("reply")
    for keys in SCREENS.values():
        terminal.press("\x1b")  # to the panes, where a letter is a key
        terminal.press(keys)
        terminal.press("\x1b")
    for pane, dialogs in (("1", DIALOGS), ("3", "en")):
        for key in dialogs:
            terminal.press("\x1b")
            terminal.press(f"{pane}{key}")
            terminal.press("\x1b")
    terminal.press("\x1b[17~")  # the matrix, a run, a cell, an order, a class, a plot, words
    terminal.press("\x12")
    for key in ("\r", "\x1b", "s", "\x1b", "c", "\x1b", "g", "\x1b", "w", "\x1b", "\x1b"):
        terminal.press(key)
    assert terminal.process.poll() is None, terminal.text[-3000:]
    own = re.sub(r"\x1b\]52;c;[A-Za-z0-9+/=]*\x07", "", terminal.text)  # y copies an answer
    assert not find_foreign_on_screen(own)
    rest = ESCAPE.sub("", own)
    assert not re.findall("\x1b.{0,20}", rest)
    assert "␛" in own
    assert "⟨U+202E⟩" in own


def test_an_error_that_ends_the_app_is_sanitised_and_the_terminal_restored(open_terminal, tmp_path):
    """A crash on purpose, with a hostile text in the exception and in its variables."""
    write_hostile(tmp_path)
    (tmp_path / "crash.py").write_text(
        "import sys\n"
        "from workbench.tui.screens import bench\n"
        f"def fail(self):\n    hostile = {STEERING!r}\n    raise RuntimeError(hostile)\n"
        "bench.BenchScreen.action_run = fail\n"
        "from workbench.tui.app import run_app\nfrom pathlib import Path\n"
        "sys.exit(run_app(Path('hostile.bench.yaml'), None))\n"
    )
    terminal = open_terminal("crash.py")
    terminal.wait_for("reply")
    os.write(terminal.ours, b"\x12")
    terminal.wait(60)
    assert "RuntimeError" in terminal.text
    assert not find_foreign_on_screen(terminal.text)
    assert termios.tcgetattr(terminal.theirs)[3] == terminal.before[3]
    assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("\x1b[?1049h")


@pytest.mark.parametrize("name", MARKUP)
def test_names_that_read_as_markup_open_every_dialog(open_terminal, tmp_path, name):
    write_hostile(tmp_path, name)
    terminal = open_terminal("-m", "workbench", "hostile.bench.yaml")
    terminal.wait_for("reply")
    for key in "etdpsnm":
        terminal.press("\x1b")
        terminal.press(f"1{key}")
        terminal.press("\x1b")
    for keys in ("\x14", "\x0f", "M", "\x1b[17~"):
        terminal.press(keys)
        terminal.press("\x1b")
    assert terminal.process.poll() is None, terminal.text[-3000:]
