"""A chain on the bench screen and in the matrix: its calls in the pane, its steps in the editor, its cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Static

from workbench.tui.dialogs.cell_view import CellView
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.screens.matrix import MatrixScreen

HOSTILE = "[bold red]parcel\x1b[31m{{ 7 * 7 }}"
CHAIN_SCRIPT = {
    "rules": [
        {"contains": "What is it about", "reply": HOSTILE},
        {"contains": "Which queue", "reply": "Lantern"},
        {"contains": "Name the queue", "reply": "Abacus"},
        {"reply": "I do not know."},
    ],
    "context_tokens": 1024,
}
CHAIN = """\
steps:
  - name: topic
    template: "What is it about? {{ message }}"
  - name: never
    when: "steps.topic.text == 'nothing'"
    template: "Never"
  - name: queue
    prompt: queue
"""
CHAIN_BENCH = """\
dataset: {path: cases.jsonl}
variants:
  - {name: chain, prompt: chain, model: chain.script.json}
scorers: [exact_match, {contains: {step: topic, text: parcel}}]
"""


@pytest.fixture
def chain_app(folder: Path, make_app):
    (folder / "chain.script.json").write_text(json.dumps(CHAIN_SCRIPT))
    (folder / "chain.chain.yaml").write_text(CHAIN)
    (folder / "queue.prompty").write_text("Which queue is for {{ steps.topic.text }}?\n")
    (folder / "demo.bench.yaml").write_text(CHAIN_BENCH)
    return make_app()


async def test_a_pane_shows_the_calls_of_a_chain_and_its_answer_as_the_answer(chain_app):
    async with chain_app.run_test(size=(140, 40)) as pilot:
        screen = await settled(pilot)
        (pane,) = screen.panes
        assert pane.completion.text == "Lantern"
        assert [(score.scorer, score.value) for score in pane.scores] == [("exact_match", 1), ("topic.contains", 1)]
        lines = pane.output.text
        assert "topic" in lines and "its condition does not hold" in lines and "Lantern" in lines
        assert "[bold red]parcel" not in lines  # the answers of steps are folded
        assert screen.edit.editor.prompt == "queue"  # the last step
        pane.focus()
        await pilot.press("u")
        assert "[bold red]parcel" in pane.output.text and "\x1b" not in pane.output.text
        assert "{{ 7 * 7 }}" in pane.output.text


async def test_after_an_edit_of_a_step_only_what_follows_is_asked_again(chain_app):
    async with chain_app.run_test(size=(140, 40)) as pilot:
        screen = await settled(pilot)
        (pane,) = screen.panes
        screen.edit.editor.focus()
        screen.edit.editor.load_text("Name the queue for {{ steps.topic.text }}\n")
        await until(pilot, lambda: pane.state == "done" and pane.completion.text == "Abacus")
        assert "cached" in pane.output.text
        assert screen.session.unsaved == ("queue",)
        await pilot.press("alt+n")
        await until(pilot, lambda: screen.edit.editor.prompt == "chain\\topic")
        assert screen.edit.editor.text == "What is it about? {{ message }}"
        assert "step topic of 3" in str(screen.edit.editor.border_title)
        screen.edit.editor.load_text("Tell: {{ message }}")
        await until(pilot, lambda: pane.state == "done" and "cached" not in pane.output.text)
        assert screen.session.prompt("chain").steps[0].template == "Tell: {{ message }}"


async def test_what_each_step_sends_is_shown(chain_app):
    async with chain_app.run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: isinstance(chain_app.screen, TextViewer))


async def test_the_cell_of_a_chain_has_every_call(chain_app):
    async with chain_app.run_test(size=(140, 60)) as pilot:
        await settled(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(chain_app.screen, MatrixScreen))
        screen = chain_app.screen
        await until(pilot, lambda: screen.runs.current is not None and not screen.runs.current.running)
        await until(pilot, lambda: screen.table.count == 3 and screen.browser.row_at(0) is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(chain_app.screen, CellView))
        await until(pilot, lambda: "step queue" in str(chain_app.screen.query_one("#cell-text", Static).content))
        text = str(chain_app.screen.query_one("#cell-text", Static).content)
        for part in ("topic", "skipped: its condition does not hold", "Which queue is for", "[bold red]parcel"):
            assert part in text
        assert "\x1b" not in text
