from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from workbench.datasets import add_case, change_case, copy_as_json_lines, load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, FileChangedError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = TEXT | st.integers(-9, 9) | st.booleans() | st.lists(TEXT, max_size=2)
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def write(folder, name, text):
    (folder / name).write_bytes(text.encode())
    return Dataset(name)


def test_an_answer_is_written_into_its_own_row_alone(tmp_path):
    text = '{"m":"one",  "expected" : "A" , "n": 1.0}\r\n\r\n{"m": "tw\\u00f6"}\r\n{"m": "three"}'
    dataset = write(tmp_path, "a.jsonl", text)
    change_case(dataset, tmp_path, 1, expected='B"').apply()
    change_case(dataset, tmp_path, 2, {"m": "zwei"}, "C").apply()
    assert (tmp_path / "a.jsonl").read_bytes().decode() == (
        '{"m":"one",  "expected" : "B\\"" , "n": 1.0}\r\n\r\n{"m": "zwei", "expected": "C"}\r\n{"m": "three"}'
    )


def test_a_change_is_shown_as_a_diff_before_anything_is_written(tmp_path):
    text = "".join(f'{{"m": "text {n}", "expected": "A"}}\n' for n in range(1, 11))
    dataset = write(tmp_path, "a.jsonl", text)
    change = change_case(dataset, tmp_path, 6, expected="B")
    assert (tmp_path / "a.jsonl").read_text() == text
    assert change.preview().splitlines()[2:] == [
        "@@ -3,7 +3,7 @@",
        ' {"m": "text 3", "expected": "A"}',
        ' {"m": "text 4", "expected": "A"}',
        ' {"m": "text 5", "expected": "A"}',
        '-{"m": "text 6", "expected": "A"}',
        '+{"m": "text 6", "expected": "B"}',
        ' {"m": "text 7", "expected": "A"}',
        ' {"m": "text 8", "expected": "A"}',
        ' {"m": "text 9", "expected": "A"}',
    ]
    added = add_case(dataset, tmp_path, {"m": "new"}, "N").preview().splitlines()
    assert added[2] == "@@ -8,3 +8,4 @@"
    assert added[-1] == '+{"m": "new", "expected": "N"}'


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path):
    dataset = write(tmp_path, "a.jsonl", '{"m": "one"}\n')
    change = change_case(dataset, tmp_path, 1, expected="B")
    write(tmp_path, "a.jsonl", '{"m": "two"}\n')
    with pytest.raises(FileChangedError):
        change.apply()
    assert (tmp_path / "a.jsonl").read_text() == '{"m": "two"}\n'


ROWS = st.lists(st.dictionaries(st.sampled_from(["m", "n", "expected"]), VALUE, min_size=1), min_size=1, max_size=4)


@settings(deadline=None, max_examples=25)
@given(ROWS, STYLES, st.sampled_from([".jsonl", ".json", ".json indented"]), TEXT, TEXT, st.data())
def test_json_rows_read_as_they_were_amended_and_the_others_stay(tmp_path_factory, rows, style, kind, m, answer, data):
    folder = tmp_path_factory.mktemp("amend")
    texts = [json.dumps(row, **style) for row in rows]
    whole = json.dumps(rows, indent=2) if kind == ".json indented" else f"[{', '.join(texts)}]"
    name = f"a{kind.split()[0]}"
    dataset = write(folder, name, "\n".join(texts) if kind == ".jsonl" else whole)
    before = list(load_cases(dataset, folder))
    place = data.draw(st.integers(0, len(rows) - 1))
    changed = change_case(dataset, folder, place + 1, {"m": m}, answer)
    assert changed.apply()
    now = list(load_cases(dataset, folder))
    assert (now[place].variables["m"], now[place].expected) == (m, answer)
    assert [case.variables for case in now[:place]] == [case.variables for case in before[:place]]
    assert [case.variables for case in now[place + 1 :]] == [case.variables for case in before[place + 1 :]]
    added = add_case(dataset, folder, {"m": m}, answer)
    added.apply()
    last = load_cases(dataset, folder).find(added.number)
    assert (last.variables, last.expected, added.number) == ({"m": m}, answer, len(rows) + 1)
    content = (folder / name).read_bytes()
    assert content.endswith(b"]" if kind != ".jsonl" else b"}\n")


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT.filter(bool)), min_size=1, max_size=4),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    TEXT,
    TEXT.filter(bool),
    st.data(),
)
def test_csv_rows_read_as_they_were_amended_and_the_others_stay_byte_for_byte(
    tmp_path_factory, rows, quoting, ending, closed, m, answer, data
):
    folder = tmp_path_factory.mktemp("amend")
    texts = [_row(row, quoting) for row in [("m", "n", "expected"), *rows]]
    dataset = write(folder, "a.csv", ending.join(texts) + (ending if closed else ""))
    place = data.draw(st.integers(0, len(rows) - 1))
    change_case(dataset, folder, place + 1, {"m": m}, answer).apply()
    texts[place + 1] = _row((m, rows[place][1], answer), quoting)
    assert (folder / "a.csv").read_bytes().decode() == ending.join(texts) + (ending if closed else "")
    add_case(dataset, folder, {"m": m, "n": "x"}, answer).apply()
    last = load_cases(dataset, folder)[-1]
    assert (last.number, last.variables, last.expected) == (len(rows) + 1, {"m": m, "n": "x"}, answer)


def _row(values, quoting):
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting).writerow(values)
    return stream.getvalue().removesuffix("\r\n")


def test_a_csv_file_has_room_for_its_own_columns_only(tmp_path):
    dataset = write(tmp_path, "a.csv", "m\n1\n")
    with pytest.raises(DatasetError, match="has no column expected"):
        change_case(dataset, tmp_path, 1, expected="A")
    with pytest.raises(DatasetError, match="has no case 2"):
        change_case(dataset, tmp_path, 2, {"m": "x"})


def test_columns_that_a_bench_renames_are_written_under_their_own_names(tmp_path):
    write(tmp_path, "a.csv", "id,body,queue\n1,hello,A\n")
    dataset = Dataset("a.csv", {"message": "body"}, "queue")
    add_case(dataset, tmp_path, {"message": "new"}, "B", like=1).apply()
    assert (tmp_path / "a.csv").read_text() == "id,body,queue\n1,hello,A\n,new,B\n"


def test_the_last_turns_of_a_conversation_are_written_in_place(tmp_path):
    said = [{"from": "system", "value": "S"}, {"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}]
    dataset = write(tmp_path, "a.jsonl", json.dumps({"id": "1", "conversations": said}) + "\n")
    change_case(dataset, tmp_path, 1, {"input": "AA"}, "BB").apply()
    add_case(dataset, tmp_path, {"input": "C", "history": "", "system": "S"}, "D", like=1).apply()
    add_case(dataset, tmp_path, {"input": "E"}, "F").apply()
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "id": "1",
        "conversations": [said[0], {"from": "human", "value": "AA"}, {"from": "gpt", "value": "BB"}],
    }
    assert rows[1] == {"conversations": [said[0], {"from": "human", "value": "C"}, {"from": "gpt", "value": "D"}]}
    assert rows[2] == {"conversations": [{"from": "human", "value": "E"}, {"from": "gpt", "value": "F"}]}
    with pytest.raises(DatasetError, match="cannot be written back"):
        change_case(dataset, tmp_path, 1, {"history": "user: x"})


def test_other_formats_offer_a_copy_that_reads_the_same(tmp_path):
    rows = [{"messages": [{"role": "user", "content": "Hi"}], "expected": "Ho"}] * 2
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="are not written back") as caught:
        change_case(Dataset("a.parquet"), tmp_path, 1, expected="x")
    assert "a.jsonl" in caught.value.hint
    copy_as_json_lines(Dataset("a.parquet"), tmp_path, tmp_path / "a.jsonl")
    assert list(load_cases(Dataset("a.jsonl"), tmp_path)) == list(load_cases(Dataset("a.parquet"), tmp_path))
    change_case(Dataset("a.jsonl"), tmp_path, 2, {"input": "Hey"}).apply()
    assert load_cases(Dataset("a.jsonl"), tmp_path)[1].variables["input"] == "Hey"
    with pytest.raises(FileChangedError):
        copy_as_json_lines(Dataset("a.parquet"), tmp_path, tmp_path / "a.jsonl")
