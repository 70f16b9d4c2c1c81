from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import FileError
from workbench.library.drafts import Drafts

TEXT = st.text(st.characters(codec="utf-8"))


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_every_draft_is_found_again_by_a_later_session(
    tmp_path_factory: pytest.TempPathFactory, kept: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("drafts")
    for key, text in kept.items():
        Drafts(folder).keep(key, text)
    assert Drafts(folder).all() == kept
    assert all(Drafts(folder).find(key) == text for key, text in kept.items())


def test_a_later_draft_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    drafts.keep("a/b", "one")
    drafts.keep("a/b", "two")
    assert drafts.all() == {"a/b": "two"}


def test_a_dropped_draft_is_gone_and_others_stay(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    drafts.drop("nothing")
    drafts.keep("a", "one")
    drafts.keep("b", "two")
    drafts.drop("a")
    assert drafts.find("a") is None
    assert drafts.find("b") == "two"


def test_a_file_that_is_no_draft_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FileError, match=r"x\.json is not a draft"):
        Drafts(tmp_path).all()


def leave_draft(folder: Path, key: str, text: str, written: float, *, pid: int = 0) -> None:
    """A draft of a process that has ended; of process `pid` where that lives."""
    identity = f"{pid} {psutil.Process(pid).create_time():.2f}" if pid else f"{2**22} {written:.2f}"
    drafts = Drafts(folder, identity)
    drafts.keep(key, text)
    (path,) = folder.glob(f"*.{identity.replace(' ', '-')}.json")
    os.utime(path, (written, written))


def test_a_draft_of_a_process_that_lives_stays_its_own(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "theirs", 1e9, pid=os.getppid())
    drafts = Drafts(tmp_path)
    assert drafts.find("a") is None
    assert drafts.find_keys("") == ()
    drafts.keep("a", "ours")
    drafts.drop("a")
    assert drafts.all() == {"a": "theirs"}


def test_what_a_process_that_has_ended_left_is_found_by_one_alone(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "left", 1e9)
    first, second = Drafts(tmp_path), Drafts(tmp_path, f"{os.getppid()} {psutil.Process(os.getppid()).create_time()}")
    assert second.find_keys("") == ("a",)
    assert first.find("a") == "left"
    assert first.written("a") == 1e9
    assert second.find("a") is None


def test_the_last_of_several_left_drafts_comes_first_and_the_others_later(tmp_path: Path) -> None:
    leave_draft(tmp_path, "a", "older", 1e9)
    leave_draft(tmp_path, "a", "newer", 2e9 - 1e9 + 5)
    drafts = Drafts(tmp_path)
    assert drafts.find("a") == "newer"
    drafts.drop("a")
    assert drafts.find("a") == "older"
    drafts.drop("a")
    assert drafts.find("a") is None


def test_a_number_that_another_process_has_by_now_is_no_life(tmp_path: Path) -> None:
    Drafts(tmp_path, f"{os.getppid()} 1.00").keep("a", "left")
    assert Drafts(tmp_path).find("a") == "left"


def test_a_draft_that_names_no_process_is_found(tmp_path: Path) -> None:
    Drafts(tmp_path).keep("a", "old")
    (path,) = tmp_path.glob("*.json")
    path.rename(tmp_path / f"{path.name.partition('.')[0]}.json")
    assert Drafts(tmp_path).find("a") == "old"


def test_a_draft_that_cannot_be_written_stops_nothing_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("in the way")
    drafts = Drafts(tmp_path / "drafts")
    drafts.keep("a", "one")
    problem = drafts.take_problem()
    assert problem is not None
    assert "not kept" in problem.message
    drafts.keep("a", "two")
    assert drafts.take_problem() is None
    (tmp_path / "drafts").unlink()
    drafts.keep("a", "three")
    assert (drafts.find("a"), drafts.take_problem()) == ("three", None)
    drafts.keep("a", "half a character: \ud83d")
    assert drafts.take_problem() is not None
    assert drafts.find("a") == "three"


def test_a_key_whose_bytes_are_not_utf_8_has_a_draft(tmp_path: Path) -> None:
    Drafts(tmp_path).keep("/folder-\udcff:a", "text")
    assert Drafts(tmp_path).find("/folder-\udcff:a") == "text"
    assert Drafts(tmp_path).find_keys("/folder-\udcff:") == ("a",)
