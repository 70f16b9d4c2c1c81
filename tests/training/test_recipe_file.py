from __future__ import annotations

import pytest
from lesson import RECIPE, open_lesson, read

from workbench.errors import ModelError, TrainingError, WorkbenchError
from workbench.settings import Settings
from workbench.training.method import Method
from workbench.training.recipe import Recipe
from workbench.training.recipe_fields import list_fields, list_sections
from workbench.training.recipe_file import load_recipe, parse_recipe, save_recipe
from workbench.training.task import open_task, recipe_from_bench


def test_saving_keeps_comments_and_order(lesson):
    path = lesson / "my.recipe.yaml"
    path.write_text("# why\nprompt: ask  # the short one\nbase: tiny\ntrain: {path: train.jsonl}\n")
    recipe = load_recipe(path)
    save_recipe(path, Recipe(base="tiny", prompt="ask", train=recipe.train, method=Method(rank=4)))
    text = path.read_text()
    assert text.startswith("# why\nprompt: ask  # the short one\nbase: tiny\n")
    assert load_recipe(path).method.rank == 4


def test_everything_wrong_is_told_at_once_with_its_line():
    with pytest.raises(TrainingError) as caught:
        parse_recipe("base: x\nmethod:\n  kind: lorra\n  rang: 8\ntraining: {epochs: many}\n", "my.recipe.yaml")
    assert "line 3: method.kind" in caught.value.message
    assert "line 4: method.rang: unknown key; did you mean rank?" in caught.value.message
    assert "line 5: training.epochs" in caught.value.message


def test_values_that_cannot_be_are_told_at_once():
    with pytest.raises(TrainingError) as caught:
        parse_recipe("base: x\nmethod: {rank: 0, dropout: 2}\ntraining: {batch_size: 0, learning_rate: -1}\n", "it")
    for words in (
        "prompt:",
        "train:",
        "method.rank",
        "method.dropout",
        "training.batch_size",
        "training.learning_rate",
    ):
        assert words in caught.value.message


def test_every_field_is_explained():
    fields = list_fields()
    assert len(fields) > 50
    assert [field.path for field in fields if not field.explanation] == []
    assert [section.path for section in list_sections() if not section.explanation] == []
    assert next(field for field in fields if field.path == "method.kind").choices[0] == "lora"
    assert next(field for field in fields if field.path == "base").required


def test_a_gguf_base_is_refused_with_what_to_name_instead(lesson, desk_gguf):
    with pytest.raises(ModelError) as caught:
        open_lesson(lesson, f"base: {desk_gguf}")
    assert "not be trained" in caught.value.message
    assert str(desk_gguf.with_name("desk")) in caught.value.hint


def test_missing_rows_say_which_rows_are_meant(lesson):
    (lesson / "empty.jsonl").write_text("")
    with pytest.raises(WorkbenchError, match="No rows to train on"):
        open_lesson(lesson, "train: {path: empty.jsonl}")


def test_a_file_with_splits_beside_it_is_examined_on_its_validation_split(lesson):
    text = "\n".join(line for line in RECIPE.splitlines() if not line.startswith("validation"))
    task = open_task(parse_recipe(text, "it"), lesson, Settings())
    assert task.validation is not None
    assert task.validation.path.name == "validation.jsonl"


def test_a_bench_brings_its_own_train_split_prompt_and_scorers(lesson, desk_hf):
    bench = desk_hf.parents[1] / "prompts" / "demo.bench.yaml"
    recipe = recipe_from_bench(bench, "plain", Settings())
    assert recipe.base == str(desk_hf)
    task = open_task(recipe, lesson, Settings())
    assert task.train is not None
    assert task.validation is not None
    assert (task.train.path.name, len(task.train), len(task.validation)) == ("train.jsonl", 400, 100)
    assert (task.prompt and task.prompt.name, task.scorers) == ("queues/plain", ("exact_match",))
    assert task.target is not None
    assert task.target.format == "gguf"


def test_a_variant_that_is_not_there_is_told_with_those_that_are(lesson, desk_hf):
    with pytest.raises(TrainingError) as caught:
        recipe_from_bench(desk_hf.parents[1] / "prompts" / "demo.bench.yaml", "plane", Settings())
    assert "few-shot, warm" in caught.value.hint


def test_the_recipe_of_the_tests_is_one():
    assert read("method: {kind: ia3}").method.kind == "ia3"
