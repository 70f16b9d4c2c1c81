from __future__ import annotations

import json
import os
import pty
from importlib import import_module
from pathlib import Path

import pytest

from workbench import __version__
from workbench.cli.app import COMMANDS
from workbench.cli.commands import module_name
from workbench.errors import BenchError


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("workbench.cli.terminal.is_interactive", lambda: True)


def test_the_version_is_that_of_the_package(call):
    assert call("--version")[:2] == (0, f"workbench {__version__}\n")


def test_help_lists_every_command_and_the_exit_codes(call):
    code, out, _ = call("--help")
    assert code == 0
    assert all(f"\n  {name}  " in out for name in COMMANDS)
    assert "Exit codes" in out
    assert call("-h")[1] == out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"workbench {command}" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_says_of_each_command_what_its_own_help_does(call, command):
    own = import_module(f"workbench.cli.{module_name(command)}").main.__doc__
    assert own.partition("\n")[0] == COMMANDS[command]
    assert f" {COMMANDS[command]}\n" in call("--help")[1]


def test_a_mistyped_command_brings_the_nearest_one(call):
    code, out, err = call("comapre", "x.bench.yaml")
    assert (code, out) == (2, "")
    assert "`workbench compare`" in err


@pytest.mark.parametrize(
    ("arguments", "opened"),
    [
        ([], (None, None)),
        (["demo.bench.yaml"], (Path("demo.bench.yaml"), None)),
        (["open", "demo.bench.yaml"], (Path("demo.bench.yaml"), None)),
        (["--model", "own.gguf"], (None, Path("own.gguf"))),
        (["demo.bench.yaml", "--model", "own.gguf"], (Path("demo.bench.yaml"), Path("own.gguf"))),
        (["./not-there"], (Path("not-there"), None)),
    ],
)
def test_what_is_no_command_is_opened_on_the_screen(call, terminal, arguments, opened):
    asked = []

    def screen(bench, model):
        asked.append((bench, model))
        return 7

    assert call(*arguments, screen=screen)[0] == 7
    assert asked == [opened]


def test_what_the_screen_cannot_open_is_told_without_a_traceback(call, terminal):
    def screen(bench, model):
        raise BenchError("No bench \x1b[31m.", "Take another.")

    code, _, err = call(screen=screen)
    assert (code, err) == (2, "workbench: No bench ␛[31m.\n  Take another.\n")


def test_without_a_terminal_the_screen_points_to_compare(start):
    process = start("demo.bench.yaml")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, b"")
    assert b"needs a terminal" in err
    assert b"workbench compare demo.bench.yaml" in err


def test_models_lists_what_it_finds_and_what_is_broken(call, folder, tiny_gguf):
    (folder / "models").mkdir()
    (folder / "models" / "tiny.gguf").write_bytes(tiny_gguf().read_bytes())
    (folder / "models" / "broken.gguf").write_bytes(b"GGUF?")
    code, out, _ = call("models", "models", "--json")
    broken, tiny = json.loads(out)["models"]
    assert code == 0
    assert (broken["name"], tiny["name"], tiny["error"]) == ("broken", "tiny", None)
    assert broken["error"]
    assert tiny["architecture"] == "llama"
    table = call("models", "models")[1]
    assert "cannot be read" in table
    assert "tiny" in table


def test_no_models_says_where_it_looked(call, folder):
    (folder / "models").mkdir()
    code, out, err = call("models", "models")
    assert (code, out) == (0, "")
    assert "Searched:\n  models" in err


def test_prompts_lists_the_library_and_searches_it(call, folder):
    code, out, _ = call("prompts", "--library", folder, "--json")
    names = {entry["name"]: entry for entry in json.loads(out)["prompts"]}
    assert code == 0
    assert names["ask"]["description"] == "Just asks."
    assert names["queues/plain"]["read_only"]
    table = call("prompts", "asks", "--library", folder)[1]
    assert "ask" in table
    assert "kind" not in table
    assert "No prompt matches" in call("prompts", "zzzzzz", "--library", folder)[2]


def test_a_terminal_as_narrow_as_can_be_still_shows_the_table(start):
    ours, theirs = pty.openpty()
    process = start("compare", "demo.bench.yaml", stdout=theirs)
    os.close(theirs)
    _, err = process.communicate(timeout=60)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert process.returncode == 0, err
    assert "plain" in shown


def test_wrong_settings_are_told(call, tmp_path):
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "settings.toml").write_text("thredas = 2\n")
    code, _, err = call("compare", "demo.bench.yaml")
    assert code == 2
    assert "thredas" in err


def test_models_lists_adapters_with_rank_and_scale(call, folder, tiny_gguf):
    from gguf_fixture import write_gguf_adapter

    (folder / "models" / "torn").mkdir(parents=True)
    write_gguf_adapter(folder / "models" / "calm.gguf", tiny_gguf(), rank=4, alpha=6)
    (folder / "models" / "torn" / "adapter_config.json").write_text("{")
    code, out, _ = call("models", "models", "--json")
    listed = json.loads(out)
    calm, torn = listed["adapters"]
    assert (code, listed["models"]) == (0, [])
    assert (calm["name"], calm["format"], calm["ranks"], calm["scales"]) == ("calm", "gguf", [4], [1.5])
    assert "describes no adapter" in torn["error"]
    table = call("models", "models")[1]
    assert "1.5" in table
    assert "cannot be read" in table
