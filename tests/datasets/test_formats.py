from __future__ import annotations

import datetime
import json

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from workbench.datasets import Case, load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, FileError

NAME = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(lambda n: n != "expected")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SHEET_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(
    lambda text: text[0] not in "=#" and "_x" not in text
)
TABLE = st.tuples(st.lists(NAME, min_size=1, max_size=3, unique=True), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(st.fixed_dictionaries(dict.fromkeys(shape[0], TEXT)), min_size=shape[1], max_size=shape[1])
)


def variables(path, **choices):
    return [case.variables for case in load_cases(Dataset(str(path), layout="columns", **choices), path.parent)]


def save_table(folder, table, batch=3, **files):
    """What `save_to_disk` of the datasets library leaves in a folder."""
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as to,
    ):
        to.write_table(table, max_chunksize=batch)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps(files.get("info", {})))
    return folder


@settings(deadline=None, max_examples=60)
@given(TABLE, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_rows_come_back_however_they_are_laid_out(tmp_path_factory, rows, indent, ascii_only):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert variables(path) == rows


@settings(deadline=None, max_examples=40)
@given(TABLE, st.integers(1, 4))
def test_parquet_rows_come_back_as_they_were_written(tmp_path_factory, rows, group):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    cases = load_cases(Dataset("a.parquet", layout="columns"), path.parent)
    assert [case.variables for case in cases] == rows
    assert [cases[at].variables for at in reversed(range(len(rows)))] == rows[::-1]


@settings(deadline=None, max_examples=40)
@given(TABLE)
def test_rows_of_a_saved_folder_come_back_as_they_were_written(tmp_path_factory, rows):
    folder = save_table(tmp_path_factory.mktemp("hf") / "a", pa.Table.from_pylist(rows), batch=2)
    assert variables(folder) == rows


@settings(deadline=None, max_examples=25)
@given(st.lists(NAME, min_size=1, max_size=3, unique=True), st.data())
def test_sheet_rows_come_back_as_they_were_written(tmp_path_factory, header, data):
    rows = data.draw(st.lists(st.tuples(*[SHEET_TEXT] * len(header)), min_size=1, max_size=3))
    book = openpyxl.Workbook()
    for row in [header, *rows]:
        book.active.append(list(row))
    for row in book.active.iter_rows():
        for cell in row:
            cell.data_type = "s"
    path = tmp_path_factory.mktemp("sheet") / "a.xlsx"
    book.save(path)
    assert variables(path) == [dict(zip(header, row, strict=True)) for row in rows]


def test_typed_values_become_texts_that_read_as_one_would_write_them(tmp_path):
    rows = [
        {
            "whole": 7,
            "part": 0.1,
            "sure": True,
            "day": datetime.date(2026, 1, 31),
            "list": ["a", 1.5],
            "bytes": b"caf\xc3\xa9",
            "none": None,
            "nan": float("nan"),
        }
    ]
    rows[0]["list"] = [{"k": "v", "n": 1}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (got,) = variables(tmp_path / "a.parquet")
    assert got == {
        "whole": "7",
        "part": "0.1",
        "sure": "true",
        "day": "2026-01-31",
        "list": '[{"k":"v","n":1}]',
        "bytes": "café",
    }


def test_classes_are_called_by_their_names(tmp_path):
    info = {"features": {"label": {"names": ["calm", "cross"], "_type": "ClassLabel"}, "text": {"dtype": "string"}}}
    table = pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1]})
    folder = save_table(tmp_path / "hf", table, info=info)
    answers = [case.expected for case in load_cases(Dataset(str(folder)), tmp_path)]
    assert answers == ["cross", "calm", None]
    kept = table.replace_schema_metadata({"huggingface": json.dumps({"info": info})})
    parquet.write_table(kept, tmp_path / "a.parquet")
    assert [case.expected for case in load_cases(Dataset("a.parquet"), tmp_path)] == answers


def test_a_sheet_keeps_its_row_numbers_and_passes_over_empty_rows(tmp_path):
    book = openpyxl.Workbook()
    for row in [[None, None], ["message", "expected"], ["one", 3], [None, None], ["two", None]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert tuple(load_cases(Dataset("a.xlsx"), tmp_path)) == (
        Case(1, {"message": "one"}, "3", 3),
        Case(2, {"message": "two"}, None, 5),
    )


def test_a_value_outside_the_named_columns_of_a_sheet_is_told_by_its_cell(tmp_path):
    book = openpyxl.Workbook()
    for row in [["a", "b"], ["1", "2"], ["3", "4", "5"]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DatasetError, match="row 3: cell C3 stands in a column without a name"):
        load_cases(Dataset("a.xlsx"), tmp_path)


def test_a_json_file_may_hold_an_object_a_line(tmp_path):
    (tmp_path / "a.json").write_text('{"a": "1"}\n{"a": [{"b": 2}]}\n')
    assert variables(tmp_path / "a.json") == [{"a": "1"}, {"a": '[{"b": 2}]'}]


def test_a_list_under_the_only_key_is_the_dataset(tmp_path):
    (tmp_path / "a.json").write_text('{"version": "1", "data": [\n  {"a": "1"},\n  {"a": "[,]"}\n], "note": []}')
    cases = load_cases(Dataset("a.json"), tmp_path)
    assert [(case.line, case.variables) for case in cases] == [(2, {"a": "1"}), (3, {"a": "[,]"})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1},\n {"a": tru}]', "line 2, column 8: Expecting value"),
        ('[{"a": 1}, 3]', "line 1: Expected `object`, got `int`"),
        ('"text"', "is not a list of objects"),
        ('{"a": 1}\n', "has no rows"),
        ('{"rows": {}, "n": 3\n}', "holds no list of objects"),
        ("[]", "has no rows"),
        ("", "holds no list of objects"),
        ('{"a": [{"b": 1}],\n "a": [{"b": 2}]}', "the key a is there twice"),
    ],
)
def test_json_that_is_no_dataset_says_why(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    if text == '{"a": 1}\n':  # an object a line, of which there is one
        assert len(load_cases(Dataset("a.json"), tmp_path)) == 1
        return
    with pytest.raises(DatasetError) as caught:
        load_cases(Dataset("a.json"), tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"PAR1" * 8])
def test_what_only_has_the_name_of_a_format_is_a_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{name} is not "):
        load_cases(Dataset(name), tmp_path)


def test_a_broken_folder_says_which_file_is_wrong(tmp_path):
    folder = save_table(tmp_path / "hf", pa.table({"a": ["1"]}))
    (folder / "data-00000-of-00001.arrow").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="is not an Arrow file"):
        load_cases(Dataset("hf"), tmp_path)
    (folder / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(DatasetError, match="names files that are not there"):
        load_cases(Dataset("hf"), tmp_path)
    (folder / "state.json").write_text("{")
    with pytest.raises(DatasetError, match=r"state\.json cannot be read"):
        load_cases(Dataset("hf"), tmp_path)


def test_a_folder_that_holds_no_dataset_says_what_is_expected(tmp_path):
    (tmp_path / "notes.log").write_text("x")
    with pytest.raises(DatasetError, match="has no split of a dataset") as caught:
        load_cases(Dataset(str(tmp_path)), tmp_path)
    assert ".jsonl" in caught.value.hint


def test_a_file_that_may_not_be_read_is_a_file_error(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises((FileError, DatasetError)):
        load_cases(Dataset("a.jsonl"), tmp_path)


def test_the_format_can_be_named(tmp_path):
    (tmp_path / "rows.txt").write_text("a\tb\n1\t2\n")
    assert variables(tmp_path / "rows.txt", format="tsv") == [{"a": "1", "b": "2"}]
    with pytest.raises(DatasetError, match="No such dataset format: exel"):
        load_cases(Dataset("rows.txt", format="exel"), tmp_path)


def test_other_encodings_are_told_and_not_guessed(tmp_path):
    (tmp_path / "a.csv").write_bytes("message\ngrün\n".encode("utf-16"))
    with pytest.raises(DatasetError, match="is UTF-16 text"):
        load_cases(Dataset("a.csv"), tmp_path)
    (tmp_path / "b.csv").write_bytes("message,b\nx,y\ngrün,z\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"line 3, column 3: not UTF-8 text \(byte 0xfc\)"):
        load_cases(Dataset("b.csv"), tmp_path)
    (tmp_path / "c.jsonl").write_bytes(b'{"a": "x"}\n{"a": "\xff"}\n')
    with pytest.raises(DatasetError, match=r"line 2, column 8: not UTF-8 text \(byte 0xff\)"):
        load_cases(Dataset("c.jsonl"), tmp_path)


def test_a_saved_folder_without_splits_has_none_to_choose(tmp_path):
    save_table(tmp_path / "set", pa.table({"a": ["x"]}))
    assert len(load_cases(Dataset("set"), tmp_path)) == 1
    with pytest.raises(DatasetError, match="has no split test: it is one whole"):
        load_cases(Dataset("set", split="test"), tmp_path)
