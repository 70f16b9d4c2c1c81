"""Everything that changes an open bench is undone and redone, with the texts that were in no file."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from workbench.prompting.prompt import Example
from workbench.runs.bench import AdapterChoice
from workbench.runs.session import Session
from workbench.runs.session_history import JOINED_SECONDS, SessionHistory
from workbench.settings import Settings

BENCH = """\
dataset: {path: cases.jsonl}
variants:
  - {name: A, prompt: hello, model: desk}
  - {name: B, prompt: bye, model: desk, adapters: [{adapter: routes}]}
"""
CASES = '{"word": "one", "expected": "1"}\n{"word": "two", "expected": "2"}\n'


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    for name in ("hello", "bye"):
        (tmp_path / f"{name}.prompty").write_text(f"user:\n{name} {{{{ word }}}}")
    (tmp_path / "cases.jsonl").write_text(CASES)
    path = tmp_path / "a.bench.yaml"
    path.write_text(BENCH)
    return path


@pytest.fixture
def session(bench: Path) -> Session:
    return open_session(bench)


def open_session(bench: Path) -> Session:
    session = Session(bench, Settings())
    for name in ("hello", "bye"):
        session.prompt(name)
    session.note_step()
    return session


def state(session: Session) -> object:
    prompts = {name: session.prompt(name) for name in {variant.prompt for variant in session.variants}}
    return msgspec.structs.replace(session.bench, case=1), prompts, session.unsaved


def example(id: str) -> Example:
    return Example(id, {"word": id}, id)


EDITS = {
    "close pane B": lambda session: session.close_variant(1),
    "add pane A 2": lambda session: session.duplicate_variant(0),
    "rename pane A": lambda session: session.change_variant(0, name="Z"),
    "change the model of B": lambda session: session.change_variant(1, model="other"),
    "change the settings of A": lambda session: session.change_variant(0, deterministic=True),
    "change the adapters of B": lambda session: session.toggle_adapter(1, 0),
    "toggle examples of A": lambda session: session.toggle_example(0, "e1"),
    "add example e1 of hello": lambda session: session.edit_examples("hello", (example("e1"),)),
    "edit prompt hello": lambda session: session.edit_prompt("hello", "user:\nHi"),
    "change the mode of hello": lambda session: session.set_mode("hello", "completion"),
    "edit case 1": lambda session: session.type_input("word", "uno"),
    "toggle live": lambda session: session.set_live(not session.live),
    "change what happens on context overflow": lambda session: session.set_strategy("drop"),
}


@pytest.mark.parametrize("text", EDITS)
def test_a_change_is_named_undone_and_redone(session: Session, text: str) -> None:
    before = state(session)
    EDITS[text](session)
    session.note_step()
    after = state(session)
    assert after != before
    step = session.history.peek(back=True)
    assert step is not None and step.change.text == text
    session.move_in_history(back=True)
    session.note_step()  # what was restored is no change of its own
    assert state(session) == before
    assert not session.unsaved
    session.move_in_history(back=False)
    session.note_step()
    assert state(session) == after


def test_a_reordering_is_a_step(session: Session) -> None:
    session.bench = msgspec.structs.replace(session.bench, variants=session.variants[::-1])
    session.note_step()
    step = session.history.peek(back=True)
    assert step is not None and step.change.text == "reorder panes"
    session.move_in_history(back=True)
    assert [variant.name for variant in session.variants] == ["A", "B"]


def test_a_closed_pane_comes_back_with_the_unsaved_text_of_its_prompt(session: Session) -> None:
    session.edit_prompt("bye", "user:\nnot saved")
    session.note_step()
    session.prompts.revert("bye")  # as closing without saving does
    session.close_variant(1)
    session.note_step()
    assert not session.prompts.edited
    session.move_in_history(back=True)
    assert session.variants[1].name == "B"
    assert session.prompt("bye").body == "user:\nnot saved"
    assert session.prompts.edited == ("bye",)


def test_what_was_undone_after_saving_is_unsaved(session: Session, bench: Path) -> None:
    session.edit_prompt("hello", "user:\nHi")
    session.change_variant(0, adapters=(AdapterChoice("routes"),))
    session.note_step()
    session.save()
    session.note_step()
    session.move_in_history(back=True)
    assert session.prompt("hello").body == "user:\nhello {{ word }}"
    assert session.unsaved == ("hello", bench.name)
    assert session.save() == ("hello", bench.name)
    assert (bench.parent / "hello.prompty").read_text() == "user:\nhello {{ word }}"


def test_a_state_that_was_restored_is_in_the_draft(session: Session, bench: Path) -> None:
    session.edit_prompt("bye", "user:\nnot saved")
    session.note_step()
    session.prompts.revert("bye")
    session.close_variant(1)
    session.note_step()
    session.move_in_history(back=True)
    again = Session(bench, Settings())
    assert state(again) == state(session)
    assert again.recovered == ("bye",)


def test_walking_through_the_cases_is_no_step_and_undoing_goes_to_the_case(session: Session) -> None:
    session.type_input("word", "uno")
    session.note_step()
    session.go_to_case(2)
    session.note_step()
    session.move_in_history(back=True)
    assert session.number == 1
    assert session.case.variables == {"word": "one"}
    assert not session.case_is_typed


def test_what_is_typed_without_a_pause_is_one_step(session: Session) -> None:
    now = 0.0
    start = session.history.peek(back=True)
    assert start is None
    session.history = SessionHistory(session._snapshot(), lambda: now)
    for text, pause in (("a", 1), ("ab", 1), ("abc", JOINED_SECONDS + 1), ("abcd", 1)):
        now += pause
        session.edit_prompt("hello", text)
        session.note_step()
    session.move_in_history(back=True)
    assert session.prompt("hello").body == "ab"
    session.move_in_history(back=True)
    assert session.prompt("hello").body == "user:\nhello {{ word }}"
    assert session.history.peek(back=True) is None


def test_a_new_change_ends_what_could_be_redone(session: Session) -> None:
    session.close_variant(1)
    session.note_step()
    session.move_in_history(back=True)
    session.change_variant(0, name="Z")
    session.note_step()
    assert session.history.peek(back=False) is None


@pytest.mark.parametrize("seed", range(5))
def test_any_changes_are_undone_to_the_start_and_redone_to_the_end(session: Session, seed: int) -> None:
    """Also where everything was saved in between."""
    draw = random.Random(seed)
    start = state(session)[:2]  # type: ignore[index]
    session.history = SessionHistory(session._snapshot(), lambda: draw.random() * 1e6)
    for _ in range(40):
        name = draw.choice([*EDITS, "save"])
        if name == "save":
            session.save()
        elif name == "close pane B" and len(session.variants) > 2:
            session.close_variant(draw.randrange(len(session.variants)))
        elif name == "add pane A 2" and len(session.variants) < 8:
            session.duplicate_variant(draw.randrange(len(session.variants)))
        elif name == "edit prompt hello":
            session.edit_prompt(session.variants[0].prompt, f"user:\n{draw.random()}")
        elif name == "rename pane A":
            session.change_variant(0, name=f"Z{draw.random()}")
        elif name in ("toggle examples of A", "toggle live", "edit case 1"):
            EDITS[name](session)
        for variant in session.variants:
            session.prompt(variant.prompt)
        session.note_step()
    end = state(session)[:2]  # type: ignore[index]
    for back, expected in ((True, start), (False, end), (True, start)):
        while session.history.peek(back):
            session.move_in_history(back)
            session.note_step()
        assert state(session)[:2] == expected  # type: ignore[index]
