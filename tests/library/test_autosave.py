from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import FileError
from workbench.library.autosave import AutosaveStore

TEXT = st.text(st.characters(codec="utf-8"))


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_every_draft_is_found_again_by_a_later_session(
    tmp_path_factory: pytest.TempPathFactory, kept: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("drafts")
    for key, text in kept.items():
        AutosaveStore(folder).keep(key, text)
    assert AutosaveStore(folder).all() == kept
    assert all(AutosaveStore(folder).find(key) == text for key, text in kept.items())


def test_a_later_draft_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    autosaves = AutosaveStore(tmp_path / "drafts")
    autosaves.keep("a/b", "one")
    autosaves.keep("a/b", "two")
    assert autosaves.all() == {"a/b": "two"}


def test_a_dropped_draft_is_gone_and_others_stay(tmp_path: Path) -> None:
    autosaves = AutosaveStore(tmp_path / "drafts")
    autosaves.drop("nothing")
    autosaves.keep("a", "one")
    autosaves.keep("b", "two")
    autosaves.drop("a")
    assert autosaves.find("a") is None
    assert autosaves.find("b") == "two"


def test_a_file_that_is_no_draft_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FileError, match=r"x\.json is not an autosave file"):
        AutosaveStore(tmp_path).all()


def leave_draft(folder: Path, key: str, text: str, written: float, *, pid: int = 0) -> None:
    """A draft of a process that has ended; of process `pid` where that lives."""
    identity = f"{pid} {psutil.Process(pid).create_time():.2f}" if pid else f"{2**22} {written:.2f}"
    autosaves = AutosaveStore(folder, identity)
    autosaves.keep(key, text)
    (path,) = folder.glob(f"*.{identity.replace(' ', '-')}.json")
    os.utime(path, (written, written))


def test_a_draft_of_a_process_that_lives_stays_its_own(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "theirs", 1e9, pid=os.getppid())
    autosaves = AutosaveStore(tmp_path)
    assert autosaves.find("a") is None
    assert autosaves.find_keys("") == ()
    autosaves.keep("a", "ours")
    autosaves.drop("a")
    assert autosaves.all() == {"a": "theirs"}


def test_what_a_process_that_has_ended_left_is_found_by_one_alone(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "left", 1e9)
    first, second = (
        AutosaveStore(tmp_path),
        AutosaveStore(tmp_path, f"{os.getppid()} {psutil.Process(os.getppid()).create_time()}"),
    )
    assert second.find_keys("") == ("a",)
    assert first.find("a") == "left"
    assert first.written("a") == 1e9
    assert second.find("a") is None


def test_the_last_of_several_left_drafts_comes_first_and_the_others_later(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "older", 1e9)
    leave_draft(tmp_path, "a", "newer", 2e9 - 1e9 + 5)
    autosaves = AutosaveStore(tmp_path)
    assert autosaves.find("a") == "newer"
    autosaves.drop("a")
    assert autosaves.find("a") == "older"
    autosaves.drop("a")
    assert autosaves.find("a") is None


def test_a_number_that_another_process_has_by_now_is_no_life(tmp_path: Path) -> None:
    AutosaveStore(tmp_path, f"{os.getppid()} 1.00").keep("a", "left")
    assert AutosaveStore(tmp_path).find("a") == "left"


def test_a_draft_that_names_no_process_is_found(tmp_path: Path) -> None:
    AutosaveStore(tmp_path).keep("a", "old")
    (path,) = tmp_path.glob("*.json")
    path.rename(tmp_path / f"{path.name.partition('.')[0]}.json")
    assert AutosaveStore(tmp_path).find("a") == "old"


def test_a_draft_that_cannot_be_written_stops_nothing_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("in the way")
    autosaves = AutosaveStore(tmp_path / "drafts")
    autosaves.keep("a", "one")
    problem = autosaves.pop_problem()
    assert problem is not None
    assert "not kept" in problem.message
    autosaves.keep("a", "two")
    assert autosaves.pop_problem() is None
    (tmp_path / "drafts").unlink()
    autosaves.keep("a", "three")
    assert (autosaves.find("a"), autosaves.pop_problem()) == ("three", None)
    autosaves.keep("a", "half a character: \ud83d")
    assert autosaves.pop_problem() is not None
    assert autosaves.find("a") == "three"


def test_a_key_whose_bytes_are_not_utf_8_has_a_draft(tmp_path: Path) -> None:
    AutosaveStore(tmp_path).keep("/folder-\udcff:a", "text")
    assert AutosaveStore(tmp_path).find("/folder-\udcff:a") == "text"
    assert AutosaveStore(tmp_path).find_keys("/folder-\udcff:") == ("a",)
