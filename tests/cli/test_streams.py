"""Standard streams that are full, closed or gone: one message and an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import paths

COMMANDS = {
    "help": ["--help"],
    "help of a command": ["eval", "--help"],
    "version": ["--version"],
    "models": ["models"],
    "prompts": ["prompts"],
    "scorers": ["scorers"],
    "dataset": ["dataset", "cases.jsonl"],
    "run": ["run", "ask.prompty", "--model", "desk.script.json", "--var", "message=Hi"],
    "compare": ["compare", "demo.bench.yaml"],
    "compare as JSON": ["compare", "demo.bench.yaml", "--json"],
    "eval": ["eval", "demo.bench.yaml", "--limit", "2"],
    "eval as CSV": ["eval", "demo.bench.yaml", "--limit", "2", "--csv"],
    "eval as Markdown": ["eval", "demo.bench.yaml", "--limit", "2", "--markdown"],
}


def start(arguments, **streams):
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); sys.argv[1:] = {arguments!r};"
    program += "from workbench.__main__ import main; sys.exit(main())"
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.Popen([sys.executable, "-P", "-c", program], env=environment, **streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_stdout_is_one_message(folder, name):
    with Path("/dev/full").open("wb") as full:
        process = start(COMMANDS[name], stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert err.count("Cannot write to standard output: no space left on device.") == 1
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("name", ["help", "models", "compare as JSON", "eval as CSV", "scorers"])
def test_a_reader_that_has_gone_is_one_message(folder, name):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(COMMANDS[name], stdout=writing, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    os.close(writing)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.count("Standard output was closed before everything was written.") == 1
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("name", ["help", "models", "compare as JSON", "eval", "run"])
@pytest.mark.parametrize("closed", ["<&- >&-", ">&-", "<&- >&- 2>err"])
def test_a_stdout_that_was_closed_from_the_beginning_is_one_message(folder, name, closed):
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); from workbench.__main__ import main; sys.exit(main())"
    words = " ".join(f"'{word}'" for word in COMMANDS[name])
    (folder / "program.py").write_text(program)
    line = f"{sys.executable} -P program.py {words} {closed}"
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, timeout=120)
    err = done.stderr + ((folder / "err").read_text() if (folder / "err").exists() else "")
    assert done.returncode == 1, err
    assert err.count("Cannot write to standard output: it is closed.") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_a_stderr_that_takes_nothing_is_no_obstacle(folder, closed):
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); from workbench.__main__ import main; sys.exit(main())"
    (folder / "program.py").write_text(program)
    line = f"{sys.executable} -P program.py eval demo.bench.yaml --limit 2 --json {closed}"
    done = subprocess.run(["sh", "-c", line], stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_a_terminal_that_is_not_utf8_gets_escapes(folder):
    ours, theirs = os.openpty()
    root = str(Path(paths.__file__).parents[1])
    program = f"import sys; sys.path.append({root!r}); from workbench.cli.streams import guard_streams; guard_streams()"
    environment = {**os.environ, "PYTHONIOENCODING": "iso-8859-1"}
    command = [sys.executable, "-P", "-c", f"{program}; print('\u2713 caf\u00e9'); print('\u2717', file=sys.stderr)"]
    done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, timeout=120)
    assert done.returncode == 0
    assert os.read(ours, 1000) == b"\\u2713 caf\xe9\r\n\\u2717\r\n"
    os.close(ours)
    os.close(theirs)
