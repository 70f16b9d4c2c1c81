from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from workbench.training.events import JobEnded, JobEvaluated, JobStarted, JobStep, Journal
from workbench.training.job_dir import create_job_dir
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.sampled_answers import SampledAnswer, append_answers

BENCH = Path(__file__).parents[2] / "prompts" / "demo.bench.yaml"


@pytest.fixture
def job(folder):
    """A job whose process is gone, with what it told."""
    job_dir = create_job_dir("mine", "base: desk\nprompt: ask\ntrain: {path: cases.jsonl}\n", folder, datetime.now())
    journal = Journal(job_dir.events)
    journal.write(JobStarted(1.0, 1, 0, 2, 1.0, 4, 2, 10, 100, "cpu", "float32", 0.1, 1))
    journal.write(JobStep(1.0, 1, 0.5, 2.5, 0.1, 1.0, 10, 5.0, 1, 1.0, 1.0))
    journal.write(JobEvaluated(1.0, 1, 2.0, 2.5, {"exact_match": 0.5}, 2, "exact_match", True))
    yield job_dir, journal
    journal.close()


@pytest.fixture
def adapter(folder, tmp_path):
    path = tmp_path / "home" / "data" / "adapters" / "mine"
    path.mkdir(parents=True)
    write_manifest(path, Manifest("mine", 1, 1.0, "lora", "desk", "d", "base: desk\n"))
    return path


def test_a_bench_becomes_a_recipe_that_can_be_kept(call, folder):
    code, _, err = call("train", "--bench", BENCH, "--variant", "plain", "--out", "my.recipe.yaml")
    assert code == 0, err
    text = (folder / "my.recipe.yaml").read_text()
    assert "variant: plain" in text
    code, _, err = call("train", "--bench", BENCH, "--out", "my.recipe.yaml")
    assert (code, "already exists" in err) == (2, True)


def test_what_is_missing_is_said_before_a_job_is_made(call, folder):
    (folder / "my.recipe.yaml").write_text("base: nowhere\nprompt: ask\ntrain: {path: cases.jsonl}\n")
    code, out, err = call("train", "my.recipe.yaml")
    assert (code, out) == (2, "")
    assert "nowhere" in err
    assert call("train", "--jobs", "--json")[1] == "[]\n"


def test_neither_recipe_nor_bench_is_told(call):
    code, _, err = call("train")
    assert (code, "Expected a recipe" in err) == (2, True)


def test_a_job_whose_process_was_killed_says_how_to_go_on(call, job):
    code, _, err = call("train", "--follow")
    assert code == 2
    assert "exact_match 50.0%" in err
    assert "--resume" in err
    assert json.loads(call("train", "--jobs", "--json")[1])[0]["state"] == "interrupted"


def test_a_job_that_ended_gives_its_adapter_on_stdout(call, job):
    _, journal = job
    journal.write(JobEnded(time.time(), "done", "It came to its end.", adapter="/there"))
    assert call("train", "--follow") == (0, "/there\n", pytest.approx(call("train", "--follow")[2]))
    assert "done" in call("train", "--jobs")[1]


def test_a_job_that_failed_ends_with_one(call, job):
    _, journal = job
    journal.write(JobEnded(time.time(), "failed", "It blew up.", "Try less."))
    code, out, err = call("train", "mine", "--follow")
    assert (code, out) == (1, "")
    assert "It blew up. Try less." in err


def test_events_can_be_had_as_json(call, job):
    _, journal = job
    journal.write(JobEnded(time.time(), "done", "It came to its end."))
    code, out, _ = call("train", "--follow", "--json")
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["started", "step", "evaluated", "ended"]


def test_a_job_that_does_not_run_cannot_be_steered(call, job):
    code, _, err = call("train", "--pause")
    assert (code, "is not running" in err) == (2, True)


def test_a_running_job_is_stopped_paused_and_resumed(call, job):
    job_dir, _ = job
    job_dir.record_process(os.getpid())
    assert call("train", "--stop")[0] == 0
    assert (job_dir.control.command, job_dir.control.keep) == ("stop", True)
    call("train", "--pause")
    assert job_dir.control.command == "pause"
    call("train", "--resume", "--detach")
    assert job_dir.control.command == "run"
    code, _, err = call("train", "--resume")
    assert (code, "is running" in err) == (2, True)


def test_every_field_can_be_read_about(call):
    code, out, _ = call("train", "--fields")
    assert code == 0
    assert "method.rank" in out


def test_adapters_are_listed_shown_noted_and_deleted(call, adapter):
    assert "mine" in call("adapters")[1]
    call("adapters", "note", "mine", "the", "good", "one")
    call("adapters", "tag", "mine", "friday")
    call("adapters", "promote", "mine")
    _, out, _ = call("adapters", "show", "mine", "--json")
    held = json.loads(out)
    assert (held["notes"], held["tags"], held["rank"]) == ("the good one", ["friday"], "promoted")
    assert "the good one" in call("adapters", "show", "mine")[1]
    assert call("adapters", "delete", "mine")[0] == 0
    assert not adapter.exists()


def test_an_adapter_that_is_not_there_is_told(call, adapter):
    code, _, err = call("adapters", "promote", "other")
    assert code == 2
    assert "Known adapters: mine." in err
    assert call("adapters", "praise", "mine")[0] == 2
    assert call("adapters", "promote")[0] == 2


def test_a_deleted_adapter_can_be_put_back_and_beside_a_newer_one_of_its_name(call, adapter):
    held = Manifest("mine", 1, 1.0, "lora", "desk", "d", "base: desk\n")
    assert "empty" in call("adapters", "trash")[2]
    call("adapters", "delete", "mine")
    assert call("adapters", "trash")[1].startswith("mine  deleted ")
    adapter.mkdir()
    write_manifest(adapter, held)
    assert "Restored mine-2" in call("adapters", "restore", "mine")[2]
    assert [one["name"] for one in json.loads(call("adapters", "--json")[1])] == ["mine", "mine-2"]
    assert call("adapters", "restore", "mine")[0] == 2


def test_two_adapters_are_compared_by_recipe_and_score(call, adapter):
    other = adapter.with_name("other")
    other.mkdir()
    recipe = "base: desk\nprompt: ask\ntrain: {path: cases.jsonl}\n"
    write_manifest(adapter, Manifest("mine", 1, 1.0, "lora", "desk", "d", recipe))
    write_manifest(other, Manifest("other", 1, 2.0, "lora", "desk", "d", f"{recipe}method: {{rank: 32}}\n"))
    code, out, _ = call("adapters", "compare", "mine", "other", "--json")
    assert code == 0
    assert json.loads(out)["recipe"] == [{"name": "method.rank", "left": 8, "right": 32}]
    assert "method.rank" in call("adapters", "compare", "mine", "other")[1]
    assert call("adapters", "compare", "mine")[0] == 2


def test_a_standing_can_be_taken_back(call, adapter):
    call("adapters", "retire", "mine")
    call("adapters", "reinstate", "mine")
    assert json.loads(call("adapters", "show", "mine", "--json")[1]).get("rank", "candidate") == "candidate"


def test_samples_of_a_job_and_how_its_rewards_moved(call, job):
    job_dir, journal = job
    code, _, err = call("train", "--samples")
    assert (code, "has sampled no answers" in err) == (2, True)
    metrics = {"reward": 0.75, "sampled style": 0.5}
    journal.write(JobStep(2.0, 2, 1.0, 0.1, 0.1, 1.0, 20, 5.0, 1, 2.0, 0.0, metrics))
    append_answers(job_dir.folder, [SampledAnswer(2, 3, "Where?", "Lantern", "Abacus", 0.75, {"style": 0.5})])
    code, out, err = call("train", "--samples")
    assert code == 0, err
    assert all(word in out for word in ("reward", "style", "0.750", "Lantern", "Abacus", "update 2"))
    code, out, _ = call("train", "--samples", "--step", "2", "--json")
    found = json.loads(out)
    assert (found["samples"][0]["answer"], found["movements"][0]["last"]) == ("Abacus", 0.75)
    code, _, err = call("train", "--samples", "--step", "9")
    assert (code, "no samples of update 9" in err) == (2, True)
