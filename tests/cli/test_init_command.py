from __future__ import annotations

import json
import re

import pytest

from workbench.cli import terminal

REVIEWS = "review,label\n" + "".join(f"Review {n},{'ab'[n % 2]}\n" for n in range(9))


@pytest.fixture
def reviews(folder):
    (folder / "reviews.csv").write_text(REVIEWS)
    return folder / "reviews.csv"


def test_init_prints_what_it_made_and_the_next_command(call, reviews, folder):
    code, out, err = call("init", "reviews.csv", "--model", "desk.script.json")
    assert (code, err) == (0, "")
    assert "Task: classify into labels: a, b." in out
    assert "6 cases remain" in out
    assert "Next: workbench reviews.bench.yaml" in out
    made = re.findall(r"^Made (.*)$", out, re.MULTILINE)
    prompts = ("examples.jsonl", "few-shot.prompty", "zero-shot.prompty")
    assert sorted(made) == ["reviews.bench.yaml", *(f"reviews/{name}" for name in prompts)]
    assert all((folder / name).is_file() for name in made)
    code, out, _ = call("compare", "reviews.bench.yaml", "--json")
    assert code == 0
    assert call("init", "reviews.csv", "--model", "desk.script.json")[0] == terminal.USAGE


def test_init_as_json(call, reviews):
    code, out, _ = call("init", "reviews.csv", "--model", "desk.script.json", "--json", "--name", "mine")
    told = json.loads(out)
    assert (code, told["task"], told["cases"], told["labels"]) == (0, "classify", 6, ["a", "b"])
    assert told["bench"].endswith("mine.bench.yaml")


def test_an_unknown_task_is_refused(call, reviews):
    code, _, err = call("init", "reviews.csv", "--task", "sing")
    assert (code, "classify, extract, answer, text" in err) == (2, True)


def test_a_data_file_is_opened_as_a_bench_that_is_made_once(call, reviews, folder, monkeypatch):
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    opened = []

    def screen(bench, model):
        opened.append(bench)
        return 0

    code, _, err = call("reviews.csv", screen=screen)
    assert (code, "Made reviews.bench.yaml" in err) == (0, True)
    code, _, err = call("reviews.csv", screen=screen)
    assert (code, "Opening reviews.bench.yaml" in err, "Made" in err) == (0, True, False)
    assert [path.resolve() for path in opened] == [folder / "reviews.bench.yaml"] * 2


def test_a_bench_that_is_not_there_says_how_to_make_it(call, reviews):
    code, _, err = call("reviews.bench.yaml")
    assert (code, "workbench init reviews.csv" in err) == (2, True)
    code, _, err = call("new.bench.yaml")
    assert (code, "workbench init CASES.csv --name new" in err) == (2, True)


def test_without_a_terminal_a_data_file_makes_nothing_and_says_what_would(call, reviews, folder):
    code, _, err = call("reviews.csv")
    assert (code, "use: workbench init reviews.csv" in err) == (2, True)
    assert not (folder / "reviews.bench.yaml").exists()
