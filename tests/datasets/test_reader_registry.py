"""A format of datasets is added by one module that registers what opens its files."""

from __future__ import annotations

import pytest

from workbench.datasets import load_cases, registry
from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.readers.delimited import DelimitedSource
from workbench.datasets.registry import FileSplits, kinds_by_suffix, reader, reader_kinds
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError


@pytest.fixture
def semicolons(monkeypatch):
    """A format that nobody knew before."""
    reader_kinds()
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))

    @reader("ssv", ".ssv")
    def open_ssv(path):
        return FileSplits.whole(DelimitedSource(FileSnapshot(path), "ssv", ";"))


def test_a_registered_format_is_opened_by_its_suffix_and_by_its_name(semicolons, tmp_path):
    for name, format in (("a.ssv", ""), ("a.txt", "ssv")):
        (tmp_path / name).write_text("message;expected\nhello;Lantern\n")
        (case,) = load_cases(Dataset(name, format=format), tmp_path)
        assert (case.variables, case.expected) == ({"message": "hello"}, "Lantern")
    assert ".ssv" in kinds_by_suffix()


def test_a_split_folder_finds_files_of_a_registered_format(semicolons, tmp_path):
    (tmp_path / "test.ssv").write_text("message;expected\nhello;Lantern\n")
    cases = load_cases(Dataset(str(tmp_path), split="test"), tmp_path)
    assert (len(cases), cases.splits) == (1, ("test",))


def test_an_unknown_suffix_is_refused_with_those_there_are(tmp_path):
    (tmp_path / "a.ssv").write_text("message;expected\n")
    with pytest.raises(DatasetError, match=r"its name ends in \.ssv") as caught:
        load_cases(Dataset("a.ssv"), tmp_path)
    assert ".parquet" in caught.value.hint
