"""Every screen and dialog, at three sizes and in five looks: dark, light, in sixteen colours, and without colour."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from every_screen import EveryScreen, until
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from textual.screen import Screen

from workbench.tui.app import WorkbenchApp
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.screens.bench import BenchScreen

SIZES = ((80, 24), (120, 30), (160, 45))
NAME = "queues"
LONG = (
    "The file was changed by another program since it was opened, and what you typed since then is not in it. "
    "Saving writes your version over the other one. The other version can be seen when the file is opened again. "
) * 2


class Look(NamedTuple):
    """How the app is coloured."""

    name: str
    theme: str
    sixteen: bool = False
    monochrome: bool = False


LOOKS = (
    Look("dark", "workbench-dark"),
    Look("light", "workbench-light"),
    Look("sixteen", "workbench-dark", sixteen=True),
    Look("sixteen-light", "workbench-light", sixteen=True),
    Look("monochrome", "workbench-dark", monochrome=True),
)


class GalleryScreens(EveryScreen):
    """The screens and dialogs, and questions of every length."""

    def list_all(self, bench: BenchScreen) -> dict[str, Any]:
        made: dict[str, Any] = {kind.__name__: make for kind, make in self.make_all(bench).items()}
        answers = [("stay", "Cancel"), ("save", "Save and continue"), ("discard", "Discard my changes")]
        made["short question"] = lambda: ConfirmDialog("Quit?", "Quit now?", [("stay", "Stay"), ("quit", "Quit")])
        made["long question"] = lambda: ConfirmDialog("Unsaved changes", LONG, answers, destructive=("discard",))
        made["question with rows"] = lambda: ConfirmDialog("Write", "\n".join(LONG.split()), answers)
        return made


XTERM = TerminalTheme(
    (0, 0, 0),
    (229, 229, 229),
    [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)],
    [
        *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0)),
        *((92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)),
    ],
)
"""the sixteen colours as xterm has them"""


def export(app: WorkbenchApp, title: str) -> str:
    """The screen as an SVG text, numbered colours as xterm shows them."""
    console = Console(
        width=app.size.width,
        height=app.size.height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
        safe_box=False,
    )
    console.print(app.screen._compositor.render_update(full=True))
    return console.export_svg(title=title, theme=XTERM)


def paint(app: WorkbenchApp, look: Look) -> None:
    """Colour an app that is not running yet."""
    app.theme_choice = app.theme = look.theme
    app.sixteen_colors = look.sixteen
    app.no_color = look.monochrome


async def visit(every: GalleryScreens, size: tuple[int, int], look: Look) -> AsyncIterator[tuple[str, WorkbenchApp]]:
    """Each screen and dialog in turn, by its name, with the app that shows it and nothing else."""
    app = every.make_app()
    paint(app, look)
    try:
        async with app.run_test(size=size) as pilot:
            app.animation_level = "none"
            await until(lambda: app.bench_screen is not None and bool(app.bench_screen.panes))
            bench = app.bench_screen
            assert bench is not None
            await until(lambda: all(pane.state in ("done", "failed") for pane in bench.panes))
            await pilot.pause()
            app.clear_notifications()
            await pilot.pause()
            yield BenchScreen.__name__, app
            for name, make in every.list_all(bench).items():
                screen: Screen[Any] = make()
                app.push_screen(screen)
                await until(lambda screen=screen: screen.is_mounted and app.screen is screen)  # type: ignore[misc]
                await until(lambda screen=screen: all(one.is_finished for one in app.workers if one.node is screen))  # type: ignore[misc]
                await pilot.pause()
                app.clear_notifications()
                await pilot.pause()
                yield name, app
                screen.dismiss(None)
                await until(lambda: app.screen is bench)
            bench.state.runs.close()
    finally:
        app.close_engines()


async def draw(folder: Path, sizes: Sequence[tuple[int, int]], looks: Sequence[Look], only: str) -> list[str]:
    """Write the pictures; their file names."""
    files = []
    for look in looks:
        for size in sizes:
            with tempfile.TemporaryDirectory() as home:
                os.environ["WORKBENCH_HOME"] = home
                every = GalleryScreens(Path(home), NAME)
                async for name, app in visit(every, size, look):
                    if only.lower() in name.lower():
                        file = f"{name.replace(' ', '-')}.{size[0]}x{size[1]}.{look.name}.svg"
                        (folder / file).write_text(export(app, f"{name} {look.name}"))
                        files.append(file)
                every.pool.close()
    return files
