"""Text files are documents: one each, whole, with the lines as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.datasets import describe, load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError

STORY = "Once.\n\nA second paragraph, ünï €.\n"


def texts(path: Path, **fields: str) -> list[str]:
    return [case.variables["text"] for case in load_cases(Dataset(str(path), **fields), path.parent)]


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_bytes(b"\xef\xbb\xbf" + STORY.replace("\n", "\r\n").encode())
    assert texts(path) == [STORY]
    found = describe(Dataset(str(path)), tmp_path)
    assert (found.format, found.rows, found.expected) == ("text", 1, "")


def test_a_folder_of_text_files_has_a_row_for_each(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.txt").write_text(name)
    assert texts(folder) == ["a", "b"]
    before = load_cases(Dataset(str(folder)), tmp_path).digest
    (folder / "a.txt").write_text("other")
    assert load_cases(Dataset(str(folder)), tmp_path).digest != before


def test_text_files_that_are_named_like_splits_are_splits(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.txt").write_text(name)
    assert texts(tmp_path, split="validation") == ["validation"]
    assert texts(tmp_path / "train.txt", split="validation") == ["validation"]


def test_what_is_no_text_and_what_is_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\nb\xffd\n")
    with pytest.raises(DatasetError, match=r"bad.txt, line 2: not UTF-8 text \(byte 0xff\)"):
        texts(tmp_path / "bad.txt")
