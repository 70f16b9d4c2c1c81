"""Commands that run a bench's Python files: nothing runs unasked, and a score that is missing is not passed over."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench import paths
from workbench.runs.view import RunView
from workbench.scoring import confinement_probe
from workbench.store.cells import read_cells
from workbench.store.store import Store

JUDGE = "open({mark!r}, 'a').write('ran')\ndef score(answer, expected): return answer == expected\n"
COMMANDS = {
    "eval": ["eval", "coded.bench.yaml"],
    "eval resumed": ["eval", "--resume"],
    "compare": ["compare", "coded.bench.yaml", "--case", "1-2"],
    "effects": ["effects", "coded.bench.yaml", "--variant", "plain"],
    "scale": ["scale", "coded.bench.yaml", "--variant", "plain"],
    "verdict": ["verdict", "coded.bench.yaml"],
    "drift of an adapter": ["adapters", "drift", "mine", "coded.bench.yaml"],
}


@pytest.fixture
def coded(folder: Path) -> Path:
    text = (folder / "demo.bench.yaml").read_text().replace("contains]", "{python: {file: judge.py}}]")
    (folder / "coded.bench.yaml").write_text(text)
    (folder / "judge.py").write_text(JUDGE.format(mark=str(folder / "ran")))
    return folder


def stop_a_run(call, folder: Path) -> None:
    """Leave a run of the coded bench that is not finished."""
    assert call("eval", "coded.bench.yaml", "--limit", "1", "--trust")[0] == 0
    store = Store(paths.data_folder() / "workbench.sqlite")
    with store.write() as connection:
        connection.execute("UPDATE runs SET state = 'stopped'")
        connection.execute("DELETE FROM cells")
    store.close()
    (folder / "ran").unlink()
    (paths.data_folder() / "trusted.json").unlink()


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_terminal_nothing_runs_that_nobody_trusts(call, coded, name):
    if name == "eval resumed":
        stop_a_run(call, coded)
    code, out, err = call(*COMMANDS[name])
    assert code == 2
    assert "runs Python code that nobody has agreed to" in err
    assert str(coded / "judge.py") in err
    assert "--trust" in err
    assert not out
    assert not (coded / "ran").exists()


def test_tools_in_a_file_are_asked_about_as_scorers_are(call, coded):
    text = (coded / "demo.bench.yaml").read_text() + "tools:\n  python: {file: judge.py, network: true}\n"
    (coded / "coded.bench.yaml").write_text(text)
    code, out, err = call("eval", "coded.bench.yaml")
    assert (code, out) == (2, "")
    assert f"{coded / 'judge.py'}\n    may use the network" in err
    assert not (coded / "ran").exists()


@pytest.mark.parametrize("name", ["eval", "compare", "effects", "scale", "verdict", "adapters"])
def test_the_help_says_so(call, name):
    _, out, _ = call(name, "--help")
    assert "--trust" in out


@pytest.mark.parametrize("name", ["eval", "eval resumed", "compare"])
def test_trust_on_the_command_line_runs_it_and_is_remembered(call, coded, name):
    if name == "eval resumed":
        stop_a_run(call, coded)
    arguments = [*COMMANDS[name], *(["--limit", "2"] if name == "eval" else [])]
    call(*arguments, "--trust")
    assert (coded / "ran").exists()
    assert "nobody has agreed" not in call("compare", "coded.bench.yaml", "--case", "1")[2]
    (coded / "judge.py").write_text("def score(answer): return 1")
    assert call("compare", "coded.bench.yaml", "--case", "1")[0] == 2


def test_what_the_system_cannot_take_away_is_said_once(call, coded, monkeypatch):
    monkeypatch.setattr(confinement_probe, "find_unconfined", lambda: ("the network (Operation not permitted)",))
    told = "This system cannot take away from it: the network (Operation not permitted)."
    assert told in call("compare", "coded.bench.yaml", "--case", "1", "--trust")[2]
    assert told not in call("compare", "coded.bench.yaml", "--case", "1")[2]


@pytest.mark.parametrize(
    ("answer", "runs"), [("y", True), ("yes", True), ("", False), ("n", False), ("nonsense", False)]
)
def test_on_a_terminal_a_person_is_asked(coded, answer, runs):
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); from workbench.__main__ import main; sys.exit(main())"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-c", program, "compare", "coded.bench.yaml", "--case", "1"]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, answer.encode() + b"\n")
    drain(ours)
    assert process.wait(120) == (0 if runs else 2)
    os.close(ours)
    assert b"judge.py" in seen
    assert (coded / "ran").exists() == runs


def drain(terminal: int) -> None:
    def read() -> None:
        try:
            while os.read(terminal, 1000):
                pass
        except OSError:
            return

    threading.Thread(target=read, daemon=True).start()


# --- scores that are missing ---------------------------------------------------------------------------------------


def write_judge(folder: Path, body: str) -> None:
    (folder / "judge.py").write_text(f"import os, signal\ndef score(answer, expected):\n    {body}\n")


@pytest.mark.parametrize("command", [["eval", "coded.bench.yaml"], ["compare", "coded.bench.yaml", "--case", "1-3"]])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('never')", "ValueError: never"),
        ("return 'good'", "expected a number"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "brought its process down"),
        ("os._exit(7)", "exit code 7"),
    ],
)
def test_a_scorer_that_fails_on_every_answer_ends_with_1_and_says_why(call, coded, command, body, told):
    write_judge(coded, body)
    limit = ["--limit", "3"] if command[0] == "eval" else []
    code, _, err = call(*command, *limit, "--trust")
    assert code == 1
    assert "python did not score 6 of 6 answers" in err
    assert told in err


def make_many(folder: Path, count: int) -> None:
    rows = "".join(f'{{"message": "number {number}", "expected": "Lantern"}}\n' for number in range(1, count + 1))
    (folder / "many.jsonl").write_text(rows)
    text = (folder / "coded.bench.yaml").read_text().replace("cases.jsonl", "many.jsonl").replace("case: 2", "case: 1")
    (folder / "coded.bench.yaml").write_text("".join(line for line in text.splitlines(True) if "kind" not in line))


@pytest.mark.parametrize(("failing", "code"), [(1, 0), (2, 0), (3, 1)])
def test_a_scorer_that_fails_now_and_then_is_told_and_fails_the_command_above_a_share(call, coded, failing, code):
    make_many(coded, 40)
    seen = coded / "seen"
    body = f"open({str(seen)!r}, 'a').write('x')\n    return 1 / (os.path.getsize({str(seen)!r}) > {failing})"
    write_judge(coded, body)
    found, _, err = call("eval", "coded.bench.yaml", "--trust")
    assert found == code
    assert f"python did not score {failing} of 40 answers" in err
    assert "workbench eval --resume" in err


@pytest.mark.parametrize("again", ["--resume", "--retry-failed"])
@pytest.mark.parametrize("temperature", [0, 1])
def test_going_on_scores_what_was_lost_without_asking_the_model_again(call, coded, again, temperature):
    make_many(coded, 6)
    path = coded / "coded.bench.yaml"
    path.write_text(
        path.read_text().replace(
            "model: desk.script.json", f"model: desk.script.json, sampling: {{temperature: {temperature}}}"
        )
    )
    flag = coded / "broken"
    flag.touch()
    write_judge(
        coded, f"if os.path.exists({str(flag)!r}): os.kill(os.getpid(), signal.SIGKILL)\n    return answer == expected"
    )
    assert call("eval", "coded.bench.yaml", "--trust")[0] == 1
    flag.unlink()
    before = read_run()
    (coded / "desk.script.json").touch()
    code, _, err = call("eval", again, "last")
    assert code == 0, err
    after = read_run()
    assert [cell.stored for cell in after] == [cell.stored for cell in before]  # the same, to the last second
    assert [cell.cached for cell in after] == [cell.cached for cell in before]
    assert {score.unscored for cell in before for score in cell.scores} == {"", "lost"}
    assert {(score.applies, score.value) for cell in after for score in cell.scores} == {(True, 1.0)}


def read_run():
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        return list(read_cells(store, RunView(store, "last").run.key))
    finally:
        store.close()


def test_a_scorer_killed_in_the_middle_of_a_run_costs_no_score(coded):
    import psutil

    make_many(coded, 30)
    gate = coded / "gate"
    gate.touch()
    write_judge(coded, f"import time\n    while os.path.exists({str(gate)!r}): time.sleep(0.005)\n    return 1")
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); from workbench.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", program, "eval", "coded.bench.yaml", "--trust", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waited, killed = threading.Event(), set()
    while not killed:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # such as one that has just tried what can be taken away
                if any("scoring.server" in word for word in child.cmdline()):
                    child.send_signal(signal.SIGKILL)
                    killed.add(child.pid)
        waited.wait(0.01)
    gate.unlink()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert '"value":1.0' in out.replace(" ", "")
    assert {score.applies for cell in read_run() for score in cell.scores} == {True}
