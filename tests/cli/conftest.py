"""A folder with all that a command needs: a scripted model, two prompts, cases and a bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.app import run

BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
  - {name: kind, prompt: kind, model: desk.script.json}
dataset: {path: cases.jsonl}
scorers: [exact_match, contains]
case: 2
"""
SCRIPT = {
    "rules": [
        {"contains": "steer", "reply": "\x1b[31mred\x1b[0m [bold]x[/] \u202eback"},
        {"contains": "fall", "reply": "one two", "fail_after": 1, "failure": "It fell."},
        {"contains": "think", "reply": "Lantern", "thinking": "let me see"},
        {"contains": "endless", "reply": "on and on ", "endless": True},
        {"contains": "please", "reply": "Lantern, of course"},
        {"reply": "Lantern"},
    ],
    "context_tokens": 100_000,
}
CASES = ["Where is my parcel?", "I was charged twice.", "Does it steer?", "Did it fall?"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    (work / "ask.prompty").write_text("---\nname: ask\ndescription: Just asks.\n---\nuser:\n{{ message }}\n")
    (work / "kind.prompty").write_text("user:\n{{ message }} Answer, please.\n")
    (work / "desk.script.json").write_text(json.dumps(SCRIPT))
    rows = [json.dumps({"message": case, "expected": "Lantern"}) for case in CASES]
    (work / "cases.jsonl").write_text("\n".join(rows))
    (work / "demo.bench.yaml").write_text(BENCH)
    monkeypatch.chdir(work)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return work


@pytest.fixture
def call(folder, capsys):
    """Carries out a command in this process: exit code, stdout, stderr."""

    def carry_out(*arguments, screen=None):
        code = run([str(argument) for argument in arguments], screen or (lambda bench, model: 0))
        out, err = capsys.readouterr()
        return code, out, err

    return carry_out


@pytest.fixture
def start(folder):
    """Starts a command in a process of its own."""

    def spawn(*arguments, **options):
        checkout = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([checkout, *options.pop("path", [])])}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "workbench", *map(str, arguments)], cwd=folder, env=environment, **streams
        )

    return spawn
