"""What a chat template drops, moves or refuses is said by every command that sends messages through it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

SYSTEMLESS = (
    "{% for m in messages if m.role in ('user', 'assistant') %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if thinks is defined %}<|{{ thinks }}|>{% endif %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MOVED = "The model's chat template takes no system message: it is put before the first user message."


@pytest.fixture
def dropping(folder: Path, tiny_gguf: Callable[..., Path]) -> Path:
    """A model whose template passes system messages over, and a bench that sends one."""
    model = tiny_gguf("systemless", chat_template=SYSTEMLESS)
    (folder / "ruled.prompty").write_text("system:\nBe kind.\nuser:\n{{ message }}\n")
    (folder / "ruled.bench.yaml").write_text(
        f"variants:\n  - {{name: ruled, prompt: ruled, model: '{model}', sampling: {{max_tokens: 2}}}}\n"
        f"dataset: {{path: cases.jsonl}}\nscorers: [exact_match]\n"
    )
    return model


def test_run_says_it_on_stderr(call, dropping):
    code, _, err = call("run", "ruled.prompty", "--model", dropping, "--var", "message=Where?", "--max-tokens", 2)
    assert code == 0
    assert f"Note: {MOVED}" in " ".join(err.split())


def test_text_without_roles_is_the_users(call, dropping):
    code, _, err = call("run", "--text", "Where?", "--model", dropping, "--max-tokens", 2)
    assert code == 0
    assert "Note:" not in err
    assert "6→" not in err


def test_the_plan_says_it_before_anything_runs(call, dropping):
    code, out, err = call("eval", "ruled.bench.yaml", "--dry-run")
    assert code == 0
    assert f"Warning: ruled: {MOVED}" in " ".join((out + err).split())


def test_the_plan_says_what_a_template_refuses(call, folder, tiny_gguf):
    model = tiny_gguf("refusing", chat_template="{{ raise_exception('only on Sundays') }}")
    (folder / "no.bench.yaml").write_text(
        f"variants:\n  - {{name: no, prompt: ask, model: '{model}'}}\ndataset: {{path: cases.jsonl}}\n"
    )
    _, out, err = call("eval", "no.bench.yaml", "--dry-run")
    assert "only on Sundays" in out + err


def test_the_report_says_it_with_the_number_of_cells(call, dropping):
    code, out, _ = call("eval", "ruled.bench.yaml", "--json")
    assert code == 0
    assert f"ruled: {MOVED} (4 cells)" in json.loads(out)["notes"]
    again = json.loads(call("eval", "ruled.bench.yaml", "--json")[1])  # from the cache
    assert f"ruled: {MOVED} (4 cells)" in again["notes"]


def test_compare_says_it_of_each_cell(call, dropping):
    code, out, err = call("compare", "ruled.bench.yaml", "--json")
    assert code == 0
    assert json.loads(out)["cells"][0]["notes"] == [MOVED]
    assert f"Note: {MOVED}" in " ".join(err.split())


def test_variables_of_a_template_are_part_of_the_question(call, folder, dropping):
    bench = (folder / "ruled.bench.yaml").read_text()
    call("eval", "ruled.bench.yaml", "--json")
    varied = bench.replace("max_tokens: 2}", "max_tokens: 2}, chat_template_kwargs: {thinks: long}")
    (folder / "ruled.bench.yaml").write_text(varied)
    _, _, err = call("eval", "ruled.bench.yaml", "--dry-run")
    assert "cached" not in err
    call("eval", "ruled.bench.yaml", "--json")
    assert "4 cached" in " ".join("".join(call("eval", "ruled.bench.yaml", "--dry-run")[1:]).split())


def test_variables_of_a_template_are_given_on_the_command_line(call, dropping):
    def count(*more: str) -> int:
        err = call("run", "--text", "Where?", "--model", dropping, "--max-tokens", 1, *more)[2]
        return int(err.partition("→")[0].split()[-1])

    assert count("--chat-template-kwargs", '{"thinks": "a b c d e"}') > count()
    code, _, err = call("run", "--text", "a", "--model", dropping, "--chat-template-kwargs", "[1]")
    assert code == 2
    assert "--chat-template-kwargs" in err
