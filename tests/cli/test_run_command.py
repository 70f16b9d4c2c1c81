from __future__ import annotations

import io
import json
import os
import pty

import pytest

from workbench.cli.sampling_options import read_sampling
from workbench.inference.sampling_fields import find_sampling_field, with_seeds
from workbench.inference.types import Sampling

MODEL = ("--model", "desk.script.json")


def test_stdout_is_the_answer_and_nothing_else(call):
    code, out, err = call("run", "ask.prompty", *MODEL, "--var", "message=Where?")
    assert (code, out) == (0, "Lantern")
    assert "tokens" in err


def test_a_prompt_may_be_a_file_elsewhere(call, tmp_path):
    path = tmp_path / "far.prompty"
    path.write_text("user:\n{{ a }} and please {{ b }}\n")
    assert call("run", path, *MODEL, "--var", "a=1", "--var", "b=x=y")[:2] == (0, "Lantern, of course")


def test_a_template_may_come_from_stdin_or_the_command_line(call, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Say {{ word }}"))
    assert call("run", "-", *MODEL, "--var", "word=please")[:2] == (0, "Lantern, of course")
    assert call("run", "--text", "Say please", *MODEL)[:2] == (0, "Lantern, of course")


def test_thinking_goes_to_stderr(call):
    code, out, err = call("run", "ask.prompty", *MODEL, "--var", "message=think")
    assert (code, out) == (0, "Lantern")
    assert "let me see" in err


def test_a_pipe_gets_what_the_model_wrote_byte_for_byte(call):
    assert call("run", "ask.prompty", *MODEL, "--var", "message=steer")[1] == "\x1b[31mred\x1b[0m [bold]x[/] \u202eback"


def test_a_terminal_gets_it_inert(start):
    ours, theirs = pty.openpty()
    process = start("run", "ask.prompty", *MODEL, "--var", "message=steer", stdout=theirs)
    os.close(theirs)
    _, err = process.communicate(timeout=60)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert process.returncode == 0, err
    assert shown == "␛[31mred␛[0m [bold]x[/] \ufffdback\r\n"


def test_all_missing_variables_are_told_together(call, tmp_path):
    code, out, err = call("run", "--text", "{{ one }} {{ two }}", *MODEL)
    assert (code, out) == (2, "")
    assert "one" in err
    assert "two" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask.prompty", *MODEL, "--var", "message"], "--var name=value"),
        (["ask.prompty", *MODEL, "--var", "=x"], "--var name=value"),
        (["nothing", *MODEL], "nothing"),
        (["ask.prompty", "--model", "none.gguf", "--var", "message=x"], "none.gguf"),
        (["--model", "desk.script.json"], "PROMPT or --text"),
        (["ask.prompty", "--text", "x", *MODEL], "PROMPT or --text"),
        (["--text", "{% if %}", *MODEL], "line 1"),
        (["ask.prompty", *MODEL, "--max-tokens", "0"], "--max-tokens"),
        (["ask.prompty", *MODEL, "--temperatur", "0"], "--temperatur"),
        (["--text", "x", *MODEL, "--top-p", "0"], "--top-p is 0.0, expected above 0, and 1 at most"),
        (
            ["--text", "x", *MODEL, "--mirostat", "3", "--min-p", "2"],
            "--min-p is 2.0, expected 0 to 1; --mirostat is 3",
        ),
        (["--text", "x", *MODEL, "--logit-bias", "yes"], "expected TEXT=NUMBER"),
        (["--text", "x", *MODEL, "--json-schema", "[1]"], "--json-schema is not an object"),
        (["--text", "x", *MODEL, "--thinking", "maybe"], "--thinking is 'maybe', expected one of default, off, on"),
    ],
)
def test_what_cannot_be_used_is_told_with_exit_code_2(call, arguments, said):
    code, out, err = call("run", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_model_that_fails_ends_it_with_1(call):
    code, out, err = call("run", "ask.prompty", *MODEL, "--var", "message=fall")
    assert (code, out) == (1, "one")
    assert "It fell." in err


def test_sampling_comes_from_the_options(call):
    assert call("run", "--text", "please", *MODEL, "--max-tokens", "1")[1] == "Lantern"
    assert call("run", "--text", "please", *MODEL, "--stop", "of")[1] == "Lantern, "


def test_every_field_of_sampling_is_an_option(tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    given = {"top_k": 3, "ignore_eos": True, "stop": ["a", "b"], "logit_bias": ["yes=2", "id:7=-1.5"]}
    fields = {find_sampling_field(name): value for name, value in given.items()}
    found = read_sampling({**fields, find_sampling_field("json_schema"): f"@{tmp_path / 'schema.json'}"})
    assert found == Sampling(
        top_k=3,
        ignore_eos=True,
        stop=("a", "b"),
        logit_bias={"yes": 2.0, "id:7": -1.5},
        json_schema={"type": "object"},
    )


def test_several_answers_and_the_prompt_that_the_model_reads(call):
    code, out, err = call("run", "--text", "Say please", *MODEL, "-n", "2", "--show-prompt")
    assert (code, out) == (0, "Lantern, of course" * 2)
    assert "Say please" in err
    assert "[2/2]" in err
    assert [one.seed for one in with_seeds(Sampling(seed=4), 3)] == [4, 5, 6]
    assert [one.seed for one in with_seeds(Sampling(seed=None), 2)] == [None, None]


def test_log_probabilities_are_shown_with_their_alternatives(call):
    err = call("run", "--text", "please", *MODEL, "--logprobs", "2")[2]
    assert "of '" in err


def test_adapters_are_laid_over_the_model(call, folder):
    (folder / "calm.gguf").touch()
    rules = [{"adapter": "calm", "reply": "laid {adapters}"}, {"reply": "bare"}]
    (folder / "laid.script.json").write_text(json.dumps({"rules": rules}))
    common = ("run", "--text", "user:\nhello\n", "--model", "laid.script.json")
    assert call(*common)[1] == "bare"
    assert call(*common, "--adapter", "calm.gguf")[1] == "laid calm 1"
    assert call(*common, "--adapter", "calm.gguf=0.5")[1] == "laid calm 0.5"
    assert call(*common, "--adapter", "calm.gguf=nan")[0] == 2
    code, _, err = call(*common, "--adapter", "calm.gguf=half")
    assert (code, "expected a number" in err) == (2, True)
