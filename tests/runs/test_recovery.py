from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from workbench.errors import FileChangedError, PromptError
from workbench.prompting.render import render
from workbench.runs.session import Session
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
        for draft in session.prompts.autosaves.folder.glob("*.json"):
            draft.write_text(text)
        assert len(Session(bench, Settings()).problems) == 1
    session.prompts.autosaves.keep(f"{session.library.folder}:hello", "{}")
    assert "unsaved edit" in Session(bench, Settings()).problems[0].message


def test_the_first_example_of_a_prompt_is_sent_and_saved_with_it(bench: Path) -> None:
    session = Session(bench, Settings())
    example = session.new_example("hello")
    session.edit_examples("hello", (example,))
    assert len(render(session.prompt("hello"), {}, (example,))) == 3
    session.save()
    assert Session(bench, Settings()).prompt("hello") == session.prompt("hello")


def leave(*argv: str) -> None:
    """Change things in a process of its own that is killed right after."""
    code = f"import os, signal\n{argv[0]}\nos.kill(os.getpid(), signal.SIGKILL)"
    ended = subprocess.run([sys.executable, "-c", OPEN + code, *argv[1:]], check=False)
    assert ended.returncode == -signal.SIGKILL


OPEN = """
import sys
from pathlib import Path
from workbench.runs.session import Session
from workbench.settings import Settings
session = Session(Path(sys.argv[1]), Settings())
"""
CHANGES = """
from workbench.datasets.spec import Dataset
from workbench.runs.bench import AdapterChoice
from workbench.datasets import load_cases
session.duplicate_variant(0)
session.edit_prompt("hello-2", "user:\\nHey")
session.change_variant(0, name="first")
session.add_adapter(0, "lantern")
session.step_scale(0, 0, 3)
session.set_live(False)
session.set_strategy("drop")
dataset = Dataset("cases.jsonl")
session.choose_dataset(dataset, load_cases(dataset, session.path.parent))
session.type_input("message", "typed over one")
session.go_to_case(2)
session.type_input("message", "typed over two")
"""


@pytest.fixture
def cases(bench: Path) -> Path:
    path = bench.parent / "cases.jsonl"
    path.write_text('{"message": "one"}\n{"message": "two"}\n')
    return path


def drafts_of(session: Session) -> list[Path]:
    return list(session.autosaves.folder.glob("*.json"))


def test_every_change_of_a_bench_is_there_again_after_a_kill(bench: Path, cases: Path) -> None:
    leave(CHANGES, str(bench))
    session = Session(bench, Settings())
    assert [variant.name for variant in session.variants] == ["first", "A 2"]
    assert session.prompt("hello-2").body == "user:\nHey"
    assert session.variants[0].adapters[0].scale == 1.3
    assert (session.live, session.strategy, len(session.cases)) == (False, "drop", 2)
    assert session.case.variables["message"] == "typed over two"
    session.go_to_case(1)
    assert session.case.variables["message"] == "typed over one"
    assert set(session.recovered) == {"hello-2", "a.bench.yaml"}
    assert abs(session.recovered_from - time.time()) < 600
    assert bench.read_text() == BENCH


def test_a_bench_that_was_not_changed_has_no_draft_and_saving_removes_one(bench: Path, cases: Path) -> None:
    session = Session(bench, Settings())
    session.set_live(session.live)
    session.change_variant(0, name="B")
    assert len(drafts_of(session)) == 1
    session.change_variant(0, name="A")
    assert not drafts_of(session)
    assert not session.recovered
    session.duplicate_variant(0)
    session.save()
    assert not drafts_of(session)
    assert not Session(bench, Settings()).recovered


def test_what_was_restored_can_be_discarded(bench: Path, cases: Path) -> None:
    leave(CHANGES, str(bench))
    session = Session(bench, Settings())
    assert session.is_as_recovered
    session.change_variant(0, name="third")
    assert not session.is_as_recovered
    session.discard()
    assert (session.unsaved, session.recovered, len(session.cases)) == ((), (), 0)
    assert not drafts_of(session)
    assert not Session(bench, Settings()).recovered


def test_an_edited_prompt_that_no_pane_shows_any_more_is_there_again(bench: Path) -> None:
    (bench.parent / "other.prompty").write_text("user:\nOther")
    leave('session.edit_prompt("hello", "user:\\nHi"); session.change_variant(0, prompt="other")', str(bench))
    session = Session(bench, Settings())
    assert session.variants[0].prompt == "other"
    assert session.prompts.edited == ("hello",)


def test_what_a_living_process_has_not_saved_is_not_taken_over(bench: Path) -> None:
    code = 'session.edit_prompt("hello", "user:\\nHi"); session.set_live(False); print("kept", flush=True); input()'
    command = [sys.executable, "-c", OPEN + code, str(bench)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "kept\n"
        ours = Session(bench, Settings())
        assert not ours.recovered
        ours.edit_prompt("hello", "user:\nHo")
        ours.save()
        other.kill()
    left = Session(bench, Settings())
    assert left.prompt("hello").body == "user:\nHi"
    assert not left.live
    with pytest.raises(FileChangedError):
        left.save()


def test_a_bench_that_another_program_changed_meanwhile_is_not_written_over(bench: Path) -> None:
    leave('session.change_variant(0, name="B")', str(bench))
    bench.write_text(BENCH + "repeats: 3\n")
    session = Session(bench, Settings())
    assert session.variants[0].name == "B"
    with pytest.raises(FileChangedError):
        session.save()
    session.discard()
    assert session.bench.repeats == 3
    session.change_variant(0, name="C")
    session.save()
    assert "repeats: 3" in bench.read_text()


def test_an_unsaved_bench_that_cannot_be_read_is_a_problem_and_no_obstacle(bench: Path) -> None:
    session = Session(bench, Settings())
    key = f"bench:{bench.resolve()}"
    for text in (
        "{}",
        '{"digest": "", "bench": "variants: []", "inputs": {}}',
        '{"digest": "", "bench": "a: [", "inputs": {}}',
    ):
        session.autosaves.keep(key, text)
        opened = Session(bench, Settings())
        assert "The unsaved changes of the bench cannot be read" in opened.problems[0].message
        assert not opened.unsaved
        opened.set_live(False)
        opened.set_live(True)
        (aside,) = session.autosaves.folder.glob("*.unreadable")
        assert str(aside) in opened.problems[0].hint
        assert msgspec.json.decode(aside.read_text())["text"] == text


def test_an_unsaved_bench_of_an_earlier_version_opens_under_the_keys_of_today(bench: Path) -> None:
    session = Session(bench, Settings())
    old = "variants:\n  - name: kept\n    prompt: hello\n    model: desk\n    reproducible: true\n"
    text = msgspec.json.encode({"digest": session.file.digest, "bench": old, "inputs": {}}).decode()
    session.autosaves.keep(f"bench:{bench.resolve()}", text)
    opened = Session(bench, Settings())
    assert opened.problems == []
    assert [(variant.name, variant.deterministic) for variant in opened.variants] == [("kept", True)]


def test_an_example_that_was_being_typed_is_there_again(bench: Path) -> None:
    example = 'Example("e1", {"a": "b"}, "half")'
    imported = "from workbench.prompting.prompt import Example"
    leave(f'{imported}\nsession.prompts.keep_example("hello", {example})', str(bench))
    session = Session(bench, Settings())
    (found,) = session.prompt("hello").examples
    assert (found.answer, session.prompt("hello").placement) == ("half", "turns")
    assert session.recovered == ("hello",)
    session.save()
    assert not drafts_of(session)


def test_two_projects_that_are_opened_by_the_same_relative_path_have_drafts_apart(
    bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = bench.parent / "other"
    other.mkdir()
    for name in ("a.bench.yaml", "hello.prompty"):
        shutil.copy(bench.parent / name, other)
    monkeypatch.chdir(other)
    leave('session.edit_prompt("hello", "user:\\nHi"); session.set_live(False)', "a.bench.yaml")
    monkeypatch.chdir(bench.parent)
    assert not Session(Path("a.bench.yaml"), Settings()).recovered
    monkeypatch.chdir(other)
    assert len(Session(Path("a.bench.yaml"), Settings()).recovered) == 2


def test_a_draft_of_a_template_that_computes_for_ever_opens_and_is_refused(bench: Path) -> None:
    body = "user:\n{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 999 }}{% endfor %}{% endfor %}"
    Session(bench, Settings()).edit_prompt("hello", body)
    session = Session(bench, Settings())
    assert session.prompt("hello").body == body
    with pytest.raises(PromptError):
        render(session.prompt("hello"), {}, ())
    assert session.case.variables == {}


def test_an_edit_whose_draft_cannot_be_written_is_an_edit_all_the_same(bench: Path) -> None:
    session = Session(bench, Settings())
    session.autosaves.folder.write_text("in the way")
    session.edit_prompt("hello", "user:\nHi")
    session.change_variant(0, name="B")
    assert session.unsaved == ("hello", "a.bench.yaml")
    assert session.autosaves.pop_problem() is not None
