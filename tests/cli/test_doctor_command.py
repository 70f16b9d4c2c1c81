"""`workbench doctor`: green where everything works, red with one command and exit code 1 where it does not."""

from __future__ import annotations

import json

import pytest

from workbench import paths
from workbench.doctor import checkup
from workbench.doctor.finding import failed, ok, warning


@pytest.fixture
def found(monkeypatch):
    findings = [ok("sqlite", "3.45", version="3.45"), warning("card", "not used", "make run GPU=cuda")]
    monkeypatch.setattr(checkup, "run_checks", lambda **_: iter(findings))
    return findings


def test_warnings_do_not_fail(call, found):
    code, out, _ = call("doctor")
    assert code == 0
    assert (
        out == "✓ sqlite: 3.45\n! card: not used\n    Run: make run GPU=cuda\nAll 2 checks passed; 1 could be better.\n"
    )


def test_one_failure_is_red_and_exit_code_1(call, found):
    found.append(failed("colours", "TERM is \x1b[31m", "export TERM=xterm"))
    code, out, _ = call("doctor")
    assert code == 1
    assert out.splitlines()[-3:] == [
        "✗ colours: TERM is ␛[31m", "    Run: export TERM=xterm", "1 of 3 checks failed; 1 could be better.",
    ]  # fmt: skip


def test_json_has_the_figures(call, found):
    code, out, _ = call("doctor", "--json")
    assert code == 0
    read = json.loads(out)
    assert read["ok"] is True
    assert read["findings"][0] == {
        "name": "sqlite", "status": "ok", "text": "3.45", "command": "", "figures": {"version": "3.45"},
    }  # fmt: skip


@pytest.mark.model
def test_it_is_green_here_and_measures(call):
    code, out, _ = call("doctor", "--json")
    findings = {one["name"]: one for one in json.loads(out)["findings"]}
    engines = [name for name in findings if name.startswith(("llama.cpp", "device", "embedded", "transformers"))]
    assert {name: findings[name]["text"] for name in engines if findings[name]["status"] == "failed"} == {}
    assert findings["llama.cpp on the cpu"]["figures"]["tokens_per_second"] > 0
    assert findings["greedy answers"]["status"] == "ok"
    assert findings["transformers"]["figures"]["tokens_per_second"] > 0
    assert code == 0, [one for one in findings.values() if one["status"] == "failed"]


@pytest.mark.model
def test_without_the_embedded_model_it_is_red(call, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "shipped_folder", lambda: tmp_path)
    code, out, _ = call("doctor")
    assert code == 1
    assert f"✗ embedded model: {tmp_path}/assets/desk-q8_0.gguf cannot be read: No such file or directory\n" in out
    assert "    Run: " in out.partition("embedded model")[2]
    assert " checks failed" in out.splitlines()[-1]
