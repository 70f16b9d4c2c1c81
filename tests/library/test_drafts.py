from __future__ import annotations

from pathlib import Path

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
