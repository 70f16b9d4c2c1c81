"""Draws the README's picture: the demo bench, answered by the embedded model, exported by the app itself."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import open_state
from workbench.tui.widgets.output_pane import OutputPane

PICTURE = Path("assets/workbench.svg")
SIZE = (150, 40)


async def draw() -> None:
    settings = Settings()
    app = WorkbenchApp(settings, lambda: open_state(Path("prompts/demo.bench.yaml"), None, settings))
    async with app.run_test(size=SIZE) as pilot:
        while not (app.bench_screen and app.bench_screen.panes and all(map(is_complete, app.bench_screen.panes))):
            await pilot.pause(0.05)
        await app.bench_screen.controller.choose(app.bench_screen.panes[2])
        app.bench_screen.edit.editor.cursor_blink = False
        await pilot.pause(0.5)
        PICTURE.write_text(app.export_screenshot(title="workbench prompts/demo.bench.yaml"))
    app.close_engines()


def is_complete(pane: OutputPane) -> bool:
    """Whether it has its scores, and its adapter was tried at each scale."""
    curve = [probability for _, probability in pane._curve]
    return bool(pane.scores) and None not in curve and bool(curve) == pane.has_class("-adapted")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home  # no drafts and no settings of one's own in the picture
        asyncio.run(draw())
