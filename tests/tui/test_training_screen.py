"""The training screen: a recipe as a form, a job told by its file; nothing is trained here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from arena import add_adapter
from conftest import bench_of, settled, until
from textual.widgets import Button, Input, Label, Static
from textual_plot import PlotWidget

from workbench import yaml_document
from workbench.errors import TrainingError
from workbench.training.dry_run import DryRun, PreviewToken, RowPreview
from workbench.training.events import JobEnded, JobEvaluated, JobNotice, JobStarted, JobStep, Journal, Sample
from workbench.training.job import TrainingJob
from workbench.training.job_dir import JobDir, create_job_dir
from workbench.training.recipe import Method, Recipe
from workbench.training.recipe_fields import list_fields
from workbench.training.sampled_answers import SampledAnswer, append_answers
from workbench.tui.auto_values import describe_data, of_dry_run
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dry_run_text import describe_dry_run
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.job_view import describe_sentence, describe_state
from workbench.tui.widgets.recipe_values import read_values, write_value

WIDE, NARROW = (160, 45), (80, 24)
FIELDS = {field.path: field for field in list_fields()}
RECIPE = Recipe(base="desk", bench="demo.bench.yaml", variant="plain", method=Method(rank=4))
BEGAN = JobStarted(1.0, 1, 0, 20, 2.0, 400, 100, 81_920, 1_400_000, "cpu", "float32", 0.002, 10)
STEP = JobStep(2.0, 10, 1.0, 0.5, 0.001, 1.0, 4000, 900.0, 700_000_000, 4.0, 5.0)
SAMPLE = Sample(3, "Where is my parcel?", "Lantern", "Lantern", "Abacus", 1.0)
EXAMINED = JobEvaluated(3.0, 10, 0.4, 0.6, {"exact_match": 0.87}, 100, "exact_match", True, 1.0, (SAMPLE,))


def job_dir_of(folder: Path) -> JobDir:
    return create_job_dir("plain-lora", yaml_document.encode(RECIPE), folder, datetime(2026, 1, 2), "")


def write(job_dir: JobDir, *events) -> None:
    journal = Journal(job_dir.events)
    for event in events:
        journal.write(event)
    journal.close()


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("method.rank", "16", 16),
        ("method.dropout", "0.25", 0.25),
        ("method.use_rslora", "yes", True),
        ("method.target_modules", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("training.learning_rate", "", None),
        ("method.kind", "ia3", "ia3"),
        ("train.where", "language=de|fr, kind=note", {"language": ("de", "fr"), "kind": "note"}),
        ("train.columns", "message=body", {"message": "body"}),
        ("train.path", "mine.csv", "mine.csv"),
        ("auto_split.seed", "5", 5),
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
        ("method.use_rslora", "perhaps", "expected yes or no"),
        ("train.where", "german", "expected NAME=VALUE"),
        ("auto_split.test", "1.5", "share from 0 to below 1"),
        ("method.kind", "magic", "magic"),
    ],
)
def test_a_field_that_cannot_be_says_what_was_expected(path, text, words):
    with pytest.raises(TrainingError, match=words):
        read_values(RECIPE, [(FIELDS[path], text)])


def test_datasets_are_typed_with_their_weights_and_keep_their_other_fields():
    import msgspec

    datasets = FIELDS["datasets"]
    text = "mine.csv, more.csv=0.5, more.csv"
    typed = read_values(RECIPE, [(datasets, text)])
    assert [(one.path, one.weight) for one in typed.datasets] == [("mine.csv", 1), ("more.csv", 0.5), ("more.csv", 1)]
    assert write_value(datasets, msgspec.to_builtins(typed)) == text
    split = [msgspec.structs.replace(one, split=name) for one, name in zip(typed.datasets, "abc", strict=True)]
    changed = read_values(
        msgspec.structs.replace(typed, datasets=tuple(split)), [(datasets, "more.csv=2, mine.csv, more.csv, new.csv")]
    )
    assert [(one.path, one.split, one.weight) for one in changed.datasets] == [
        ("more.csv", "b", 2),
        ("mine.csv", "a", 1),
        ("more.csv", "c", 1),
        ("new.csv", "", 1),
    ]
    with pytest.raises(TrainingError, match="up to 100"):
        read_values(RECIPE, [(datasets, "mine.csv=200")])


def test_scorers_with_options_are_typed_as_a_bench_has_them():
    import msgspec

    text = 'exact_match, judge: {"model":"mine","rubric":"Is it polite, and short?"}'
    typed = read_values(RECIPE, [(FIELDS["scorers"], text)])
    assert typed.scorers == ("exact_match", {"judge": {"model": "mine", "rubric": "Is it polite, and short?"}})
    assert write_value(FIELDS["scorers"], msgspec.to_builtins(typed)) == text
    with pytest.raises(TrainingError, match="as a bench has them"):
        read_values(RECIPE, [(FIELDS["scorers"], "judge: {model: ")])


def test_data_fields_that_are_emptied_leave_the_benchs_own_data():
    changed = read_values(RECIPE, [(FIELDS["train.where"], "kind=note"), (FIELDS["auto_split.seed"], "5")])
    assert changed.train is not None and changed.train.path == ""
    assert read_values(changed, [(FIELDS["train.where"], ""), (FIELDS["auto_split.seed"], "")]) == RECIPE


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
    preview = RowPreview(3, (PreviewToken("Where? ", False), PreviewToken("Lantern", True)))
    found = DryRun(
        "desk", "lora", 400, 100, 20_000, 800, 67, 1024, 250, 10.0, 0.002, 81_920, 1_400_000, "cpu", "float32", 2,
        notes=("3 training rows are longer than 250 tokens.",), seconds=80.0, previews=(preview,),
    )  # fmt: skip
    text = describe_dry_run(found)
    assert "400 for training, 100 for validation" in text.plain
    assert "about 1:20" in text.plain
    assert "3 training rows are longer" in text.plain
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
        job_dir = job_dir_of(folder)
        write(job_dir, BEGAN, STEP, EXAMINED)
        screen.state.jobs.follow(TrainingJob(job_dir))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
        training = pilot.app.screen
        samples = training.query_one("#job-samples", Static)
        await until(pilot, lambda: "Where is my parcel?" in str(samples.visual))
        write(job_dir, JobEnded(4.0, "done", "It came to its end.", adapter=str(adapter)))
        screen.state.jobs.poll()  # as the bench does now and then, which must not keep it from the screen
        sentence = training.query_one("#job-sentence", Static)
        await until(pilot, lambda: "It came to its end." in str(sentence.visual))
        await pilot.press("f4")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: len(screen.panes) == 5)
        assert screen.session.variants[1].name == "plain + plain-lora"
        assert screen.session.variants[1].adapters[0].adapter == str(adapter)


async def test_the_form_explains_each_field_and_says_what_is_wrong(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        job_dir = job_dir_of(folder)
        write(job_dir, BEGAN)
        screen.state.jobs.follow(TrainingJob(job_dir))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
        training = pilot.app.screen
        rank = training.query_one("#recipe-method-rank", Input)
        rank.focus()
        told = training.query_one("#recipe-explanation", Label)
        await until(pilot, lambda: "rank of the matrices" in str(told.visual))
        rank.value = "lots"
        await until(pilot, lambda: "expected a whole number" in str(told.visual))
        assert training.recipe.method.rank == 4
        rank.value = "12"
        await until(pilot, lambda: training.recipe.method.rank == 12)


async def open_training(pilot, folder: Path, *events) -> TrainingScreen:
    screen = await settled(pilot)
    job_dir = job_dir_of(folder)
    write(job_dir, *events)
    screen.state.jobs.follow(TrainingJob(job_dir))
    await pilot.press("f9")
    await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
    return pilot.app.screen


async def test_the_form_shows_what_most_trainings_differ_in_and_folds_the_rest(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        training = await open_training(pilot, folder, BEGAN)
        form = training.form
        first = [field.id for field in form.query(Input) if field.display and field.parent.parent.id is None]
        assert first == [
            "recipe-name",
            "recipe-method-rank",
            "recipe-training-epochs",
            "recipe-training-max-steps",
            "recipe-training-learning-rate",
        ]
        folded, more = form.query_one("#recipe-folded"), form.query_one("#recipe-more", Button)
        assert not folded.display
        more.focus()
        await pilot.press("enter")
        await until(pilot, lambda: folded.display)
        form.query_one("#recipe-training-batch-size", Input).value = "4"
        await until(pilot, lambda: training.recipe.training.batch_size == 4)
        count = len(form.query(Input)) - len(first)
        said = sum(bool(field.value) for field in folded.query(Input))
        await until(pilot, lambda: f"{count} fields, {said} set" in str(more.label))


async def test_what_empty_fields_will_be_is_shown_where_it_is_known_and_taken_back_by_an_edit(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        training = await open_training(pilot, folder, BEGAN)
        rate = training.query_one("#recipe-training-learning-rate", Input)
        data = training.query_one("#recipe-data", Label)
        await until(pilot, lambda: rate.placeholder == "auto: 0.002")
        assert training.query_one("#recipe-evaluation-eval-steps", Input).placeholder == "auto: 10"
        assert "400 rows, 100 for validation" in str(data.visual)
        training.query_one("#recipe-method-rank", Input).value = "16"
        await until(pilot, lambda: rate.placeholder == "auto")
        assert "rows" not in str(data.visual)


async def test_the_plots_have_a_legend_and_the_whole_training_on_their_axis(app, folder):
    async with app.run_test(size=WIDE) as pilot:
        training = await open_training(pilot, folder, BEGAN, STEP, EXAMINED)
        for id, label in (("#job-loss", "train"), ("#job-score", "validation")):
            plot = training.query_one(id, PlotWidget)
            await until(pilot, lambda plot=plot: (plot._user_x_min, plot._user_x_max) == (0.0, 20.0))
            legend = plot.query_one("#legend")
            await until(pilot, lambda legend=legend, label=label: label in str(legend.render()))
            assert legend.display


async def test_a_job_has_a_narrow_screen_to_itself_until_f2_shows_the_form(app, folder):
    async with app.run_test(size=NARROW) as pilot:
        training = await open_training(pilot, folder, BEGAN, STEP, EXAMINED)
        plot = training.query_one("#job-loss", PlotWidget)
        await until(pilot, lambda: plot.size.height >= 8 and not training.form.display)
        await pilot.press("f2")
        await until(pilot, lambda: training.form.display)
        await pilot.press("f2")
        await until(pilot, lambda: not training.form.display)


def test_a_job_that_is_resumed_says_so_until_its_process_does():
    events = [BEGAN, STEP, JobEnded(4.0, "stopped", "Stopped after step 10.")]
    assert "resuming from the last checkpoint" in describe_state(events, alive=True).plain
    assert describe_sentence(events, alive=True).plain == ""
    assert "resuming" not in describe_state(events, alive=False).plain
    assert "Stopped after step 10." in describe_sentence(events).plain


def test_a_dry_run_tells_what_empty_fields_will_be():
    found = DryRun("desk", "lora", 400, 100, 9000, 400, 60, 1024, 200, 8.0, 0.0021, 1, 2, "cpu", "float32", 2)
    values = of_dry_run(RECIPE, found)
    assert (values["training.learning_rate"], values["training.max_steps"]) == ("0.0021", "200, by epochs")
    assert (values["evaluation.eval_steps"], values["training.max_length"]) == ("20", "1,024")
    assert describe_data(RECIPE, 400, 100) == "demo.bench.yaml, plain · 400 rows, 100 for validation"


async def test_a_freshly_trained_adapter_is_in_every_list_at_once(app, folder):
    """Trained by another process while the browser is open: nothing is restarted or reopened."""
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        assert screen.session.adapters == ()
        screen.action_do("browse_models")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
        browser = pilot.app.screen
        path = add_adapter("fresh", 1.7e9, 0.9)
        job_dir = job_dir_of(folder)
        write(job_dir, BEGAN, JobEnded(4.0, "done", "It came to its end.", adapter=str(path)))
        screen.state.jobs.follow(TrainingJob(job_dir))
        await until(pilot, lambda: [one.name for one in screen.session.adapters] == ["fresh"])
        await until(pilot, lambda: [option.id for option in browser.adapters.options] == ["fresh"])
        path.rename(folder / "elsewhere")
        screen.session.refresh_adapters()
        assert screen.session.adapters == ()


SAMPLED = {"reward": 0.25, "KL": 0.01, "sampled style": 0.8}
ANSWERED = SampledAnswer(10, 3, "Where is my parcel?", "Lantern", "Abacus", 0.25, {"style": 0.8})


async def test_a_job_that_samples_answers_shows_rewards_scorers_and_the_answers(app, folder):
    steps = [msgspec.structs.replace(STEP, step=step, metrics=SAMPLED) for step in (1, 10)]
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_training(pilot, folder, BEGAN, *steps, EXAMINED)
        text = str(screen.query_one("#job-samples", Static).visual)
        assert "reward" in text and "0.250 → 0.250" in text
        assert "style" in text and "0.800 → 0.800" in text
        await pilot.press("f11")
        await until(pilot, lambda: any("sampled no answers" in notice.title for notice in app._notifications))
        append_answers(screen.jobs.job.job_dir.folder, [ANSWERED])
        await pilot.press("f11")
        await until(pilot, lambda: isinstance(app.screen, TextViewer))
        shown = app.screen.query_one(TextArea).text
        assert "update 10" in shown and "case 3: reward 0.250   style 0.800" in shown and "Abacus" in shown


def test_a_preference_section_comes_with_its_first_field_and_goes_with_its_last():
    fields = [(FIELDS["objective"], "dpo"), (FIELDS["preference.path"], "pairs.jsonl")]
    recipe = read_values(RECIPE, fields)
    assert recipe.preference is not None and recipe.preference.path == "pairs.jsonl"
    emptied = read_values(recipe, [(FIELDS["objective"], ""), (FIELDS["preference.path"], "")])
    assert emptied == RECIPE
