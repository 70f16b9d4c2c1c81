"""Draws the picture in docs/servers.md: one prompt here and on a llama-server, exported by the app itself."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from tests.peers.launch import run_llama_server
from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import open_state

PICTURE = Path("assets/servers.svg")
SIZE = (150, 36)
ADAPTER = Path("assets/queues-lora.gguf")
BENCH = """\
dataset: {{path: {data}}}
scorers: [exact_match]
library: {library}
models:
  gpu: {{remote: "http://127.0.0.1:{port}"}}
variants:
  - {{name: here, prompt: queues/plain, model: desk-q8_0}}
  - {{name: there, prompt: queues/plain, model: gpu}}
  - {{name: there + LoRA, prompt: queues/plain, model: gpu, adapters: [{{adapter: queues-lora}}]}}
"""


async def draw(file: Path) -> str:
    settings = Settings()
    app = WorkbenchApp(settings, lambda: open_state(file, None, settings))
    async with app.run_test(size=SIZE) as pilot:
        while not (app.bench_screen and app.bench_screen.panes and all(pane.scores for pane in app.bench_screen.panes)):
            await pilot.pause(0.05)
        app.bench_screen.edit.editor.cursor_blink = False
        await pilot.pause(0.5)
        picture = app.export_screenshot(title="workbench servers.bench.yaml")
    app.close_engines()
    return picture


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        run_llama_server(Path("assets/desk-q8_0.gguf"), adapters=[ADAPTER]) as port,
    ):
        file = Path(folder) / "servers.bench.yaml"
        data, library = Path("assets/data/queues/test.jsonl").resolve(), Path("prompts").resolve()
        file.write_text(BENCH.format(data=data, library=library, port=port))
        PICTURE.write_text(re.sub(rf":{port}\b", ":8080", asyncio.run(draw(file))))


if __name__ == "__main__":
    main()
