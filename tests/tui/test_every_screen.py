"""Each screen and dialog with a hostile text in every place: it stands there as text, and no byte of it steers."""

from __future__ import annotations

import json
import re
import sys

import pytest
from every_screen import SIZE, EveryScreen, find_screens, until, walk
from hostile_bench import STEERING, find_foreign_on_screen
from pseudo_terminal import CHECKOUT, Terminal
from test_terminal_bytes import ESCAPE

from workbench.tui.screens.adapters import AdaptersScreen
from workbench.tui.screens.bench import BenchScreen
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.sweep import SweepScreen
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.screens.verdict import VerdictScreen

NAMES = {
    "closing tag": "[/red]",
    "open bracket": "[b",
    "variable": "$x",
    "action": "x [@click=app.screenshot('f','/dir/')]C[/]",
    "steering": STEERING.strip(),
}


@pytest.fixture
def every(tmp_path, monkeypatch, request):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    made = EveryScreen(tmp_path, NAMES[request.param])
    yield made
    made.pool.close()


@pytest.mark.parametrize("every", NAMES, indirect=True)
async def test_a_hostile_text_stands_on_every_screen_as_it_is(every):
    app = every.make_app()
    try:
        async with app.run_test(size=SIZE):
            problems = await walk(every, app)
            assert app.bench_screen is not None
            opened = {BenchScreen, *every.make_all(app.bench_screen)}
    finally:
        app.close_engines()
    assert not problems
    assert opened == find_screens(), "a new screen or dialog has to be made in every_screen.py"


@pytest.mark.parametrize(
    "kind", [AdaptersScreen, MatrixScreen, ModelsScreen, SweepScreen, TrainingScreen, VerdictScreen]
)
async def test_what_comes_once_a_screen_was_left_ends_nothing(tmp_path, monkeypatch, kind):
    """Its timers run until it is gone, after its widgets."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    every = EveryScreen(tmp_path, "x")
    app = every.make_app()
    try:
        async with app.run_test():
            await until(lambda: app.bench_screen is not None and bool(app.bench_screen.panes))
            screen = every.screens(app.bench_screen)[kind]()
            await app.push_screen(screen)
            await until(lambda: screen.is_mounted)
            await app.pop_screen()
            for look in ("look", "_look", "_show_residents", "_fill"):
                if hasattr(screen, look) and (kind, look) != (ModelsScreen, "_fill"):
                    getattr(screen, look)()
            app.bench_screen.state.runs.close()
    finally:
        app.close_engines()
        every.pool.close()


def test_no_screen_writes_what_steers_a_terminal(tmp_path):
    """The same on a pseudo-terminal, where the bytes are looked at."""
    terminal = Terminal(tmp_path, SIZE)
    try:
        script = CHECKOUT / "tests/tui/every_screen.py"
        terminal.start([sys.executable, str(script), str(tmp_path), NAMES["steering"]])
        assert terminal.wait(240) == 0, terminal.text[-3000:]
    finally:
        terminal.close()
    assert json.loads((tmp_path / "found.json").read_text()) == {}
    assert not find_foreign_on_screen(terminal.text)
    assert not re.findall("\x1b.{0,20}", ESCAPE.sub("", terminal.text))
    assert "␛" in terminal.text
    assert "⟨U+202E⟩" in terminal.text
