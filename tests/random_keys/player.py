"""Plays a round: an app in a folder of its own, random keys at random speeds, and what must hold at the end."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from textual._wait import wait_for_idle

from tests.random_keys.enclosure import Enclosure, move_into
from tests.random_keys.expectations import TypedPrompts, compare_drafts, compare_screen
from tests.random_keys.keyboard import Keyboard
from tests.random_keys.project import write_adapter, write_project
from tests.random_keys.replaced import replace
from workbench.inference.pool import Pool
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.screens.bench import BenchScreen
from workbench.tui.widgets.output_pane import OutputPane

SIZES = ((80, 24), (120, 30), (160, 45))
DEFAULT_STEPS = 300
_PATIENCE = 120.0
"""seconds after which what does not come to rest is a fault"""
_LAST = 60
_PLAIN_KEYS = {
    *("left", "right", "up", "down", "h", "j", "k", "l", "pageup", "pagedown", "home", "end", "enter", "f5", "ctrl+r"),
    *(
        "z",
        "m",
        "n",
        "s",
        "e",
        "t",
        "y",
        "v",
        "w",
        *"12345678",
        "less_than_sign",
        "greater_than_sign",
        "f2",
        "f3",
        "f7",
    ),
    *("f8", "ctrl+l", "ctrl+n", "ctrl+p", "ctrl+down", "ctrl+up"),
}
"""that change no prompt where the cursor is on a pane"""

_enclosure: list[Enclosure] = []


class RoundFault(Exception):
    """Something that must not happen."""


@dataclass
class Round:
    """What came of one. fault: in one line, "" for none; details: in several; keys: the last ones."""

    size: tuple[int, int]
    seed: int
    pressed: int = 0
    fault: str = ""
    details: str = ""
    keys: list[str] = field(default_factory=list)
    visited: Counter[str] = field(default_factory=Counter)


class KeyboardApp(WorkbenchApp):
    """The app, which no key ends or suspends."""

    def action_leave(self) -> None:
        self.notify("A round of random keys is not left.")

    def action_suspend_process(self) -> None:
        self.notify("A round of random keys is not suspended.")


def play(size: tuple[int, int], seed: int, steps: int = DEFAULT_STEPS) -> Round:
    """Play a round in this process, whose working folder and variables are as before afterwards."""
    played = Round(size, seed)
    before = Path.cwd()
    if not _enclosure:
        _enclosure.append(Enclosure())
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        folder = Path(scratch).resolve()
        bench = write_project(folder / "project")
        move_into(folder, patch.setenv)
        patch.setattr(tempfile, "tempdir", os.environ["TMPDIR"])
        write_adapter()
        replace(patch)
        _enclosure[0].folder, _enclosure[0].broken = folder, []
        try:
            asyncio.run(_Player(played, bench).play(steps), debug=False)
        except Exception as error:  # noqa: BLE001 - any exception at all is what the round looks for
            played.fault = played.fault or f"{type(error).__name__}: {error}"
            played.details = played.details or "".join(traceback.format_exception(error))
        finally:
            _enclosure[0].folder = None
            os.chdir(before)
        if _enclosure[0].broken and not played.fault:
            played.fault = f"left its folder: {_enclosure[0].broken[0]}"
    return played


class _Player:
    def __init__(self, played: Round, bench: Path) -> None:
        self.played, self.random = played, Random(f"{played.seed} {played.size}")
        self.settings = Settings(live=True, live_delay_ms=self.random.choice((1, 30, 300)))
        self.pool = Pool()
        self.app = KeyboardApp(self.settings, lambda: AppState(Session(bench, self.settings), self.pool, complete=True))
        self.keyboard = Keyboard(self.app, self.random)
        self.typed = TypedPrompts()
        self.problems: list[str] = []

    async def play(self, steps: int) -> None:
        asyncio.get_running_loop().set_exception_handler(self._note_problem)
        hook, threading.excepthook = threading.excepthook, lambda args: self.problems.append(str(args.exc_value))
        try:
            async with self.app.run_test(size=self.played.size):
                await self._until(lambda: self.screen is not None and bool(self.screen.panes), "the bench opens")
                try:
                    for _ in range(steps):
                        await self._step()
                    await self._rest()
                    self._judge()
                finally:
                    self.played.pressed = len(self.keyboard.pressed)
                    self.played.keys = self.keyboard.pressed[-_LAST:]
        finally:
            threading.excepthook = hook
            await asyncio.to_thread(self.app.close_engines)
            await asyncio.to_thread(self.pool.close)

    @property
    def screen(self) -> BenchScreen | None:
        return self.app.bench_screen

    async def _step(self) -> None:
        self.played.visited[type(self.app.screen).__name__] += 1
        screen, editing = self.screen, self._is_editing
        before = screen.controller.variant.prompt if screen is not None and screen.panes else ""
        if self.random.random() < 0.04:
            self.keyboard.paste()
        else:
            keys = self.keyboard.choose()
            editing = editing or len(keys) > 1 or not set(keys) <= _PLAIN_KEYS
            await self._type(keys)
        self._check_alive()
        screen = self.screen
        if screen is not None and screen.panes:
            wrong = self.typed.note_step(screen, before, editing or self._is_editing)
            if wrong:
                raise RoundFault(f"a draft for a prompt that nothing was typed into: {wrong}")

    async def _type(self, keys: list[str]) -> None:
        """At once, as fast as each is handled, or with a pause after each."""
        speed = self.random.choice(("at once", "at once", "handled", "slow"))
        for key in keys:
            self.keyboard.send(key)
            if speed == "handled":
                await wait_for_idle(0)
            elif speed == "slow":
                await asyncio.sleep(self.random.random() / 20)
        if self.random.random() < 0.7:  # else the next step's keys are typed ahead
            await self._until(lambda: self._is_handled, "the keys are handled")
        if self.random.random() < 0.05:
            await asyncio.sleep(self.random.random())

    @property
    def _is_handled(self) -> bool:
        return not self.app._keys._waiting

    @property
    def _is_editing(self) -> bool:
        """Whether a key here may change a prompt: anywhere but on a pane, or on a screen over the bench."""
        return self.app.screen is not self.screen or not isinstance(self.app.focused, OutputPane)

    async def _rest(self) -> None:
        """Close whatever is open, stop the answers, and wait until nothing is under way."""
        await self._until(lambda: self._is_handled, "the keys are handled")
        for _ in range(60):
            if self.screen is not None and self.app.screen is self.screen and not self._busy:
                break
            if self.app.screen is not self.screen or self._busy == "answers":
                self.keyboard.send("escape")
            await self._until(lambda: self._is_handled, "escape is handled")
            await wait_for_idle(0.05)
        await self._until(
            lambda: self.screen is not None and self.app.screen is self.screen and not self._busy,
            lambda: f"the bench comes to rest on {self.app.screen}, {self._busy}",
        )

    @property
    def _busy(self) -> str:
        """What is under way on the bench screen."""
        screen = self.screen
        if screen is None or not screen.panes:
            return "opening"
        if any(worker.group in ("action", "open") and not worker.is_finished for worker in self.app.workers):
            return "action"
        typed = screen.controller.typed
        if typed.waiting or typed._keeping is not None:
            return "typing"
        return "answers" if screen.controller.runner.busy else ""

    def _judge(self) -> None:
        screen = self.screen
        assert screen is not None
        found = [*compare_screen(screen), *compare_drafts(screen.session)]
        if found:
            self.played.details = "\n".join(found)
            raise RoundFault(f"the session is not what the screen shows: {found[0][:200]}")

    def _check_alive(self) -> None:
        if self.problems:
            raise RoundFault(f"an exception in the background: {self.problems[0]}")
        if self.app._exception is not None:
            raise self.app._exception
        if not self.app.is_running:
            raise RoundFault("the app has ended")

    async def _until(self, condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
        end = time.monotonic() + _PATIENCE
        while not condition():
            self._check_alive()
            if time.monotonic() > end:
                raise RoundFault(f"never: {what if isinstance(what, str) else what()}")
            await asyncio.sleep(0.005)
        self._check_alive()

    def _note_problem(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')} {context.get('exception')!r}")
