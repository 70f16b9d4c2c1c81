"""The review of synthetic rows: one key a decision, each on the disk at once, and taken up where it was left."""

from __future__ import annotations

import json

import pytest
from conftest import bench_of, settled, until
from textual.widgets import OptionList, Static, TextArea

from workbench.synthesis.opening import continue_review
from workbench.synthesis.records import RowProposed, SynthesisStarted
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import create_review
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.screens.synthesis import SynthesisScreen

TEXTS = ["A fox ran off with it", "Two bicycles and a goat", "Rye bread, three loaves"]


@pytest.fixture
def review(folder, tmp_path):
    """A review of three rows beside the bench; its path."""
    source = tmp_path / "given.jsonl"
    source.write_text('{"message": "Where is my parcel?", "expected": "Lantern"}\n')
    bench = next(folder.rglob("*.bench.yaml"))
    request = SynthesisRequest(str(source), "m", 3, str(bench.parent / "more.jsonl"))
    started = SynthesisStarted(request=request, inputs=("message",), answered=True)
    made = create_review(started, lambda variables, expected: {**variables, "expected": expected or ""})
    for call, text in enumerate(TEXTS):
        made.append(RowProposed(call=call, variables={"message": text}, expected="Lantern"))
    made.close()
    return made.path


async def open_review(pilot) -> SynthesisScreen:
    bench = await settled(pilot)
    bench.action_do("synthetic_rows")
    await until(pilot, lambda: isinstance(pilot.app.screen, SynthesisScreen) and pilot.app.screen.review is not None)
    return pilot.app.screen


def accepted(review) -> list[str]:
    out = review.with_name("more.jsonl")
    return [json.loads(line)["message"] for line in out.read_text().splitlines()] if out.exists() else []


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_rows_are_accepted_rejected_and_edited_one_by_one(app, review, size):
    async with app.run_test(size=size) as pilot:
        screen = await open_review(pilot)
        assert TEXTS[0] in str(screen.query_one("#synthesis-text", Static).visual)
        await pilot.press("a")
        await until(pilot, lambda: accepted(review) == TEXTS[:1] and screen.list.highlighted == 1)
        await pilot.press("r")
        await until(pilot, lambda: screen.rows[1].decision == "reject" and screen.list.highlighted == 2)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExampleEditor) and pilot.app.screen.is_mounted)
        pilot.app.screen.query_one("#variable-0", TextArea).text = "Rye bread, four loaves"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: accepted(review) == [TEXTS[0], "Rye bread, four loaves"])
        await until(pilot, lambda: "2 accepted, 1 rejected" in str(screen.query_one("#synthesis-title", Static).visual))
        await pilot.press("u")
        await until(pilot, lambda: accepted(review) == TEXTS[:1])
        assert screen.list.highlighted == 2


async def test_a_review_goes_on_where_it_was_left(app, review):
    async with app.run_test(size=(120, 40)) as pilot:
        await open_review(pilot)
        await pilot.press("a")
        await until(pilot, lambda: accepted(review) == TEXTS[:1])
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        screen = await open_review(pilot)
        await until(pilot, lambda: screen.list.highlighted == 1)
        assert str(screen.query_one(OptionList).get_option_at_index(0).prompt).startswith("✓")


async def test_what_was_being_typed_is_kept(app, review):
    async with app.run_test(size=(120, 40)) as pilot:
        await open_review(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExampleEditor) and pilot.app.screen.is_mounted)
        editor = pilot.app.screen
        editor.query_one("#variable-0", TextArea).text = "A fox, half ty"
        await until(pilot, lambda: editor._keeping is not None or b"half ty" in review.read_bytes())
        pilot.app.keep_typed()
        assert b"half ty" in review.read_bytes()
    opened, _ = continue_review(review)
    opened.close()
    assert opened.state.rows[0].unfinished.variables == {"message": "A fox, half ty"}
    assert opened.state.rows[0].variables == {"message": TEXTS[0]}


async def test_without_a_review_it_says_how_to_have_rows_written(app):
    async with app.run_test(size=(120, 40)) as pilot:
        bench = await settled(pilot)
        bench.action_do("synthetic_rows")
        await until(pilot, lambda: any("no synthetic rows" in one.title for one in pilot.app._notifications))
