from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.errors import PromptError
from workbench.library.library import Library
from workbench.library.prompt_renames import NameSpan, PromptRenames

START = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def renames(tmp_path):
    moments = iter(START + timedelta(hours=hour) for hour in range(1, 100))
    return PromptRenames(tmp_path / "renames.jsonl", lambda: next(moments))


def hour(number: int) -> float:
    return (START + timedelta(hours=number)).timestamp()


def test_a_prompt_has_the_names_it_had_and_not_those_of_its_namesakes(renames):
    folder = Path("/p")
    renames.note(folder, "a", "b")
    renames.note(folder, "b", "c")
    renames.note(folder, "new", "a")  # another prompt takes the first one's name
    renames.note(Path("/other"), "c", "d")
    assert renames.find_names(folder, "c") == (
        NameSpan("c", hour(2), math.inf), NameSpan("b", hour(1), hour(2)), NameSpan("a", -math.inf, hour(1)),
    )  # fmt: skip
    assert renames.find_names(folder, "a") == (NameSpan("a", hour(3), math.inf), NameSpan("new", -math.inf, hour(3)))
    assert renames.find_names(folder, "b") == (NameSpan("b", hour(2), math.inf),)
    assert renames.find_names(folder, "x") == (NameSpan("x", -math.inf, math.inf),)
    assert renames.follow(folder, "a") == "c"
    assert renames.follow(folder, "x") == "x"


def test_there_and_back_is_the_same_prompt(renames):
    folder = Path("/p")
    renames.note(folder, "a", "b")
    renames.note(folder, "b", "a")
    assert [span.name for span in renames.find_names(folder, "a")] == ["a", "b", "a"]


def test_a_damaged_line_costs_one_renaming(renames, tmp_path):
    renames.note(Path("/p"), "a", "b")
    with (tmp_path / "renames.jsonl").open("a") as stream:
        stream.write("{half\n")
    renames.note(Path("/p"), "b", "c")
    assert renames.follow(Path("/p"), "a") == "c"


def test_the_library_remembers_a_renaming_and_says_the_new_name(tmp_path):
    library = Library(tmp_path / "p", trash=tmp_path / "trash", renames=tmp_path / "renames.jsonl")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/old.prompty").write_text("user:\nHi\n")
    library.rename("old", "deep/new")
    with pytest.raises(PromptError) as error:
        library.open("old")
    assert "renamed to `deep/new`" in error.value.message


def test_a_renaming_that_fails_is_not_remembered(tmp_path):
    library = Library(tmp_path / "p", trash=tmp_path / "trash", renames=tmp_path / "renames.jsonl")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/old.prompty").write_text("user:\nHi\n")
    with pytest.raises(ZeroDivisionError):
        library.rename("old", "new", lambda: print(1 / 0))
    assert library.renames.list(tmp_path / "p") == ()
