"""Whole runs on a server that misbehaves: no score of a failed cell, failures counted where figures stand, no key."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inference.remote.asking import KEY, KEY_VARIABLE, SteppedClock
from tests.inference.remote.hostile_server import SCENARIOS, HostileServer
from workbench import paths
from workbench.cli.app import run
from workbench.inference.remote import engine
from workbench.runs.view import RunView
from workbench.store.store import Store

FAILING = (
    "fails-for-ever", "refuses", "echoes-the-key", "echoes-the-key-in-a-stream", "redirects", "drops-at-once",
    "drops-in-the-body", "ends-early", "empty-body", "error-in-a-stream", "invalid-json", "web-page", "deep-json",
    "wrong-types", "long-line", "gzip-bomb", "several-choices",
)  # fmt: skip
ANSWERED = ("fine", "comments", "no-usage", "late-reasoning", "odd-numbers", "odd-logprobs", "half-characters")
SCORED = {"exact_match", "contains", "edit_similarity"}

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(
    hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Carries out a command in a folder with a bench whose cases name what the server does; code and all output."""
    rows = [{"message": name, "expected": "Lantern"} for name in (*FAILING, *ANSWERED)]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "ask.prompty").write_text("user:\nScenario: {{ message }}\n")
    server = {"remote": hostile.address("as-told"), "dialect": "openai", "key_env": KEY_VARIABLE}
    bench = {
        "models": {"server": server},
        "variants": [{"name": "remote", "prompt": "ask", "model": "server"}],
        "dataset": {"path": "cases.jsonl"},
        "scorers": sorted(SCORED),
    }
    (tmp_path / "hostile.bench.yaml").write_text(json.dumps(bench))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    connect = functools.partial(engine.RemoteEngine, clock=SteppedClock().request_clock)
    monkeypatch.setattr(engine, "RemoteEngine", connect)

    def carry_out(*words: str) -> tuple[int, str]:
        code = run(list(words), lambda bench, model: 0)
        return code, "".join(capsys.readouterr())

    return carry_out


def test_the_cases_are_scenarios() -> None:
    assert {*FAILING, *ANSWERED} <= SCENARIOS.keys()


def test_a_failed_cell_has_an_error_and_no_score(call: Call, hostile: HostileServer, tmp_path: Path) -> None:
    code, said = call("eval", "hostile.bench.yaml", "--json")
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        cells = {cell.case: cell for cell in RunView(store, "last").cells()}
    finally:
        store.close()
    assert len(cells) == len(FAILING) + len(ANSWERED)
    for number, name in enumerate((*FAILING, *ANSWERED), 1):
        cell = cells[number]
        if name in FAILING:
            assert cell.error, name
            assert cell.scores == (), name
        else:
            assert not cell.error, name
            assert {score.scorer for score in cell.scores} == SCORED, name
            assert next(score.value for score in cell.scores if score.scorer == "contains") == 1.0, name
    assert code != 0
    (variant,) = json.loads(said[said.index("{") : said.rindex("}") + 1])["variants"]
    assert (variant["n"], variant["failed"]) == (len(cells), len(FAILING))
    assert {figure["n"] for figure in variant["scores"].values()} == {len(ANSWERED)}
    assert f"{len(FAILING)} of {len(cells)} cells failed" in said


def test_the_key_is_in_no_output_store_or_report(call: Call, hostile: HostileServer, tmp_path: Path) -> None:
    said = [call("eval", "hostile.bench.yaml", "--report", "report.html")[1]]
    said += [call("runs", "last", form)[1] for form in ("--json", "--csv", "--markdown")]
    said.append(call("models", "--about", hostile.address("as-told"), "--key-env", KEY_VARIABLE)[1])
    assert KEY in hostile.asked["as-told"][0].headers["authorization"]
    for text in said:
        assert KEY not in text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"report.html", "workbench.sqlite"} <= {path.name for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_the_next_run_asks_for_the_failed_cells_again_and_for_no_other(call: Call, hostile: HostileServer) -> None:
    call("eval", "hostile.bench.yaml")
    first = len(hostile.completions("as-told"))
    assert f"{len(ANSWERED)} cached" in call("eval", "hostile.bench.yaml")[1]
    asked = {request.body["messages"][-1]["content"] for request in hostile.completions("as-told")[first:]}
    assert {f"Scenario: {name}" for name in FAILING} <= asked
    assert not {f"Scenario: {name}" for name in ANSWERED} & asked


def test_tokens_that_a_server_does_not_tell_lower_no_mean(call: Call) -> None:
    """Each of the others has 9 tokens in and 3 or 6 out."""
    _, said = call("eval", "hostile.bench.yaml")
    assert "9→4" in said
