"""A terminal's background: asked for, told from the keys whenever the reply comes, and followed until one chooses."""

from __future__ import annotations

import os
import sys
import tomllib

import pytest
from conftest import settled, until
from hostile_bench import write_hostile
from pseudo_terminal import Terminal

from workbench import paths
from workbench.settings import Settings
from workbench.tui.dialogs.theme_picker import ThemePicker
from workbench.tui.terminal_background import QUESTION, ReplyFilter, TerminalBackground, assume_dark, can_ask, is_dark

LIGHT_REPLY = "\x1b]11;rgb:ffff/fafa/f0f0\x1b\\"
DARK_REPLY = "\x1b]11;rgb:14/16/1f\x07"


@pytest.mark.parametrize("reply", [LIGHT_REPLY, DARK_REPLY, "\x1b]11;rgba:00/00/00/ff\x9c"])
def test_a_reply_is_taken_out_of_the_keys_wherever_it_is_cut(reply):
    for cut in range(len(reply) + 1):
        found = ReplyFilter()
        found.awaited = True
        assert found.feed("a" + reply[:cut]) + found.feed(reply[cut:] + "b") == "ab"
        assert len(found.replies) == 1


@pytest.mark.parametrize("keys", ["\x1b", "\x1b]", "\x1b[A", "\x1bOP", "]11;rgb:", "\x1b[200~pasted\x1b[201~", "é"])
def test_keys_are_never_lost(keys):
    for awaited in (True, False):
        found = ReplyFilter()
        found.awaited = awaited
        assert found.feed(keys) + found.tick() == keys


def test_an_escape_is_not_held_back_once_nothing_is_expected():
    assert ReplyFilter().feed("\x1b") == "\x1b"


def test_what_begins_like_a_reply_and_is_none_reaches_the_keys():
    found = ReplyFilter()
    assert found.feed("\x1b]11") + found.feed("x") == "\x1b]11x"


def test_light_and_dark():
    assert [is_dark(text) for text in ("rgb:ff/fa/f0", "rgb:1414/1616/1f1f", "rgb:0/0/0", "#fff", "")] == [
        *(False, True, True),
        *(None, None),
    ]
    assert [assume_dark({"COLORFGBG": text}) for text in ("0;15", "15;0", "0;default;7", "")] == [
        *(False, True),
        *(False, True),
    ]


def test_only_terminals_that_understand_are_asked():
    assert can_ask({"TERM": "xterm-256color"})
    assert not any(can_ask({"TERM": name}) for name in ("linux", "dumb", "vt100", ""))


async def test_the_theme_follows_the_terminal_until_one_is_chosen_which_is_remembered(app):
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        app.post_message(TerminalBackground(dark=False))
        await until(pilot, lambda: app.theme == "workbench-light")
        app.post_message(TerminalBackground(dark=True))
        await until(pilot, lambda: app.theme == "workbench-dark")
        assert not paths.settings_file().exists()
        await pilot.press("f3")
        await until(pilot, lambda: app.theme == "workbench-light")
        app.post_message(TerminalBackground(dark=True))
        await pilot.pause()
        assert app.theme == "workbench-light"
        assert tomllib.loads(paths.settings_file().read_text()) == {"theme": "workbench-light"}


async def test_a_theme_is_picked_from_the_list_and_auto_follows_again(make_app):
    app = make_app(Settings(theme="workbench-light", live_delay_ms=1))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for typed, theme, choice in (("nord", "nord", "nord"), ("auto", "workbench-dark", "auto")):
            await app.run_action("change_theme")
            await until(pilot, lambda: isinstance(app.screen, ThemePicker))
            await pilot.press(*typed, "enter")
            await until(pilot, lambda theme=theme: app.theme == theme)
            assert tomllib.loads(paths.settings_file().read_text()) == {"theme": choice}


async def test_a_theme_that_does_not_exist_is_told(make_app):
    app = make_app(Settings(theme="solarised", live_delay_ms=1))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        assert any("solarised" in one.message for one in app._notifications)


START = "import sys; from workbench.tui import driver; {}; from workbench.__main__ import main; sys.exit(main())"
LIGHT_BACK = "48;2;245;246;250"


@pytest.mark.parametrize("in_time", [True, False])
def test_a_reply_of_a_terminal_changes_the_theme_in_time_and_never_types_anything(tmp_path, in_time):
    """The app on a pseudo-terminal; a reply comes at once in two parts, or when its time is over."""
    write_hostile(tmp_path, "queues")
    terminal = Terminal(tmp_path)
    try:
        limit = f"driver.REPLY_SECONDS = {600 if in_time else -1}"
        terminal.start([sys.executable, "-c", START.format(limit), "hostile.bench.yaml"])
        terminal.wait_for(QUESTION)
        os.write(terminal.ours, LIGHT_REPLY[:9].encode())
        os.write(terminal.ours, LIGHT_REPLY[9:].encode())
        terminal.wait_for(LIGHT_BACK if in_time else "reply")
        if "tok/s" not in terminal.text:  # it may have come together with the rest
            terminal.wait_for("tok/s")
        os.write(terminal.ours, b"Z")
        terminal.wait_for("Z")
        assert (LIGHT_BACK in terminal.text) is in_time
        assert "rgb:" not in terminal.text
    finally:
        terminal.close()
