from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import FileChangedError
from workbench.evaluation.session import Session
from workbench.prompting.render import render
from workbench.settings import Settings

BENCH = "variants:\n  - {name: A, prompt: hello, model: desk}\n"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "hello.prompty").write_text("user:\nHello")
    path = tmp_path / "a.bench.yaml"
    path.write_text(BENCH)
    return path


def test_an_unsaved_edit_is_there_again_in_the_next_session(bench: Path) -> None:
    Session(bench, Settings()).edit_prompt("hello", "user:\nHi")
    session = Session(bench, Settings())
    assert session.prompt("hello").body == "user:\nHi"
    assert session.save() == ("hello",)
    assert (bench.parent / "hello.prompty").read_text() == "user:\nHi"
    assert not Session(bench, Settings()).unsaved


def test_an_unsaved_edit_does_not_write_over_what_another_program_wrote_meanwhile(bench: Path) -> None:
    Session(bench, Settings()).edit_prompt("hello", "user:\nHi")
    (bench.parent / "hello.prompty").write_text("user:\ntheirs")
    session = Session(bench, Settings())
    assert session.prompt("hello").body == "user:\nHi"
    assert session.prompts.changed_outside() == ("hello",)
    with pytest.raises(FileChangedError):
        session.save()
    assert (bench.parent / "hello.prompty").read_text() == "user:\ntheirs"


def test_an_unsaved_edit_that_cannot_be_read_is_a_problem_and_no_obstacle(bench: Path) -> None:
    session = Session(bench, Settings())
    session.edit_prompt("hello", "user:\nHi")
    for text in ("", "{}"):
        for draft in session.prompts.drafts.folder.glob("*.json"):
            draft.write_text(text)
        assert len(Session(bench, Settings()).problems) == 1
    session.prompts.drafts.keep(f"{session.library.folder}:hello", "{}")
    assert "unsaved edit" in Session(bench, Settings()).problems[0].message


def test_the_first_example_of_a_prompt_is_sent_and_saved_with_it(bench: Path) -> None:
    session = Session(bench, Settings())
    example = session.new_example("hello")
    session.edit_examples("hello", (example,))
    assert len(render(session.prompt("hello"), {}, (example,))) == 3
    session.save()
    assert Session(bench, Settings()).prompt("hello") == session.prompt("hello")
