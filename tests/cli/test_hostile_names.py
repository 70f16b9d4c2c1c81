"""No command puts what a file, a model or a name says on a terminal as it is; JSON holds exactly that all the same."""

from __future__ import annotations

import json
import re
import sys

import pytest
from hostile_bench import STEERING, find_foreign, write_hostile
from pseudo_terminal import Terminal

BENCH = "hostile.bench.yaml"
COMMANDS = [
    ("compare", BENCH),
    ("compare", BENCH, "--json"),
    ("eval", BENCH),
    ("eval", BENCH, "--json"),
    ("eval", BENCH, "--markdown"),
    ("eval", BENCH, "--variant", f"none {STEERING}"),
    ("eval", BENCH, "--no-such", STEERING),
    ("eval", BENCH, f"too many {STEERING}"),
    ("eval", f"gone {STEERING}.bench.yaml"),
    ("runs",),
    ("runs", "--json"),
    ("runs", "show", "last"),
    ("runs", STEERING),
    ("drift", BENCH),
    ("diff", "last", "last"),
    ("effects", BENCH),
    ("votes",),
    ("dataset", "cases.jsonl"),
    ("dataset", "cases.jsonl", "--json"),
    ("dataset", f"gone {STEERING}.csv"),
    ("prompts",),
    ("prompts", "--json"),
    ("models",),
    ("models", f"m {STEERING.replace('/', '÷')}.script.json"),
    ("models", "--json"),
    ("scorers", STEERING),
    ("run", "plain", "--var", f"other={STEERING}", "--model", f"m {STEERING}.script.json"),
    ("run", "--text", STEERING, "--model", f"none {STEERING}"),
    ("parity", f"a {STEERING}", f"b {STEERING}"),
    ("convert", f"a {STEERING}", f"b {STEERING}.gguf"),
    ("adapters",),
    ("adapters", "show", STEERING),
    ("train", f"gone {STEERING}.recipe.yaml"),
    ("verdict", BENCH),
    (STEERING,),
]


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_no_command_steers_a_terminal(call, folder, monkeypatch, terminal):
    write_hostile(folder)
    assert any(
        cell["text"].startswith("reply [/b]") for cell in json.loads(call("compare", BENCH, "--json")[1])["cells"]
    )
    problems = {}
    for arguments in COMMANDS:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
        _, out, err = call(*arguments)
        found = [*find_foreign(out, styled=terminal), *find_foreign(err)]
        assert out or err, arguments
        if found:
            problems[arguments] = found[:3]
    assert not problems


PROGRESS = re.compile("\x1b\\[\\?25[hl]|\x1b\\[\\d*[AGJK]")
"""what Rich writes to draw a line of progress anew"""
EACH = "import json, sys\nfrom workbench.cli.app import run\nfrom workbench.cli.streams import guard_streams\n" + (
    "guard_streams()\nfor one in json.load(open(sys.argv[1])):\n"
    "    print('=====', run(one, lambda bench, model: 0), flush=True)\n"
)


def test_no_command_steers_a_real_terminal(folder, tmp_path):
    """The same on a pseudo-terminal, progress included; one process for all, which has to load everything but once."""
    write_hostile(folder)
    commands = [one for one in COMMANDS if "--json" not in one]
    (folder / "commands.json").write_text(json.dumps(commands))
    terminal = Terminal(folder)
    try:
        terminal.start([sys.executable, "-c", EACH, "commands.json"])
        assert terminal.wait(240) == 0, terminal.text[-3000:]
    finally:
        terminal.close()
    answers = re.split("===== \\d", terminal.text)
    assert len(answers) == len(commands) + 1
    shown = [PROGRESS.sub("", answer).replace("\r", "") for answer in answers]
    problems = {
        one: found[:3] for one, text in zip(commands, shown, strict=False) if (found := find_foreign(text, True))
    }
    assert not problems
    assert "\ufffdback" in terminal.text


def test_json_holds_exactly_what_the_names_are(call, folder):
    write_hostile(folder)
    out = call("compare", BENCH, "--json")[1]
    cell = json.loads(out)["cells"][0]
    assert cell["variant"] == f"v {STEERING}"
    assert STEERING.strip() in cell["text"], cell
    assert json.loads(call("dataset", "cases.jsonl", "--json")[1])


@pytest.mark.parametrize("command", ["compare", "eval"])
def test_brackets_are_text_in_tables(call, folder, command):
    write_hostile(folder, "[b]x [/red]")
    out = "".join(call(command, BENCH)[1].split())
    assert "[b]x[/red]" in out


def test_the_head_of_a_markdown_table_is_text(call, folder):
    write_hostile(folder, "a|b\x1b[2J")
    head = next(line for line in call("eval", BENCH, "--markdown")[1].splitlines() if line.startswith("| variant"))
    assert r"exact a\|b␛\[2J" in head
