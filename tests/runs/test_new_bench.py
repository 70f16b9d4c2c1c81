from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.datasets import load_cases
from workbench.errors import BenchError, DatasetError, FileError, ModelError, WorkbenchError
from workbench.library.library import Library
from workbench.prompting.render import render
from workbench.runs.bench import load_bench
from workbench.runs.new_bench import BenchRequest, create_bench, plan_bench
from workbench.runs.task_kind import find_expected_column
from workbench.scoring.factory import make_scorers
from workbench.settings import Settings

LABELS = ["positive", "negative", "neutral"]
REVIEWS = "review,sentiment\n" + "".join(f"Review number {n},{LABELS[n % 3]}\n" for n in range(12))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    (work / "m.script.json").write_text('{"rules": [{"reply": "positive"}]}')
    monkeypatch.chdir(work)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return work


def make(folder, file, text, **said):
    """The plan, the bench as it reads again, and its cases, each of which every prompt can be rendered for."""
    path = folder / file
    path.write_text(text)
    planned = plan_bench(BenchRequest(path, "m.script.json", **said), Settings())
    made = create_bench(planned)
    assert set(made) == set(planned.paths)
    bench = load_bench(planned.path)
    cases = load_cases(bench.dataset, folder)
    make_scorers(bench.scorers, folder)
    for variant in bench.variants:
        prompt = Library(folder).open(variant.prompt).prompt
        assert render(prompt, cases[0].values, prompt.examples)
    assert len(cases) == planned.cases
    assert not Path(bench.dataset.path).is_absolute()
    return planned, bench, cases


def test_labels_are_a_classification_with_examples_that_are_no_cases(folder):
    planned, bench, cases = make(folder, "reviews.csv", REVIEWS)
    assert (planned.task.kind, sorted(planned.task.labels)) == ("classify", sorted(LABELS))
    assert bench.scorers[0] == "exact_match"
    assert [variant.name for variant in bench.variants] == ["zero-shot", "few-shot"]
    examples = Library(folder).open("reviews/few-shot").prompt.examples
    assert {example.answer for example in examples} == set(LABELS)
    assert len(cases) == 9
    assert not {example.variables["review"] for example in examples} & {case.variables["review"] for case in cases}
    assert bench.case == cases[0].number


def test_a_row_that_repeats_an_example_is_no_case_either(folder):
    text = "review,label\n" + "".join(f"Same,{label}\n" for label in ["a", "a"]) + "x,b\ny,a\nz,b\nw,a\n"
    _, _, cases = make(folder, "r.csv", text)
    assert "Same" not in {case.variables["review"] for case in cases}


def test_examples_come_from_a_train_split_where_there_is_one(folder):
    (folder / "train.csv").write_text("review,label\n" + "".join(f"Train {n},{'ab'[n % 2]}\n" for n in range(6)))
    _, bench, cases = make(
        folder, "test.csv", "review,label\n" + "".join(f"Test {n},{'ab'[n % 2]}\n" for n in range(6))
    )
    examples = Library(folder).open("test/few-shot").prompt.examples
    assert len(cases) == 6
    assert bench.dataset.exclude == ()
    assert examples
    assert all(example.variables["review"].startswith("Train") for example in examples)


def test_the_training_file_named_means_its_test_split(folder):
    (folder / "test.csv").write_text("review,label\n" + "".join(f"Test {n},{'ab'[n % 2]}\n" for n in range(6)))
    _, bench, _ = make(folder, "train.csv", "review,label\n" + "".join(f"T {n},{'ab'[n % 2]}\n" for n in range(6)))
    assert bench.dataset.split == "test"


def test_a_split_column_divides_one_file(folder):
    rows = [f"R{n},{'ab'[n % 2]},{'train' if n < 4 else 'test'}\n" for n in range(10)]
    _, bench, cases = make(folder, "all.csv", "review,label,split\n" + "".join(rows))
    assert bench.dataset.where == {"split": "test"}
    assert len(cases) == 6
    examples = Library(folder).open("all/few-shot").prompt.examples
    assert {example.variables["review"] for example in examples} <= {"R0", "R1", "R2", "R3"}


def test_expected_json_is_an_extraction(folder):
    rows = [{"mail": f"Mail {n}", "expected": {"name": f"N{n}", "day": "Monday"}} for n in range(6)]
    planned, bench, _ = make(folder, "mails.jsonl", "\n".join(map(json.dumps, rows)))
    assert (planned.task.kind, planned.task.keys) == ("extract", ("name", "day"))
    assert bench.scorers == ("json_fields", "json_valid")


def test_numbers_and_long_texts(folder):
    planned, bench, _ = make(folder, "sums.csv", "question,answer\n" + "".join(f"{n}+{n},{2 * n}\n" for n in range(30)))
    assert (planned.task.kind, bench.scorers[0]) == ("answer", "numeric_match")
    long = "".join(f"Doc {n},{'A long summary of it. ' * 6}{n}\n" for n in range(6))
    planned, bench, _ = make(folder, "docs.csv", "document,summary\n" + long)
    assert (planned.task.kind, bench.scorers[0]) == ("text", "token_f1")
    assert bench.variants[0].sampling.max_tokens >= 256


def test_columns_of_unknown_names_have_no_expected_answer(folder):
    planned, bench, _ = make(folder, "x.csv", "foo,bar\n1,2\n3,4\n5,6\n7,8\n")
    assert planned.task.kind == "text"
    assert bench.scorers == ("output_length",)
    assert len(bench.variants) == 1
    assert "--expected" in " ".join(planned.notes)
    _, bench, _ = make(folder, "z.csv", "foo,bar\n1,2\n3,4\n5,6\n7,8\n", expected="bar")
    assert (bench.dataset.expected, len(bench.variants)) == ("bar", 2)
    with pytest.raises(DatasetError, match="no column 'baz'"):
        make(folder, "y.csv", "foo,bar\n1,2\n", expected="baz")


def test_semicolons_and_one_row(folder):
    planned, _, _ = make(folder, "semi.csv", REVIEWS.replace(",", ";"))
    assert planned.task.kind == "classify"
    planned, bench, _ = make(folder, "one.csv", "review,label\nGood,positive\n")
    assert (planned.cases, len(bench.variants)) == (1, 1)


@pytest.mark.parametrize("text", ["", "review,label\n"])
def test_an_empty_file_makes_nothing(folder, text):
    before = set(folder.iterdir())
    with pytest.raises(DatasetError):
        make(folder, "empty.csv", text)
    assert set(folder.iterdir()) - before == {folder / "empty.csv"}


def test_names_that_no_template_can_say(folder):
    header = 'Review Text,class,{{ x }},"{% raw %}",for,answer,expected\n'
    rows = "".join(f"a{n},b,c,d,e,f,{'{{ y }}' if n % 2 else 'user:'}\n" for n in range(8))
    _, bench, cases = make(folder, "hostile.csv", header + rows)
    assert set(bench.dataset.columns) == set(cases[0].variables)
    assert all(name.isidentifier() for name in bench.dataset.columns)
    prompt = Library(folder).open("hostile/zero-shot").prompt
    system = render(prompt, cases[0].values, ())[0].content
    assert "{{ y }}" in system
    assert "- user:" in system


@pytest.mark.parametrize("name", [".hidden.csv", "a\nb.csv", "-x.csv", "my reviews (1).csv", "…csv.csv", "a\\b.csv"])
def test_file_names_that_are_no_prompt_names(folder, name):
    planned, _, cases = make(folder, name, REVIEWS)
    assert planned.path.parent == folder
    assert len(cases) == 9


def test_nothing_is_overwritten(folder):
    make(folder, "reviews.csv", REVIEWS)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BenchError, match="Nothing was made"):
        make(folder, "reviews.csv", REVIEWS)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    make(folder, "reviews.csv", REVIEWS, name="other")
    assert (folder / "other.bench.yaml").exists()


def test_a_failure_in_the_middle_leaves_nothing(folder, monkeypatch):
    (folder / "reviews.csv").write_text(REVIEWS)
    planned = plan_bench(BenchRequest(folder / "reviews.csv", "m.script.json"), Settings())
    before = {path for path in folder.rglob("*") if path.is_file()}

    def fail(*_):
        raise FileError("The disk is full.")

    monkeypatch.setattr("workbench.runs.new_bench.save_bench", fail)
    with pytest.raises(FileError):
        create_bench(planned)
    assert before == {path for path in folder.rglob("*") if path.is_file()}


def test_rows_that_cannot_be_read_are_left_out_and_said(folder):
    rows = [json.dumps({"q": f"Q{n}", "expected": "ab"[n % 2]}) for n in range(8)]
    planned, bench, cases = make(folder, "b.jsonl", "\n".join([*rows, "broken"]))
    assert bench.dataset.on_error == "skip"
    assert cases.skipped == 1
    assert "cannot be read" in " ".join(planned.notes)


def test_a_model_and_a_file_that_are_not_there(folder):
    (folder / "r.csv").write_text(REVIEWS)
    with pytest.raises(ModelError):
        plan_bench(BenchRequest(folder / "r.csv", "nowhere"), Settings())
    with pytest.raises(WorkbenchError, match="No such file"):
        plan_bench(BenchRequest(folder / "gone.csv"), Settings())


def test_without_a_model_the_first_found_is_named(folder):
    (folder / "r.csv").write_text(REVIEWS)
    planned = plan_bench(BenchRequest(folder / "r.csv"), Settings())
    assert planned.bench.variants[0].model
    assert any(note.startswith("Model: ") for note in planned.notes)


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [(["text", "Label"], "Label"), (["answer", "label"], "label"), (["label"], ""), (["a", "b"], "")],
)
def test_the_expected_column_by_its_name(columns, wanted):
    assert find_expected_column(columns) == wanted


def test_a_blank_answer_is_no_label(folder):
    text = "review,label\n" + "".join(f"R{n},{['a', 'b', ' '][n % 3]}\n" for n in range(9))
    planned, _, _ = make(folder, "blank.csv", text)
    assert planned.task.labels == ("a", "b")


def test_a_large_file_is_counted_whole_and_excluded_rows_are_among_its_first(folder):
    text = "review,label\n" + "".join(f"R{n},{'ab'[n % 2]}\n" for n in range(3000))
    planned, bench, cases = make(folder, "large.csv", text)
    assert planned.cases == 3000 - len(bench.dataset.exclude)
    assert cases[len(cases) - 1].number == 3000


def test_panes_are_chosen_and_without_examples_every_row_is_a_case(folder):
    planned, bench, cases = make(folder, "reviews.csv", REVIEWS, panes=("zero-shot", "adapter"), adapter="mine")
    assert [variant.name for variant in bench.variants] == ["zero-shot", "adapter"]
    assert [choice.adapter for choice in bench.variants[1].adapters] == ["mine"]
    assert bench.variants[1].prompt == bench.variants[0].prompt
    assert len(cases) == planned.rows == 12
    assert not (folder / "reviews/few-shot.prompty").exists()


def test_scorers_are_chosen_among_those_that_fit(folder):
    planned, bench, _ = make(folder, "reviews.csv", REVIEWS, scorers=("normalized_match",))
    assert bench.scorers == ("normalized_match",)
    assert planned.fitting == ("exact_match", "accuracy", "normalized_match")


@pytest.mark.parametrize(
    "said", [{"panes": ()}, {"panes": ("adapter",)}, {"scorers": ()}, {"scorers": ("no_such_scorer",)}]
)
def test_a_bench_without_panes_or_scorers_is_refused(folder, said):
    (folder / "r.csv").write_text(REVIEWS)
    with pytest.raises(BenchError):
        plan_bench(BenchRequest(folder / "r.csv", "m.script.json", **said), Settings())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("r.csv", REVIEWS),
        ("n.csv", "question,answer\n" + "".join(f"What is {n} plus one,{n + 1}\n" for n in range(30))),
        ("s.csv", "question,answer\n" + "".join(f"Who is {n},Person {n}\n" for n in range(30))),
        ("t.csv", "text,summary\n" + "".join(f"Story {n},{'It went on. ' * 10}{n}\n" for n in range(30))),
        ("j.csv", "text,expected\n" + "".join(f'Story {n},"{{""a"": {n}}}"\n' for n in range(30))),
        ("u.csv", "text\nHello\nWorld\n"),
    ],
)
def test_every_scorer_that_is_offered_can_be_made(folder, file, text):
    (folder / file).write_text(text)
    request = BenchRequest(folder / file, "m.script.json")
    offered = plan_bench(request, Settings()).fitting
    all_of_them = plan_bench(replace(request, scorers=offered), Settings())
    assert len(make_scorers(all_of_them.bench.scorers, folder)) == len(offered)
