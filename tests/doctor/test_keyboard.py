"""Terminals that have the kitty keyboard protocol, that lack it, and that say nothing, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import termios
import threading

import pytest

from workbench.doctor import terminal
from workbench.doctor.keyboard import QUESTION, ask_keyboard


@pytest.mark.parametrize(
    ("reply", "found"),
    [(b"\x1b[?0u\x1b[?62;22c", True), (b"\x1b[?62;22c", False), (b"q\x1b[?1u\x1b[?62c", True), (b"", None)],
    ids=["kitty", "legacy", "among typed keys", "silent"],
)
def test_a_terminal_is_asked_and_its_mode_given_back(reply, found):
    master, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)

    def answer():
        asked = b""
        while QUESTION not in asked:
            asked += os.read(master, 1024)
        os.write(master, reply)

    other = threading.Thread(target=answer)
    other.start()
    assert ask_keyboard(terminal, 60.0 if reply else 0.1) is found
    other.join()
    assert termios.tcgetattr(terminal) == before
    os.close(master)
    os.close(terminal)


def test_what_is_no_terminal_is_not_asked(tmp_path):
    with (tmp_path / "file").open("w") as file:
        assert ask_keyboard(file.fileno()) is None


@pytest.mark.parametrize(
    ("kitty", "words"), [(True, "told apart"), (False, "ctrl+shift+z is ctrl+z"), (None, "not known")]
)
def test_no_keyboard_is_a_problem(kitty, words):
    found = terminal.check_terminal({"TERM": "xterm"}, (120, 40), "utf-8", ask_keyboard=lambda: kitty)
    (keyboard,) = [one for one in found if one.name == "keyboard"]
    assert keyboard.status == "ok"
    assert words in keyboard.text
