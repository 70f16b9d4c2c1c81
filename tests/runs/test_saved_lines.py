"""What a person changes in an open bench changes its own lines of the file and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.inference.types import Sampling
from workbench.runs.bench import ModelChoice
from workbench.runs.session import Session
from workbench.settings import Settings

BENCH = """\
# Ours.
dataset: {path: "cases.jsonl"}   # beside it
repeats: 1   # spelt out
scorers: ['exact_match']
variants:
  - name: 'plain'
    prompt: "hello"
    model: m.script.json   # not a server
    sampling: {max_tokens: 0x10, temperature: 0.0}
  - {name: "other", prompt: hello, model: 'm.script.json'}

# The end.
"""
PROMPT = "---\n# about it\nname: hello\nown: {kept: 'yes'}\n---\nuser:\n{{ message }}\n"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    (folder / "more").mkdir(parents=True)
    (folder / "hello.prompty").write_text(
        "---\n# about it\nname: hello\nown: {kept: 'yes'}\n---\nuser:\n{{ message }}\n"
    )
    for name in ("cases.jsonl", "more/test.jsonl"):
        (folder / name).write_text('{"message": "m", "expected": "e"}\n')
    (folder / "demo.bench.yaml").write_text(BENCH)
    return Session(folder / "demo.bench.yaml", Settings())


def choose_data(session: Session) -> None:
    dataset = Dataset(str(session.path.parent / "more/test.jsonl"))
    session.choose_dataset(dataset, load_cases(dataset, session.path.parent))


CHANGES: list[tuple[Callable[[Session], object], str, str]] = [
    (lambda it: it.change_variant(0, name="new"), "'plain'", "'new'"),
    (lambda it: it.change_variant(1, name="it's"), '"other"', '"it\'s"'),
    (lambda it: it.change_variant(1, model="n.script.json"), "model: 'm.", "model: 'n."),
    (lambda it: it.change_variant(0, sampling=Sampling(max_tokens=16, temperature=0.5)), "e: 0.0", "e: 0.5"),
    (lambda it: it.change_variant(0, sampling=Sampling(max_tokens=16, seed=3)), "e: 0.0}", "e: 0.0, seed: 3}"),
    (lambda it: it.change_variant(1, deterministic=True), "json'}\n", "json', deterministic: true}\n"),
    (lambda it: it.set_scorers(("contains",)), "'exact_match'", "'contains'"),
    (lambda it: it.set_live(False), "\n\n# The end.", "\nlive: false\n\n# The end."),
    (choose_data, '"cases.jsonl"', '"more/test.jsonl"'),
    (lambda it: it.close_variant(1), "  - {name: \"other\", prompt: hello, model: 'm.script.json'}\n", ""),
    (
        lambda it: it.remember_model("own", ModelChoice(str(it.path.parent / "models/m.gguf"))),
        "\n\n# The end.",
        "\nmodels:\n  own:\n    path: models/m.gguf\n\n# The end.",
    ),
]


@pytest.mark.parametrize(("change", "before", "after"), CHANGES)
def test_a_change_writes_its_own_line(session, change, before, after):
    assert before in BENCH
    change(session)
    session.save()
    assert session.path.read_text() == BENCH.replace(before, after, 1)


def test_going_to_a_case_and_back_writes_nothing(session):
    session.change_variant(0, deterministic=True)
    session.change_variant(0, deterministic=False)
    session.save()
    assert session.path.read_text() == BENCH


def test_a_prompt_that_is_edited_keeps_the_rest_of_its_file(session):
    path = session.path.with_name("hello.prompty")
    before = path.read_text()
    session.edit_prompt("hello", "user:\nAsk: {{ message }}\n")
    session.save()
    assert path.read_text() == before.replace("{{ message }}", "Ask: {{ message }}")


def test_a_pane_s_own_copy_of_a_prompt_keeps_comments_and_unknown_keys(session):
    before = session.path.with_name("hello.prompty").read_text()
    session.duplicate_variant(0)
    session.save()
    assert session.path.with_name("hello-2.prompty").read_text() == before


def test_a_path_elsewhere_stays_absolute(session):
    choice = ModelChoice("/models/m.gguf")
    session.remember_model("own", choice)
    assert session.bench.models == {"own": replace(choice)}
