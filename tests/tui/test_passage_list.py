"""The passages of a pane on the bench screen: shown with scores, pinned, dropped, viewed, and retrieved otherwise."""

from __future__ import annotations

import json

import pytest
from conftest import bench_of, settled, until

from workbench.retrieval.spec import Retrieve
from workbench.tui.actions.passages import toggle_passage
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.widgets.picker import Picker

BENCH = """\
dataset: {path: hours.jsonl, relevant: relevant}
corpus: {path: corpus, chunk: 100}
scorers: [exact_match, recall_at_k]
variants:
  - {name: none, prompt: ask, model: desk.script.json, retrieve: none}
  - {name: found, prompt: ask, model: desk.script.json, retrieve: {by: bm25, k: 2}}
"""
PROMPT = "---\nname: ask\n---\nuser:\n{{ passages }}\n{{ question }}\n"
HOURS = {"Leeds": "nine", "York": "ten", "Bath": "eleven"}


@pytest.fixture
def library(folder):
    (folder / "corpus").mkdir()
    for city, hour in HOURS.items():
        (folder / "corpus" / f"{city}.md").write_text(f"The shop in {city} opens at {hour}.")
    (folder / "ask.prompty").write_text(PROMPT)
    rows = [
        {"question": f"When does {city} open?", "expected": hour, "relevant": f"{city}.md"}
        for city, hour in HOURS.items()
    ]
    (folder / "hours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    script = {
        "rules": [
            {"regex": r"\] \w+.md\nThe shop in \w+ opens at (?P<hour>\w+)", "reply": "{hour}"},
            {"reply": "unknown"},
        ]
    }
    (folder / "desk.script.json").write_text(json.dumps({**script, "context_tokens": 1024}))
    (folder / "hours.bench.yaml").write_text(BENCH)
    return folder


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_a_passage_is_pinned_dropped_and_restored(library, make_app, size):
    app = make_app(bench="hours.bench.yaml")
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        shown, session = screen.edit.passages, screen.session
        assert "none" in str(shown.border_title)
        await pilot.press("escape", "2")
        await until(pilot, lambda: [one.document for one in shown.passages] == ["Leeds.md"])
        assert screen.panes[1].completion.text == "nine"
        assert [round(one.value) for one in screen.panes[1].scores] == [1, 1]
        shown.focus()
        await pilot.press("delete")
        await until(pilot, lambda: screen.panes[1].state == "done" and shown.passages == () and shown.option_count == 1)
        assert session.variants[1].retrieval.drop == ("Leeds.md:0-32",)
        await pilot.press("delete")  # on the one that is dropped: it is restored
        await until(pilot, lambda: [one.document for one in shown.passages] == ["Leeds.md"])
        await pilot.press("space")
        await until(pilot, lambda: bool(shown.passages) and shown.passages[0].pinned)
        await pilot.press("ctrl+down")
        await until(pilot, lambda: [one.document for one in shown.passages] == ["Leeds.md", "York.md"])
        await until(pilot, lambda: screen.panes[1].completion.text == "nine")  # the pinned one stands first
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TextViewer))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: session.variants[1].retrieval.pin == ())
        assert session.bench.variants[1].retrieve == Retrieve("bm25", k=2)


async def test_how_passages_are_retrieved_is_chosen_from_a_list(library, make_app):
    app = make_app(bench="hours.bench.yaml")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        screen.edit.passages.focus()
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press(*"oracle", "enter")
        await until(pilot, lambda: app.screen is screen and screen.session.variants[0].retrieve == "oracle")
        await until(pilot, lambda: [one.document for one in screen.edit.passages.passages] == ["Leeds.md"])
        await screen.controller.focus(0)
        screen.session.save()
    assert "retrieve: oracle" in (library / "hours.bench.yaml").read_text()


async def test_a_corpus_that_is_gone_fails_the_panes_that_need_it_alone(library, make_app):
    (library / "hours.bench.yaml").write_text(BENCH.replace("path: corpus", "path: gone"))
    app = make_app(bench="hours.bench.yaml")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await settled(pilot)
        assert screen.panes[1].state == "failed"
        assert "gone" in screen.panes[1].output.text or screen.panes[0].state == "failed"
        assert bench_of(app) is screen


def test_what_is_pinned_is_not_dropped():
    retrieve = toggle_passage(Retrieve(), "pin", "a")
    assert retrieve.pin == ("a",)
    retrieve = toggle_passage(retrieve, "drop", "a")
    assert (retrieve.pin, retrieve.drop) == ((), ("a",))
    assert toggle_passage(retrieve, "drop", "a") == Retrieve()
