"""Panes and cells whose answer takes several calls: turns, tool calls with their results, and what they came to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Static

from workbench.tui.conversation_text import describe_conversation, has_conversation
from workbench.tui.dialogs.cell_view import CellView
from workbench.tui.screens.matrix import MatrixScreen

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
SCRIPT = {
    "rules": [
        {"contains": "-3 degrees", "reply": "It is cold."},
        {"contains": "Oslo", "reply": f"Let me see.\n{CALL}"},
        {"contains": "thanks", "reply": "You are welcome."},
        {"contains": "fail", "reply": "half an", "fail_after": 1, "failure": "The engine ran out of ink."},
        {"reply": "I do not know."},
    ],
    "context_tokens": 1024,
}
PROMPT = "---\ntools:\n  - {name: weather, parameters: [{name: city, kind: string}]}\n---\nuser:\n{{ message }}\n"
HOSTILE = "[bold red]-3 degrees\x1b[31m{{ 7 * 7 }}"
TURNS = [
    {"message": "Oslo?", "expected": "It is cold.", "expected_calls": [{"tool": "weather"}]},
    {"message": "thanks", "expected": "You are welcome.", "expected_calls": []},
]
BENCH = f"""\
dataset: {{path: talk.jsonl}}
variants:
  - {{name: tools, prompt: weather, model: weather.script.json}}
scorers: [exact_match, tool_calls]
tools:
  results: [{{tool: weather, result: {json.dumps(HOSTILE)}}}]
"""


@pytest.fixture
def bench_text(folder: Path) -> str:
    (folder / "weather.script.json").write_text(json.dumps(SCRIPT))
    (folder / "weather.prompty").write_text(PROMPT)
    (folder / "talk.jsonl").write_text(json.dumps({"turns": TURNS}) + "\n")
    return BENCH


@pytest.fixture
def talk(folder: Path, bench_text: str) -> None:
    (folder / "demo.bench.yaml").write_text(bench_text)


async def test_a_pane_shows_the_conversation_turn_by_turn(folder, talk, make_app):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+r")
        pane = screen.panes[0]
        await until(pilot, lambda: pane.state == "done" and bool(pane.scores))
        shown = pane.output.text
        assert [line for line in shown.splitlines() if line.startswith("──")] == [
            "── turn 1",
            "── turn 1, round 2",
            "── turn 2",
        ]
        assert '→ weather(city="Oslo")' in shown
        assert "weather ←  [bold red]-3 degrees" in shown
        assert "user  Oslo?" in shown
        assert "user  thanks" in shown
        assert pane.completion.text == "You are welcome."
        assert [score.value for score in pane.scores] == [1.0, 1.0]
        assert [step.turn for step in pane.steps] == [1, 1, 2]


async def test_what_follows_an_edited_turn_alone_is_asked_again(folder, talk, make_app):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+r")
        pane = screen.panes[0]
        await until(pilot, lambda: pane.state == "done")
        changed = [TURNS[0], {"message": "nothing", "expected": "I do not know."}]
        assert screen.session.type_input("turns", json.dumps(changed))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: pane.state == "done" and pane.completion.text == "I do not know.")
        assert [step.cached for step in pane.steps] == [True, True, False]
        assert "Let me see." in pane.output.text


async def test_a_cell_of_the_matrix_opens_to_the_whole_exchange(folder, talk, make_app):
    app = make_app()
    async with app.run_test(size=(120, 50)) as pilot:
        await settled(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, MatrixScreen))
        screen = app.screen
        await until(pilot, lambda: screen.runs.current is not None and not screen.runs.current.running)
        await until(pilot, lambda: screen.table.count == 1 and screen.browser.row_at(0) is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellView))
        text = app.screen.query_one("#cell-text", Static)
        await until(pilot, lambda: "turn 1, round 2" in str(text.visual))
        shown = str(text.visual)
        assert '→ weather(city="Oslo")' in shown
        assert "[bold red]-3 degrees" in shown
        assert "Mean of 2 turns." in shown


async def test_the_steps_of_a_chain_are_folded_and_unfold(folder, make_app):
    (folder / "weather.script.json").write_text(json.dumps(SCRIPT))
    chain = "---\nsteps:\n  - {name: ask, template: thanks}\n---\nuser:\n{{ steps.ask.text }}\n"
    (folder / "chain.prompty").write_text(chain)
    bench = "dataset: {path: cases.jsonl}\nvariants:\n  - {name: a, prompt: chain, model: weather.script.json}\n"
    (folder / "demo.bench.yaml").write_text(bench)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[0]
        assert pane.output.text.startswith("▸ ask  ")
        assert pane.output.text.endswith("\nI do not know.")
        assert "You are welcome." not in pane.output.text
        await pilot.press("escape", "u")
        await until(pilot, lambda: "You are welcome." in pane.output.text)
        await pilot.press("u")
        await until(pilot, lambda: "You are welcome." not in pane.output.text)


async def test_a_steps_tool_calls_and_their_results_stand_in_the_pane(folder, bench_text, make_app):
    chain = (
        "---\nsteps:\n  - {name: look, prompt: weather}\n"
        "  - {name: both, each: '[1, 2]', template: \"{{ item }} thanks\"}\n---\n"
        "user:\nthanks for the {{ steps.look.calls[0].name }}: {{ steps.look.text }}\n"
    )
    (folder / "chain.prompty").write_text(chain)
    (folder / "talk.jsonl").write_text(json.dumps({"message": "Oslo?", "expected": "You are welcome."}) + "\n")
    scorers = "[exact_match, {tool_calls: {step: look}}]"
    bench = bench_text.replace("prompt: weather", "prompt: chain").replace("[exact_match, tool_calls]", scorers)
    (folder / "demo.bench.yaml").write_text(bench)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[0]
        assert pane.completion.text == "You are welcome."
        assert [step.label for step in pane.steps] == [
            "look",
            "look, round 2",
            "both, item 1",
            "both, item 2",
            "answer",
        ]
        folded = pane.output.text
        assert "▸ look, round 2" in folded and HOSTILE[:11] not in folded
        assert folded.endswith("\nYou are welcome.")
        pane.focus()
        await pilot.press("u")
        await until(pilot, lambda: "▾ look, round 2" in pane.output.text)
        shown = pane.output.text
        assert '→ weather(city="Oslo")' in shown
        assert "weather ←  [bold red]-3 degrees" in shown and "{{ 7 * 7 }}" in shown
        assert "\x1b" not in shown
        screen.edit.editor.load_text("thanks again")  # the last step: the tools are not asked anew
        await until(pilot, lambda: pane.state == "done" and bool(pane.steps) and pane.steps[0].cached)
        assert [step.cached for step in pane.steps] == [True] * 4 + [False]


def test_texts_of_others_are_never_markup() -> None:
    from workbench.inference.types import Completion
    from workbench.prompting.prompt import Message
    from workbench.prompting.tools import ToolCall
    from workbench.runs.cell_step import CellStep

    call = ToolCall("[bold]x", '{"a": "[red]\\u001b[31m"}')
    steps = (
        CellStep("turn 1", "turn", completion=Completion("[blink]said"), turn=1, calls=(call,), content="[blink]said"),
        CellStep("turn 1, round 2", "tool", before=(Message("tool", HOSTILE, name="[u]t"),), turn=1),
    )
    assert has_conversation(steps)
    from textual.content import Content

    shown = Content.assemble(*describe_conversation(steps))
    assert "[bold red]-3 degrees" in shown.plain
    assert "[bold]x(a=" in shown.plain
    assert "\x1b" not in shown.plain
    assert "49" not in shown.plain
