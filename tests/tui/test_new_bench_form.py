"""A person's own task: from a file of cases to panes with scores, by the form."""

from __future__ import annotations

import json
import threading

import pytest
from arena import add_adapter
from conftest import settled, until
from textual.widgets import Input, Label

from workbench.errors import FileError
from workbench.inference.pool import Pool
from workbench.runs.bench import load_bench
from workbench.runs.new_bench import PANE_KINDS, BenchRequest
from workbench.runs.recent import list_recent
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState, open_state
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.new_bench_form import NewBenchForm
from workbench.tui.widgets.choice_row import ChoiceRow
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)
LABELS = ["positive", "negative", "neutral"]
REVIEWS = "review,sentiment\n" + "".join(f"Review number {n},{LABELS[n % 3]}\n" for n in range(12))


@pytest.fixture
def reviews(folder, monkeypatch):
    """A folder of a person's own, with cases and no bench."""
    own = folder.parent / "own"
    own.mkdir()
    (own / "reviews.csv").write_text(REVIEWS)
    (own / "m.script.json").write_text(json.dumps({"rules": [{"reply": "positive"}]}))
    monkeypatch.chdir(own)
    return own / "reviews.csv"


@pytest.fixture
def make_app(folder):
    pool, settings = Pool(), Settings(live_delay_ms=1)

    def make(proposal: BenchRequest | None) -> WorkbenchApp:
        session = Session(folder / "demo.bench.yaml", settings)
        return WorkbenchApp(settings, lambda: AppState(session, pool, (), complete=True, proposal=proposal))

    yield make
    pool.close()


async def form_of(pilot) -> NewBenchForm:
    await until(pilot, lambda: isinstance(pilot.app.screen, NewBenchForm))
    form = pilot.app.screen
    await until(pilot, lambda: form.is_mounted and bool(text(form, "new-seen") or text(form, "new-help")))
    return form


async def planned(pilot) -> NewBenchForm:
    form = await form_of(pilot)
    await until(pilot, lambda: "rows" in text(form, "new-seen"))
    return form


async def opened(pilot, name: str):
    """The bench screen of this file, answered."""

    def is_open() -> bool:
        screen = pilot.app.bench_screen  # none between two benches
        return screen is not None and pilot.app.screen is screen and screen.session.path.name == name

    await until(pilot, is_open)
    return await settled(pilot)


def text(form, id: str) -> str:
    return str(form.query_one(f"#{id}", Label).content)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_enter_creates_the_bench_and_answers_its_first_case(make_app, reviews, size):
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=size) as pilot:
        form = await planned(pilot)
        assert text(form, "new-seen") == "✓ 12 rows · review, sentiment"
        assert text(form, "new-labels") == "positive · negative · neutral"
        assert form.query_one("#new-kind", ChoiceRow).chosen == ("classify",)
        assert form.query_one("#new-expected", Input).placeholder == "sentiment"
        assert form.query_one("#new-help").region.bottom < size[1] - 1  # nothing is cut off
        await pilot.press("enter")
        screen = await opened(pilot, "reviews.bench.yaml")
        assert [pane.completion.text for pane in screen.panes] == ["positive", "positive"]
        assert list_recent()[0] == reviews.with_name("reviews.bench.yaml")


async def test_a_name_is_typed_and_enter_pressed_at_once(make_app, reviews):
    async with make_app(BenchRequest(model="m.script.json", data=reviews.parent / "none.csv")).run_test() as pilot:
        form = await form_of(pilot)
        await until(pilot, lambda: "No such file" in text(form, "new-help"))
        form.query_one("#new-data", Input).value = ""
        await pilot.press(*"reviews.csv", "enter")
        await opened(pilot, "reviews.bench.yaml")


async def test_task_panes_and_scorers_are_chosen_by_keys(make_app, reviews):
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=WIDE) as pilot:
        form = await planned(pilot)
        panes, scorers = form.query_one("#new-panes", ChoiceRow), form.query_one("#new-scorers", ChoiceRow)
        panes.focus()
        await pilot.press("right", "space")
        await until(pilot, lambda: panes.chosen == ("zero-shot",))
        scorers.focus()
        assert scorers.chosen == ("exact_match", "accuracy")
        await pilot.press("right", "space", "right", "space")
        await until(pilot, lambda: scorers.chosen == ("exact_match", "normalized_match"))
        await pilot.press("enter")
        screen = await opened(pilot, "reviews.bench.yaml")
        assert [variant.name for variant in screen.session.variants] == ["zero-shot"]
    bench = load_bench(reviews.with_name("reviews.bench.yaml"))
    assert bench.scorers == ("exact_match", "normalized_match")
    assert bench.dataset is not None
    assert bench.dataset.exclude == ()  # no row was taken as an example


async def test_a_second_bench_of_the_same_cases_gets_a_free_name(make_app, reviews):
    reviews.with_name("reviews.bench.yaml").write_text("mine")
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=WIDE) as pilot:
        await planned(pilot)
        await pilot.press("enter")
        await opened(pilot, "reviews-2.bench.yaml")
    assert reviews.with_name("reviews.bench.yaml").read_text() == "mine"


async def test_escape_makes_nothing(make_app, reviews):
    before = sorted(reviews.parent.iterdir())
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=WIDE) as pilot:
        await planned(pilot)
        await pilot.press("escape")
        screen = await opened(pilot, "demo.bench.yaml")
        assert len(screen.panes) == 4
    assert sorted(reviews.parent.iterdir()) == before


async def test_a_form_that_was_left_while_cases_are_read_shows_nothing_more(make_app, reviews):
    leaving = threading.Event()

    def plan(request):
        leaving.wait(60)
        raise FileError("gone", "")

    async with make_app(None).run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        form = NewBenchForm(BenchRequest(reviews), plan, lambda part: None)
        pilot.app.push_screen(form)
        await until(pilot, lambda: form.is_mounted and any(worker.group == "plan" for worker in form.workers))
        form.dismiss(None)
        await until(pilot, lambda: pilot.app.screen is screen)
        leaving.set()
        await until(pilot, lambda: not any(worker.group == "plan" for worker in pilot.app.workers))


async def test_an_unsaved_bench_is_not_left_without_a_question(make_app, reviews):
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=WIDE) as pilot:
        await planned(pilot)
        pilot.app.bench_screen.session.edit_prompt("queues/plain", "user:\nother\n")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("escape")
        await opened(pilot, "demo.bench.yaml")
    assert not reviews.with_name("reviews.bench.yaml").exists()


async def test_another_bench_is_opened_and_the_first_is_then_recent(make_app, reviews):
    async with make_app(BenchRequest(reviews, "m.script.json")).run_test(size=WIDE) as pilot:
        await planned(pilot)
        await pilot.press("enter")
        screen = await opened(pilot, "reviews.bench.yaml")
        screen.action_do("open_bench")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker) and pilot.app.screen.is_mounted)
        await pilot.pause()
        await pilot.press("enter")
        assert len((await opened(pilot, "demo.bench.yaml")).panes) == 4


async def test_a_bench_that_cannot_be_read_leaves_the_open_one(make_app, reviews):
    reviews.with_name("bad.bench.yaml").write_text("variants: 3\n")
    async with make_app(None).run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.ui.screens.open_bench(reviews.with_name("bad.bench.yaml"))
        await until(pilot, lambda: any("bad.bench.yaml" in toast.title for toast in pilot.app._notifications))
        assert pilot.app.bench_screen is screen


def test_a_folder_with_cases_and_no_bench_offers_one(reviews):
    state = open_state(None, None, Settings())
    assert state.proposal is not None
    assert state.proposal.data.name == "reviews.csv"
    state.close()
    reviews.with_name("mine.bench.yaml").write_text("variants: [{name: a, prompt: a, model: m.script.json}]\n")
    state = open_state(None, None, Settings())
    assert state.proposal is None
    assert state.session.path.name == "mine.bench.yaml"
    state.close()


def test_the_palette_has_both():
    assert {"new_bench", "open_bench"} <= set(ACTIONS)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_pane_with_an_adapter_comes_of_keys_alone(make_app, reviews, size):
    """Down to the panes, right to + adapter, space; the list has what was trained a moment ago."""
    app = make_app(BenchRequest(reviews, str(reviews.parent / "m.script.json")))
    async with app.run_test(size=size) as pilot:
        form = await planned(pilot)
        add_adapter("tone", 1.7e9, 0.9)
        row = form.query_one("#new-panes", ChoiceRow)
        for _ in range(20):
            if row.has_focus:
                break
            await pilot.press("down")
        await pilot.press(*["right"] * PANE_KINDS.index("adapter"), "space")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is form and "adapter" in row.chosen)
        await until(pilot, lambda: any(choice.label == "+ tone" for choice in row._choices))
        await pilot.press("ctrl+s")
        screen = await opened(pilot, "reviews.bench.yaml")
        (tuned,) = [variant for variant in screen.session.variants if variant.adapters]
        assert tuned.adapters[0].adapter == "tone"
