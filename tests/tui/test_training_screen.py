"""The training screen: a recipe as a form, a job told by its file; nothing is trained here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from conftest import bench_of, settled, until
from textual.widgets import Input, Label, Static

from workbench.errors import TrainingError
from workbench.evaluation import document
from workbench.training.dry_run import DryRun, Piece, Preview
from workbench.training.fields import list_fields
from workbench.training.job import Job
from workbench.training.journal import Journal
from workbench.training.place import Place, make_place
from workbench.training.progress import JobBegan, JobEnded, JobExamined, JobNotice, JobStep, Sample
from workbench.training.recipe import Method, Recipe
from workbench.tui.dry_run_text import describe_dry_run
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.widgets.job_view import describe_sentence, describe_state
from workbench.tui.widgets.recipe_form import read_values, write_value

WIDE, NARROW = (160, 45), (80, 24)
FIELDS = {field.path: field for field in list_fields()}
RECIPE = Recipe(base="desk", bench="demo.bench.yaml", variant="plain", method=Method(rank=4))
BEGAN = JobBegan(1.0, 1, 0, 20, 2.0, 400, 100, 81_920, 1_400_000, "cpu", "float32", 0.002, 10)
STEP = JobStep(2.0, 10, 1.0, 0.5, 0.001, 1.0, 4000, 900.0, 700_000_000, 4.0, 5.0)
SAMPLE = Sample(3, "Where is my parcel?", "Lantern", "Lantern", "Abacus", 1.0)
EXAMINED = JobExamined(3.0, 10, 0.4, 0.6, {"exact_match": 0.87}, 100, "exact_match", True, 1.0, (SAMPLE,))


def place_of(folder: Path) -> Place:
    return make_place("plain-lora", document.encode(RECIPE), folder, datetime(2026, 1, 2), "")


def write(place: Place, *events) -> None:
    journal = Journal(place.events)
    for event in events:
        journal.write(event)
    journal.close()


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("method.rank", "16", 16),
        ("method.dropout", "0.25", 0.25),
        ("method.rslora", "yes", True),
        ("method.targets", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("training.learning_rate", "", None),
        ("method.kind", "ia3", "ia3"),
    ],
)
def test_a_field_is_read_as_it_was_typed_and_written_back(path, text, value):
    import msgspec

    recipe = read_values(RECIPE, [(FIELDS[path], text)])
    section, name = path.split(".")
    assert getattr(getattr(recipe, section), name) == value
    assert write_value(FIELDS[path], msgspec.to_builtins(recipe)) == (text if value is not None else "")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("method.rank", "many", "expected a whole number"),
        ("method.rank", "0", "expected a number from 1"),
        ("method.rslora", "perhaps", "expected yes or no"),
        ("method.kind", "magic", "magic"),
    ],
)
def test_a_field_that_cannot_be_says_what_was_expected(path, text, words):
    with pytest.raises(TrainingError, match=words):
        read_values(RECIPE, [(FIELDS[path], text)])


def test_a_job_is_told_in_a_line_and_a_sentence():
    state = describe_state([BEGAN, STEP, EXAMINED], alive=True).plain
    assert "step 10/20, 5.0 s left" in state
    assert "loss 0.500" in state
    assert "exact match 0.87 on 100 validation cases" in describe_sentence([BEGAN, STEP, EXAMINED]).plain
    notice = JobNotice(3.5, "Validation loss rises since step 5.")
    assert describe_sentence([BEGAN, EXAMINED, notice]).plain == "Validation loss rises since step 5."
    ended = JobEnded(4.0, "failed", "The loss is not a number.", "Lower the learning rate.")
    assert "Lower the learning rate." in describe_sentence([BEGAN, notice, ended]).plain


def test_a_dry_run_marks_what_is_learned_and_warns():
    preview = Preview(3, (Piece("Where? ", False), Piece("Lantern", True)))
    found = DryRun(
        "desk", "lora", 400, 100, 20_000, 800, 67, 1024, 250, 10.0, 0.002, 81_920, 1_400_000, "cpu", "float32", 2,
        cut=3, seconds=80.0, previews=(preview,),
    )  # fmt: skip
    text = describe_dry_run(found)
    assert "400 to learn from, 100 to examine on" in text.plain
    assert "about 1:20" in text.plain
    assert "3 rows are too long" in text.plain
    learned = [span for span in text.spans if "reverse" in str(span.style)]
    assert [text.plain[span.start : span.end] for span in learned] == ["Lantern"]


async def test_a_bench_that_cannot_be_trained_says_why(app):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("f9")
        await until(pilot, lambda: any("cannot be trained" in notice.title for notice in pilot.app._notifications))


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_job_is_followed_and_its_adapter_opens_as_a_pane(app, folder, size):
    adapter = folder / "plain-lora"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        place = place_of(folder)
        write(place, BEGAN, STEP, EXAMINED)
        screen.trainings.follow(Job(place))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
        training = pilot.app.screen
        samples = training.query_one("#job-samples", Static)
        await until(pilot, lambda: "Where is my parcel?" in str(samples.visual))
        write(place, JobEnded(4.0, "done", "It came to its end.", adapter=str(adapter)))
        screen.trainings.look()  # as the bench does now and then, which must not keep it from the screen
        sentence = training.query_one("#job-sentence", Static)
        await until(pilot, lambda: "It came to its end." in str(sentence.visual))
        await pilot.press("ctrl+d")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: len(screen.panes) == 5)
        assert screen.session.variants[1].name == "plain + plain-lora"
        assert screen.session.variants[1].adapters[0].adapter == str(adapter)


async def test_the_form_explains_each_field_and_says_what_is_wrong(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        place = place_of(folder)
        write(place, BEGAN)
        screen.trainings.follow(Job(place))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
        training = pilot.app.screen
        rank = training.query_one("#recipe-method-rank", Input)
        rank.focus()
        told = training.query_one("#recipe-explanation", Label)
        await until(pilot, lambda: "width of its matrices" in str(told.visual))
        rank.value = "lots"
        await until(pilot, lambda: "expected a whole number" in str(told.visual))
        assert training.recipe.method.rank == 4
        rank.value = "12"
        await until(pilot, lambda: training.recipe.method.rank == 12)
