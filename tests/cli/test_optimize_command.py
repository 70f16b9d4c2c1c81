from __future__ import annotations

import json
import re
import signal
from collections import Counter

import pytest

from tests.search.example_folder import SearchFolder
from workbench import paths
from workbench.runs.view import RunView
from workbench.search.journal import CandidateEvaluated, read_journal
from workbench.search.search_dir import find_search_dir
from workbench.store.runs import list_runs
from workbench.store.store import Store


@pytest.fixture
def planted(folder):
    """The command's working folder with a bench whose rule is hidden in its rows."""
    made = SearchFolder(folder)
    made.close()
    (folder / "workbench.sqlite").unlink()
    return made


def test_it_finds_the_rule_writes_the_prompt_and_reports(planted, folder, call):
    code, out, err = call(
        "optimize", "--variant", "few-shot", "--budget", 2000, "--report", "r.html", "--report", "r.json"
    )
    assert code == 0
    assert "**Improved: exact match 1.00 on test against 0.20 for the hand-written prompt" in out
    assert re.search(r"- t\d+ earns \+20.0 points \(.*\) over 30 cases, costs \d+ tokens", out)
    assert "calls: at most 2,000: 1,880 for the search" in err
    assert "The test part was opened for the first time." in err
    written = (folder / "ask-optimized.prompty").read_text()
    assert "parent: ask" in written
    assert "examples: ask-optimized.examples.jsonl" in written
    assert "Improved" in (folder / "r.html").read_text()
    assert json.loads((folder / "r.json").read_text())["improved"] is True
    (folder / "demo.bench.yaml").write_text(
        (folder / "demo.bench.yaml").read_text().replace("prompt: ask", "prompt: ask-optimized")
    )
    code, out, _ = call("eval", "--json")
    assert code == 0
    assert json.loads(out)["variants"][0]["scores"]["exact_match"]["value"] == 1.0


def test_an_ended_search_is_shown_again_and_asks_nothing(planted, call):
    arguments = ("optimize", "--variant", "few-shot", "--budget", 700, "--patience", 1, "--json")
    _, first, _ = call(*arguments)
    code, again, err = call("optimize", "--resume", "last", "--json")
    assert code == 0
    assert again == first
    assert err == ""


def test_a_dry_run_says_what_it_would_cost_and_asks_nothing(planted, folder, call):
    code, out, _ = call("optimize", "--variant", "few-shot", "--budget", 500, "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert (plan["calls"], plan["test_calls"], plan["minimum"]) == (500, 120, 180)
    assert plan["parts"] == {"train": 40, "dev": 30, "test": 60}
    assert plan["prompt_tokens"] > 0
    assert not (paths.data_folder() / "searches").exists()


def test_no_improvement_is_said_as_gladly_and_nothing_is_written(planted, folder, call):
    planted.script({"reply": "Lantern"})
    code, out, _ = call("optimize", "--variant", "few-shot", "--budget", 700, "--patience", 1)
    assert code == 0
    assert "**No improvement" in out
    assert not (folder / "ask-optimized.prompty").exists()
    code, out, _ = call("optimize", "--list")
    assert "no improvement" in out


WRONG = [
    (["--variant", "other"], "No such variant: other"),
    (["--variant", "few-shot", "--out", "/nope"], "`/nope` cannot be a prompt's name"),
    (["--variant", "few-shot", "--budget", "20"], "too small"),
    (["--variant", "few-shot", "--metric", "bleu"], "No such metric: bleu"),
    (["--variant", "few-shot", "--group", "shop"], "has no column shop"),
    (["--resume", "nothing"], "No such search: nothing"),
    (["missing.bench.yaml"], "missing.bench.yaml"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_searched_is_one_message(planted, call, arguments, message):
    code, _, err = call("optimize", *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_killed_search_resumes_with_no_call_repeated(planted, folder, call, start):
    planted.script({"reply": "none"}, pace="real", first_token_seconds=0.01)  # nothing helps: it spends its budget
    process = start("optimize", "--variant", "few-shot", "--budget", "600", "--patience", "50")
    searches = paths.data_folder() / "searches"
    while not any(count_evaluated(journal) > 8 for journal in searches.glob("*/journal.jsonl")):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    code, out, _ = call("optimize", "--list")
    assert "interrupted" in out
    code, out, err = call("optimize", "--resume", "last")
    assert code == 0, err
    search = find_search_dir("last")
    asked = count_asked(search.answers)
    assert set(asked.values()) == {1}
    state = search.read_state()
    in_test = count_asked(paths.data_folder() / "workbench.sqlite")
    assert asked.total() + in_test.total() == state.ended.spending.calls <= 600


def count_evaluated(journal):
    return sum(isinstance(record, CandidateEvaluated) for record in read_journal(journal).records)


def count_asked(path):
    """How often the model answered a candidate's case."""
    store = Store(path)
    try:
        views = [RunView(store, run.id) for run in list_runs(store)]
        return Counter((one.variant, one.case) for view in views for one in view.readings() if not one.cached)
    finally:
        store.close()


def test_an_interrupt_says_how_to_go_on(planted, start):
    planted.script({"reply": "none"}, pace="real", first_token_seconds=0.01)
    process = start("optimize", "--variant", "few-shot", "--budget", "600", "--patience", "50", text=True)
    searches = paths.data_folder() / "searches"
    while not any(count_evaluated(journal) > 3 for journal in searches.glob("*/journal.jsonl")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Stopped. Continue with: workbench optimize --resume {find_search_dir('last').id}" in err
    assert "Traceback" not in err
    assert find_search_dir("last").read_state().spending.calls > 0
