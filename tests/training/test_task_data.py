"""The rows that a recipe means: one file divided, rows that are held out never trained on, several datasets mixed."""

from __future__ import annotations

import json

import msgspec
import pytest
from lesson import WORDS, read

from workbench.cli.train_data import DataOptions
from workbench.datasets.auto_split import PARTS
from workbench.datasets.spec import AutoSplit, Dataset
from workbench.errors import TrainingError
from workbench.runs.bench import load_bench
from workbench.runs.data_splits import find_data_splits
from workbench.search.splits import find_search_splits
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.bench_splits import BenchSplits
from workbench.training.file_check import check_file
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import parse_recipe
from workbench.training.task import open_task

BENCH = """\
dataset: {path: cases.csv}
scorers: [exact_match]
models: {mine: {path: tiny}}
variants:
  - {name: plain, prompt: ask, model: mine}
"""
ROWS = [(f"Where is my {WORDS[n % 4]} {n}?", f"c{n % 20}", WORDS[n % 4]) for n in range(60)]


@pytest.fixture
def one_file(lesson):
    """A bench on one file without splits."""
    for name in ("train.jsonl", "validation.jsonl"):
        (lesson / name).unlink()
    write(lesson / "cases.csv", ROWS)
    (lesson / "my.bench.yaml").write_text(BENCH)
    return lesson


def write(path, rows):
    path.write_text("message,customer,expected\n" + "".join(",".join(row) + "\n" for row in rows))


def open_bench(folder, changes: str = ""):
    return open_task(parse_recipe(f"base: mine\nbench: my.bench.yaml\n{changes}", "test"), folder, Settings(), "my")


def messages(cases):
    return {case.variables["message"] for case in cases}


def list_parts(task):
    return [messages(part) for part in (task.train, task.validation, task.test)]


def test_one_file_without_splits_is_divided(one_file):
    task = open_bench(one_file)
    parts = list_parts(task)
    assert [len(part) for part in parts] == [27, 9, 24]
    assert set.union(*parts) == messages(load_whole(one_file))
    assert task.base.name == "mine"  # the bench's own model
    auto = task.recipe.auto_split
    assert auto is not None and auto.test == 0.4
    assert f"seed {auto.seed}: 27 train, 9 validation, 24 test" in task.data_notes[0]


def load_whole(folder):
    from workbench.datasets import load_cases

    return load_cases(Dataset("cases.csv"), folder)


def test_the_split_stays_when_rows_are_appended_and_is_the_verdicts_and_a_searches(one_file):
    before = list_parts(open_bench(one_file))
    write(one_file / "cases.csv", [*ROWS, *((f"New {n}", "c1", "here") for n in range(40))])
    task = open_bench(one_file)
    after = list_parts(task)
    assert all(old <= new for old, new in zip(before, after, strict=True))
    bench = load_bench(one_file / "my.bench.yaml")
    store = Store(one_file.parent / "home" / "data" / "workbench.sqlite")
    splits = BenchSplits(bench, one_file / "my.bench.yaml", store)
    assert [messages(splits.cases(part)) for part in PARTS] == after
    found = find_search_splits(bench.dataset, one_file, store, {})
    store.close()
    assert messages(found.test) == after[2]
    assert messages(found.train) <= after[0]


def test_a_verdict_divides_nothing_that_nobody_divided(one_file):
    store = Store(one_file / "other.sqlite")
    splits = BenchSplits(load_bench(one_file / "my.bench.yaml"), one_file / "my.bench.yaml", store)
    assert len(splits.cases("test")) == 60 and not splits.has("validation") and not splits.how
    store.close()


def test_groups_stay_whole_and_are_counted(one_file):
    (one_file / "my.bench.yaml").write_text(BENCH.replace("cases.csv", "cases.csv, group: customer"))
    task = open_bench(one_file)
    groups = [{case.variables["customer"] for case in part} for part in (task.train, task.validation, task.test)]
    assert all(groups) and len(set.union(*groups)) == 20 == sum(map(len, groups))
    assert "by customer" in task.data_notes[0] and f"({len(groups[0])} groups)" in task.data_notes[0]


def test_a_group_that_the_recipe_names_is_also_that_of_the_test_split_and_of_a_verdict(one_file):
    task = open_bench(one_file, "train: {path: '', group: customer}")
    groups = [{case.variables["customer"] for case in part} for part in (task.train, task.validation, task.test)]
    assert all(groups) and len(set.union(*groups)) == 20 == sum(map(len, groups))
    assert not any("left out" in note for note in task.data_notes)
    auto = task.recipe.auto_split
    assert auto is not None and auto.group == "customer"
    splits = BenchSplits(load_bench(one_file / "my.bench.yaml"), one_file / "my.bench.yaml", auto=auto)
    assert messages(splits.cases("test")) == messages(task.test)


def test_a_row_whose_prompt_is_held_out_is_never_trained_on(one_file):
    """The prompt shows the message alone: the same message of another customer is the same input."""
    twice = [*ROWS, *((message, "another", answer) for message, _, answer in ROWS)]
    write(one_file / "cases.csv", twice)
    task = open_bench(one_file)
    train, validation, test = list_parts(task)
    assert train and not train & validation and not train & test
    assert any("training rows are left out: validation or test holds the same input" in one for one in task.data_notes)


def test_a_filter_or_a_mapping_of_the_same_file_trains_on_no_test_row(one_file):
    sealed = list_parts(open_bench(one_file))[2]
    task = open_bench(one_file, "train: {path: '', where: {customer: [c1, c2, c3, c4, c5, c6, c7]}}")
    assert {case.variables["customer"] for case in task.train} <= {f"c{n}" for n in range(1, 8)}
    assert not messages(task.train) & sealed and messages(task.test) == sealed
    again = open_bench(one_file, "train: {path: cases.csv, columns: {message: message}}")
    assert not messages(again.train) & sealed


def test_train_and_test_without_validation_holds_out_some_of_train(one_file):
    for name, rows in (("train", ROWS), ("test", [(f"Test {n}", "c", "here") for n in range(9)])):
        write(one_file / f"{name}.csv", rows)
    (one_file / "my.bench.yaml").write_text(BENCH.replace("cases.csv", "test.csv"))
    train, validation, test = list_parts(task := open_bench(one_file))
    assert (len(train), len(validation), len(test)) == (51, 9, 9)
    assert "test is the split test" in task.data_notes[0]


def test_a_recipe_says_its_shares_or_that_nothing_is_held_out(one_file):
    some = open_bench(one_file, "auto_split: {seed: 5, validation: 0.3, test: 0.2}")
    assert some.recipe.auto_split == AutoSplit(5, 0.3, 0.2)
    text = "train: {path: cases.csv}\nprompt: ask\nlibrary: .\nbase: tiny\n"
    assert len(open_task(parse_recipe(text, "test"), one_file, Settings()).validation) == 9
    none = open_task(parse_recipe(text + "auto_split: {validation: 0, test: 0}", "test"), one_file, Settings())
    assert (len(none.train), none.validation) == (60, None)


def test_several_datasets_are_mixed_by_weight_with_counts(lesson):
    (lesson / "more.jsonl").write_text("".join(json.dumps({"q": f"More {n}", "a": "here"}) + "\n" for n in range(20)))
    changes = (
        "train:\ndatasets: [{path: train.jsonl, weight: 2.5},"
        " {path: more.jsonl, columns: {message: q}, expected: a, weight: 0.5}]"
    )
    tasks = [open_task(read(changes), lesson, Settings(), "mixed") for _ in range(2)]
    drawn = [[(case.number, case.variables["message"]) for case in task.train] for task in tasks]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 40 and len(set(drawn[0])) == 22
    assert tasks[0].data_notes == (
        "train.jsonl: 30 rows drawn from 12 (weight 2.5), 18 of them repeated.",
        "more.jsonl: 10 rows drawn from 20 (weight 0.5), 10 left out.",
    )
    assert [case.number for case in tasks[0].train[30:32]] == [one for one, _ in drawn[0][30:32]]
    other = open_task(read(changes.replace("0.5", "0.25")), lesson, Settings())
    assert other.train.digest != tasks[0].train.digest


def test_each_of_several_datasets_gets_its_own_validation_rows(one_file):
    write(one_file / "more.csv", [(f"More {n}", "d", "here") for n in range(20)])
    task = open_bench(one_file, "datasets: [{path: ''}, {path: more.csv, weight: 2}]")
    held, train = messages(task.validation), messages(task.train)
    assert any(one.startswith("More") for one in held) and any(one.startswith("Where") for one in held)
    assert not train & held and not train & messages(task.test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"datasets": ({"path": "a.jsonl"},), "train": {"path": "b.jsonl"}}, "found both"),
        ({"datasets": ({"path": "a.jsonl", "weight": 0},)}, "weight: expected a number above 0"),
        ({"train": {"path": ""}}, "only with a bench"),
        ({"auto_split": {"validation": 0.6, "test": 0.5}}, "leave no rows to train on"),
    ],
)
def test_data_that_cannot_be_are_refused_in_words(changes, words):
    from workbench.training.recipe_problems import check_recipe

    values = {"base": "tiny", "prompt": "ask", **({} if "datasets" in changes else {"train": {"path": "a"}}), **changes}
    with pytest.raises(TrainingError, match=words):
        check_recipe(msgspec.convert(values, Recipe))


def test_options_of_the_command_line_say_which_data_and_base():
    recipe = Recipe(base="desk", bench="my.bench.yaml")
    one = DataOptions(["mine.csv"], "", ["a=1", "a=2", "b=3"], ["message=body"], "label", "who").change(recipe, "tiny")
    where = {"a": ("1", "2"), "b": "3"}
    assert one.train == Dataset("mine.csv", {"message": "body"}, "label", where=where, group="who")
    assert one.base == "tiny"
    two = DataOptions(["a.csv=2", "b=c.csv"], "", [], [], "", "").change(recipe, "")
    assert [(each.path, each.weight) for each in two.datasets] == [("a.csv", 2.0), ("b=c.csv", 1.0)]
    own = DataOptions([], "", ["b=3"], [], "", "").change(recipe, "")
    assert own.train == Dataset("", where={"b": "3"})
    with pytest.raises(TrainingError, match="needs no weight"):
        DataOptions(["a.csv=2"], "", [], [], "", "").change(recipe, "")
    with pytest.raises(TrainingError, match="--where b is incomplete"):
        DataOptions([], "", ["b"], [], "", "").change(recipe, "")


def test_an_empty_dataset_path_reads_the_benchs_own(one_file):
    splits = find_data_splits(Dataset("cases.csv"), one_file, None)
    assert splits.auto is not None and set(splits.parts) == set(PARTS)


def test_validate_takes_what_training_takes_and_names_what_it_refuses(one_file):
    recipe = one_file / "my.recipe.yaml"
    recipe.write_text(
        "base: mine\nbench: my.bench.yaml\n"
        "datasets:\n  - {path: '', where: {customer: c1}, weight: 2}\n  - {path: cases.csv}\n"
    )
    assert check_file(recipe, Settings()) == ()
    recipe.write_text("base: mine\nbench: my.bench.yaml\ndatasets:\n  - {path: ''}\n  - {path: gone.csv}\n")
    (found,) = check_file(recipe, Settings())
    assert "datasets[1]" in found.message and "gone.csv" in found.message
