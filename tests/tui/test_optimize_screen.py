"""The screen of a prompt search: plan, candidates, what each changed, edits, acceptance, continuing after a crash."""

from __future__ import annotations

import asyncio
import json

import pytest
from conftest import bench_of, settled, until
from textual.widgets import Input, OptionList, Static, TextArea

from workbench.inference.pool import Pool
from workbench.prompting.prompt import Example
from workbench.search.candidate import Candidate
from workbench.search.journal import CandidateEvaluated
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchRequest
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.search_record import find_record
from workbench.tui.dialogs.candidate_editor import CandidateEditor
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.screens.optimize import OptimizeScreen
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)
BENCH = """\
dataset: {path: data/test.jsonl}
scorers: [exact_match]
variants:
  - {name: shots, prompt: shots, model: planted.script.json}
"""
SHOTS = "---\nmetadata:\n  workbench:\n    placement: turns\n    examples: shots.jsonl\n---\nuser:\n{{ message }}\n"
RULES = [
    {"regex": r"(?s)answer \d+.*question (?P<n>\d+)", "where": "prompt", "reply": "answer {n}"},
    {"reply": "no idea"},
]
HELD = [{"contains": "question", "where": "prompt", "hold": "running"}, {"reply": "no idea"}]


def plant(folder, rules=RULES) -> None:
    """A bench whose answers are right once the prompt shows any row of the train split."""
    (folder / "planted.bench.yaml").write_text(BENCH)
    (folder / "planted.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 1000}))
    (folder / "shots.prompty").write_text(SHOTS)
    (folder / "shots.jsonl").write_text('{"id": "e1", "message": "Why?", "answer": "no"}\n')
    (folder / "data").mkdir(exist_ok=True)
    for split, first in (("train", 0), ("validation", 100), ("test", 200)):
        rows = [{"message": f"question {n}", "expected": f"answer {n}"} for n in range(first, first + 30)]
        (folder / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def planted(folder, make_app):
    plant(folder)
    return make_app(bench="planted.bench.yaml")


async def open_optimize(pilot) -> OptimizeScreen:
    bench = await settled(pilot)
    bench.panes[0].focus()
    await pilot.press("O")
    await until(pilot, lambda: isinstance(pilot.app.screen, OptimizeScreen))
    return pilot.app.screen


async def finished(pilot, screen: OptimizeScreen) -> None:
    await until(pilot, lambda: screen.current is not None and not screen.current.running)
    screen.poll()


def shown(screen, id: str) -> str:
    return str(screen.query_one(id, Static).visual)


def rows(screen) -> list[str]:
    return [str(option.prompt) for option in screen.query_one("#optimize-lineage", OptionList).options]


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_better_prompt_is_found_tested_accepted_and_undone(planted, folder, size):
    async with planted.run_test(size=size) as pilot:
        screen = await open_optimize(pilot)
        await until(pilot, lambda: "calls: at most" in shown(screen, "#optimize-note"))
        assert "30 train, 30 dev, 30 test" in shown(screen, "#optimize-note")
        screen.form.write("calls", "400")
        await pilot.press("ctrl+r")
        await finished(pilot, screen)
        assert "Improved: exact match 1.00 on test against 0.00" in shown(screen, "#optimize-outcome")
        title = shown(screen, "#optimize-title")
        assert "improved" in title and "of 400 calls" in title and "hand-written 0.00" in title
        best = screen.view.candidate
        assert best.id == screen.current.state.best  # the cursor follows the best
        assert any("★" in row and "1.00" in row for row in rows(screen))
        assert "+example t" in shown(screen, "#optimize-diff")
        assert "gained 30  lost 0" in shown(screen, "#optimize-gains")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        assert pilot.app.screen.query_one(Input).value == "shots-optimized"
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        bench = bench_of(pilot.app)
        await until(pilot, lambda: bench.session.variants[0].prompt == "shots-optimized")
        assert bench.session.prompt("shots-optimized").examples[-1].answer.startswith("answer")
        record = find_record("shots-optimized")
        assert (record.parent, record.improved, record.test.value, record.opened) == ("shots", True, 1.0, 1)
        assert 0 < record.calls <= 400
        bench.panes[0].focus()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: bench.session.variants[0].prompt == "shots")


async def test_what_cannot_be_understood_is_told_at_once_and_nothing_begins(planted):
    async with planted.run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        for line, text in (("method", "luck"), ("calls", "many"), ("minutes", "-1"), ("max_dev", "0")):
            screen.form.write(line, text)
        await until(pilot, lambda: "with: expected" in shown(screen, "#optimize-note"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: bool(pilot.app._notifications))
        title = next(iter(pilot.app._notifications)).title
        assert all(
            part in title for part in ("with: expected", "calls: expected", "minutes: expected", "dev cases: exp")
        )
        assert screen.current is None


async def test_a_budget_that_is_too_small_is_told_by_the_plan(planted):
    async with planted.run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        screen.form.write("calls", "50")
        await until(pilot, lambda: "A budget of 50 calls is too small" in shown(screen, "#optimize-note"))


async def test_no_improvement_is_said_as_plainly(folder, make_app):
    plant(folder, [{"reply": "no idea"}])
    async with make_app(bench="planted.bench.yaml").run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        screen.form.write("calls", "300")
        await pilot.press("ctrl+r")
        await finished(pilot, screen)
        assert "No improvement" in shown(screen, "#optimize-outcome")
        assert "no improvement" in shown(screen, "#optimize-title")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextViewer))
        assert "No improvement" in pilot.app.screen.query_one(TextArea).text


async def test_it_goes_on_elsewhere_is_paused_and_stopped(folder, make_app):
    plant(folder, HELD)
    app = make_app(bench="planted.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: pilot.app.bench_screen is not None and bool(pilot.app.bench_screen.panes))
        bench = bench_of(app)
        bench.panes[0].focus()
        await pilot.press("escape", "O")  # the pane's own answer is held as well
        await until(pilot, lambda: isinstance(app.screen, OptimizeScreen))
        screen = app.screen
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.current is not None and screen.current.shown is not None)
        current = screen.current
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is bench)
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, OptimizeScreen))
        again = app.screen
        assert again.current is current and current.running
        await pilot.press("p")
        await until(pilot, lambda: current.paused and "paused" in shown(again, "#optimize-title"))
        await pilot.press("p")
        await until(pilot, lambda: not current.paused)
        await pilot.press("f7")
        await until(pilot, lambda: not current.running)
        again.poll()
        assert "interrupted: ctrl+r continues" in shown(again, "#optimize-title")
        assert current.state.ended is None


def interrupt_search(folder) -> int:
    """A search that ends without a result after the hand-written prompt was evaluated; the calls it made."""
    pool, store = Pool(), Store(folder / "elsewhere.sqlite")
    held: list[PromptSearch] = []

    def on_event(event) -> None:
        if isinstance(event, CandidateEvaluated):
            held[0].cancel()

    request = SearchRequest(str(folder / "planted.bench.yaml"), "shots")
    search = PromptSearch(request, Settings(), pool, store, on_event)
    held.append(search)
    assert search.run() is None
    pool.close()
    store.close()
    return search.state.spending.calls


async def test_a_search_that_was_killed_is_shown_and_continued(planted, folder):
    calls = await asyncio.to_thread(interrupt_search, folder)
    assert calls == 30
    async with planted.run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        await until(pilot, lambda: "interrupted" in shown(screen, "#optimize-title"))
        assert not screen.is_form_shown
        assert any("c0  0.00" in row for row in rows(screen))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.current.state.ended is not None)
        assert screen.current.state.ended.improved
        evaluated = [one for one in screen.current.search_dir.journal.read_text().splitlines() if '"evaluated"' in one]
        assert sum('"candidate":"c0"' in one and '"part":"test"' not in one for one in evaluated) <= 1


async def test_a_version_by_hand_begins_a_new_search_and_a_bad_one_is_refused_by_name(planted):
    async with planted.run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        screen.form.write("calls", "400")
        await pilot.press("ctrl+r")
        await finished(pilot, screen)
        first = screen.current
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, CandidateEditor))
        pilot.app.screen.query_one(TextArea).text = "user:\nAnswer something.\n"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: screen.current is not first)
        await finished(pilot, screen)
        refused = [one for one in screen.current.state.refused if one.candidate.origin == "edited"]
        assert [refusal.guard for refusal in refused[0].refusals][:1] == ["variables"]
        assert any("refused: variables" in row for row in rows(screen))
        screen.action_toggle_refused()
        assert not any("refused" in row for row in rows(screen))


async def test_a_version_by_hand_has_its_examples_in_another_order(planted):
    async with planted.run_test(size=WIDE) as pilot:
        await open_optimize(pilot)
        shown_examples = tuple(Example(f"e{at}", {"message": f"m {at}"}, f"a {at}") for at in range(3))
        edits = []
        editor = CandidateEditor(Candidate("c1", "c0", "user:\nb", shown_examples, "turns"), "by hand")
        await pilot.app.push_screen(editor, edits.append)
        await until(pilot, lambda: editor.query("#candidate-examples").first().option_count == 3)
        await pilot.press("tab", "shift+down", "K", "shift+up", "J", "J", "J", "up", "space", "ctrl+s")
        await until(pilot, lambda: bool(edits))
        assert [one.id for one in edits[0].examples] == ["e1", "e0"]


async def test_an_earlier_search_is_opened_and_another_candidate_accepted_as_untested(planted):
    async with planted.run_test(size=WIDE) as pilot:
        screen = await open_optimize(pilot)
        screen.form.write("calls", "400")
        await pilot.press("ctrl+r")
        await finished(pilot, screen)
        screen.searches.current = None
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: screen.current is not None and screen.current.state.ended is not None)
        screen.poll()
        await until(pilot, lambda: bool(rows(screen)))
        winner = screen.current.state.ended.winner.id
        other = next(id for id in screen.current.state.candidates if id not in ("c0", winner))
        lineage = screen.query_one("#optimize-lineage", OptionList)
        lineage.highlighted = next(at for at, one in enumerate(lineage.options) if one.id == other)
        await until(pilot, lambda: screen.view.candidate is not None and screen.view.candidate.id == other)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        assert "Not tested" in str(pilot.app.screen._explanation)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        record = find_record("shots-optimized")
        assert record.test is None and not record.improved
