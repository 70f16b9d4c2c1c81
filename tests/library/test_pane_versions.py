"""Versions of prompts that were run in panes are kept once each, by library and name."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from workbench.errors import FileError
from workbench.library import pane_versions
from workbench.library.pane_versions import PaneVersions
from workbench.library.prompt_renames import NameSpan
from workbench.prompting.prompt import Example, Prompt

ALWAYS = (NameSpan("a", -math.inf, math.inf),)


@pytest.fixture
def clock():
    times = iter(range(1_000_000))
    return lambda: datetime.fromtimestamp(next(times), UTC)


@pytest.fixture
def versions(tmp_path, clock):
    return PaneVersions(tmp_path / "own/pane_versions.jsonl", clock)


def bodies(versions, library, spans=ALWAYS):
    return [one.prompt.body for one in versions.list(library, spans)]


def test_a_version_is_kept_once_with_its_first_time(versions, tmp_path, clock):
    first = Prompt("a", "user:\none", examples=(Example("e", {"x": "1"}, "y"),), header="description: d\n")
    assert versions.list(tmp_path, ALWAYS) == ()
    assert versions.note(tmp_path, first)
    assert not versions.note(tmp_path, Prompt("a", "user:\none", "other words", examples=first.examples))
    assert versions.note(tmp_path, Prompt("a", "user:\ntwo"))
    again = PaneVersions(tmp_path / "own/pane_versions.jsonl", clock)
    assert not again.note(tmp_path, first)
    assert bodies(again, tmp_path) == ["user:\none", "user:\ntwo"]
    assert again.list(tmp_path, ALWAYS)[0].prompt == first.without_header()
    assert again.list(tmp_path, ALWAYS)[0].at == 0


def test_other_libraries_and_names_are_not_among_them(versions, tmp_path):
    versions.note(tmp_path, Prompt("a", "one"))
    versions.note(tmp_path / "else", Prompt("a", "two"))
    versions.note(tmp_path, Prompt("b", "three"))
    assert bodies(versions, tmp_path) == ["one"]
    assert bodies(versions, tmp_path, (NameSpan("b", 1, 9),)) == ["three"]
    assert bodies(versions, tmp_path, (NameSpan("b", 3, 9),)) == []


def test_a_damaged_line_costs_its_own_version_alone(versions, tmp_path):
    versions.note(tmp_path, Prompt("a", "one"))
    path = tmp_path / "own/pane_versions.jsonl"
    path.write_text("{broken\n" + path.read_text() + "null\n")
    versions.note(tmp_path, Prompt("a", "two"))
    assert bodies(versions, tmp_path) == ["one", "two"]


def test_only_the_newest_are_kept(versions, tmp_path, monkeypatch):
    monkeypatch.setattr(pane_versions, "MOST_VERSIONS", 3)
    for number in range(5):
        versions.note(tmp_path, Prompt("a", str(number)))
    assert bodies(versions, tmp_path) == ["2", "3", "4"]


def test_a_file_that_cannot_be_written_is_said(tmp_path, clock):
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileError):
        PaneVersions(tmp_path / "taken/x.jsonl", clock).note(tmp_path, Prompt("a", "one"))


def test_line_separators_of_unicode_end_no_record(versions, tmp_path):
    texts = ["a\u2028b", "a\x85b", "a\u2029b\x0b\x0c\x1c"]
    for text in texts:
        versions.note(tmp_path, Prompt("a", text))
    assert bodies(versions, tmp_path) == texts
