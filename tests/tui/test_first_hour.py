"""From a folder with nothing but a file of cases to three scored panes, an edited prompt, a saved bench and a run of
all cases, by keys that are counted: those of the command and of the screen, without the prompt's own text."""

from __future__ import annotations

import pytest
from conftest import settled, until

from workbench.cli import terminal
from workbench.cli.app import run
from workbench.runs.bench import load_bench
from workbench.settings import Settings
from workbench.store.runs import list_runs
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import open_state
from workbench.tui.dialogs.new_bench_form import NewBenchForm
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.widgets.jump import JumpView

MOST_KEYS = 40
OWN_TEXT = "Decide for a hotel. "
LABELS = ["positive", "negative", "neutral"]
REVIEWS = "review,expected\n" + "".join(f"The room was number {n}.,{LABELS[n % 3]}\n" for n in range(12))


@pytest.fixture
def hotel(tmp_path, monkeypatch):
    """A folder with a file of twelve cases."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    folder = tmp_path / "hotel"
    folder.mkdir()
    (folder / "reviews.csv").write_text(REVIEWS)
    monkeypatch.chdir(folder)
    return folder


def type_command(command: str) -> WorkbenchApp:
    """The app that a command line opens."""
    opened: list[WorkbenchApp] = []

    def open_screen(bench=None, model=None, proposal=None) -> int:
        settings = Settings(live_delay_ms=1)
        opened.append(WorkbenchApp(settings, lambda: open_state(bench, model, settings, proposal)))
        return 0

    assert run(command.split()[1:], open_screen) == 0
    return opened[0]


@pytest.mark.model
@pytest.mark.parametrize(
    ("command", "size"), [("workbench reviews.csv", (80, 24)), ("workbench", (160, 45))], ids=["a file", "a form"]
)
async def test_an_own_task_takes_under_forty_keys(hotel, command, size):
    app = type_command(command)
    keys = len(command) + len("\n")

    async def press(*pressed: str) -> None:
        nonlocal keys
        keys += len(pressed)
        await pilot.press(*pressed)

    try:
        async with app.run_test(size=size) as pilot:
            if command == "workbench":
                await until(pilot, lambda: isinstance(app.screen, NewBenchForm))
                await press("enter")
            await until(pilot, lambda: _is_open(app, "reviews.bench.yaml"))
            screen = await settled(pilot)
            await press("escape", "D")
            await until(pilot, lambda: len(screen.panes) == 3)
            screen = await settled(pilot)
            assert all(pane.state == "done" and len(pane.scores) == 2 for pane in screen.panes)
            shown = "\n".join(str(line) for line in app.screen._compositor.render_strips())
            for metric in ("exact match", "accuracy"):  # every scorer has its badge
                assert metric in shown
            await press("ctrl+g")
            await until(pilot, lambda: isinstance(app.screen, JumpView))
            letters = {target.widget: letter for letter, target in app.screen._targets.items()}
            await press(letters[screen.edit.editor])
            await until(pilot, lambda: app.focused is screen.edit.editor)
            await pilot.press(*OWN_TEXT)
            await press("ctrl+s")
            await until(pilot, lambda: not screen.session.unsaved)
            await press("f6")
            await until(pilot, lambda: isinstance(app.screen, MatrixScreen))
            matrix = app.screen
            await until(pilot, lambda: matrix.runs.current is not None and not matrix.runs.current.running)
            await until(pilot, lambda: matrix.table.count == 9)
            assert [run.done for run in list_runs(matrix.runs.store)] == [9 * 3]
    finally:
        app.close_engines()
    bench = load_bench(hotel / "reviews.bench.yaml")
    assert [variant.name for variant in bench.variants] == ["zero-shot", "zero-shot 2", "few-shot"]
    texts = [(hotel / f"{variant.prompt}.prompty").read_text() for variant in bench.variants]
    assert [OWN_TEXT in text for text in texts] == [False, True, False]
    assert keys < MOST_KEYS


def _is_open(app: WorkbenchApp, name: str) -> bool:
    screen = app.bench_screen
    return screen is not None and app.screen is screen and screen.session.path.name == name
