from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.datasets import Case, load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, FileError

CELL = st.text(max_size=30)
COLUMN = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() and name != "expected")


def write(folder, name, text):
    (folder / name).write_bytes(text.encode("utf-8"))
    return Dataset(name)


def read(folder, name, text):
    return tuple(load_cases(write(folder, name, text), folder))


def fail(folder, name, text, **choices):
    write(folder, name, text)
    with pytest.raises(DatasetError) as caught:
        load_cases(Dataset(name, **choices), folder)
    return caught.value.message


def test_each_json_line_is_a_case(tmp_path):
    text = '{"message": "one", "expected": "A"}\n\n{"message": "two\\nlines", "id": "x"}'
    assert read(tmp_path, "a.jsonl", text) == (
        Case(1, {"message": "one"}, "A", 1),
        Case(2, {"message": "two\nlines", "id": "x"}, None, 3),
    )


def test_values_that_are_no_strings_become_their_json_text_as_written(tmp_path):
    text = '{"price": 1.10, "on": true, "tags": ["a", {"b":1}], "none": null, "expected": {"x": 12345678901234567890}}'
    (case,) = read(tmp_path, "a.jsonl", text)
    assert case.variables == {"price": "1.10", "on": "true", "tags": '["a", {"b":1}]'}
    assert case.expected == '{"x": 12345678901234567890}'


def test_a_line_separator_inside_a_json_string_ends_no_line(tmp_path):
    (case,) = read(tmp_path, "a.jsonl", '{"m": "a\u2028b\x85c"}\r\n')
    assert case.variables == {"m": "a\u2028b\x85c"}


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert read(tmp_path, "a.jsonl", '\ufeff{"m": "x"}')[0].variables == {"m": "x"}
    assert read(tmp_path, "a.csv", "\ufeffm\nx\n")[0].variables == {"m": "x"}


def test_every_broken_line_is_told_with_line_and_column(tmp_path):
    message = fail(tmp_path, "a.jsonl", '{"m": "ok"}\n{"ä": tru}\n[1]\n{"m": "x"\n{"m": "y"} z\n')
    assert message.splitlines() == [
        f"{tmp_path / 'a.jsonl'} cannot be read:",
        "  line 2, column 7: Expecting value",
        "  line 3: Expected `object`, got `array`; each line is one object of column and value",
        "  line 4, column 10: Expecting ',' delimiter",
        "  line 5, column 12: Extra data",
    ]


def test_of_many_problems_the_first_are_told_and_the_rest_counted(tmp_path):
    message = fail(tmp_path, "a.jsonl", "x\n" * 30)
    assert len(message.splitlines()) == 10
    assert message.endswith("... and 22 more")


def test_a_csv_row_may_span_lines_and_its_first_line_counts(tmp_path):
    text = 'message,expected\r\n"two\r\nlines",A\r\n"with ""quotes"", and comma",\r\n'
    assert read(tmp_path, "a.csv", text) == (
        Case(1, {"message": "two\r\nlines"}, "A", 2),
        Case(2, {"message": 'with "quotes", and comma'}, None, 4),
    )


def test_tabs_separate_the_columns_of_a_tsv_file(tmp_path):
    assert read(tmp_path, "a.tsv", "a\tb\n1\t2,3\n")[0].variables == {"a": "1", "b": "2,3"}


def test_a_very_long_csv_field_is_read(tmp_path):
    assert len(read(tmp_path, "a.csv", f"a\n{'x' * 300_000}\n")[0].variables["a"]) == 300_000


def test_problems_of_a_csv_file_are_told_with_their_lines(tmp_path):
    message = fail(tmp_path, "a.csv", "a,b,a,\n1,2,3,4\n1,2\n")
    assert message.splitlines()[1:] == [
        "  line 1: two columns are named a",
        "  line 2: 4 columns, but the header has 3",
        "  line 3: 2 columns, but the header has 3",
    ]
    assert "line 2: " in fail(tmp_path, "b.csv", 'a,b\n"open,2\n')


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize("text", ["", "\n"])
def test_a_dataset_without_rows_is_a_clear_error(tmp_path, name, text):
    assert "has no rows" in fail(tmp_path, name, text)


def test_columns_are_given_other_names(tmp_path):
    dataset = Dataset("a.csv", {"message": "body", "who": "from"}, "queue")
    write(tmp_path, "a.csv", "id,body,from,queue\n7,hello,Ada,Lantern\n")
    assert tuple(load_cases(dataset, tmp_path)) == (Case(1, {"message": "hello", "who": "Ada"}, "Lantern", 2),)


def test_missing_columns_are_named_with_a_guess(tmp_path):
    message = fail(tmp_path, "a.csv", "body,queue\nx,y\n", columns={"message": "bodi", "n": "zzz"}, expected="label")
    assert message.splitlines()[1:] == [
        "  no column bodi; did you mean body? The columns are: body, queue.",
        "  no column zzz. The columns are: body, queue.",
        "  no column label. The columns are: body, queue.",
    ]


def test_a_row_without_a_mapped_value_is_told(tmp_path):
    message = fail(tmp_path, "a.jsonl", '{"a": "1"}\n{"b": "2"}\n', columns={"x": "a"})
    assert "line 2: no value in column a" in message


def test_a_dataset_without_answers_is_fine(tmp_path):
    assert read(tmp_path, "a.csv", "a\n1\n")[0].expected is None


def test_an_empty_answer_is_one_in_json_and_none_in_csv(tmp_path):
    assert read(tmp_path, "a.jsonl", '{"a": "1", "expected": ""}')[0].expected == ""
    assert read(tmp_path, "a.csv", "a,expected\n1,\n")[0].expected is None


def test_other_kinds_of_files_are_refused_with_the_kinds_that_work(tmp_path):
    write(tmp_path, "a.docx", "x")
    with pytest.raises(DatasetError, match=r"\.docx") as caught:
        load_cases(Dataset("a.docx"), tmp_path)
    assert ".jsonl" in caught.value.hint


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileError, match=r"none\.jsonl") as caught:
        load_cases(Dataset("none.jsonl"), tmp_path)
    assert str(tmp_path) in caught.value.message


ROWS = st.lists(st.dictionaries(COLUMN, CELL, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_json_rows_come_back_as_they_were_written(tmp_path_factory, rows):
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    cases = read(tmp_path_factory.mktemp("data"), "a.jsonl", text)
    assert [case.variables for case in cases] == rows


@settings(deadline=None, max_examples=60)
@given(st.lists(COLUMN, min_size=2, max_size=3, unique=True), st.data())
def test_csv_rows_come_back_as_they_were_written(tmp_path_factory, header, data):
    header[0] = "first" if header[0].startswith("\ufeff") else header[0]
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(header), max_size=len(header)), min_size=1, max_size=4))
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    cases = read(tmp_path_factory.mktemp("data"), "a.csv", stream.getvalue())
    assert [list(case.variables.values()) for case in cases] == rows


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("limit", [1, 49, 50, 100])
def test_the_first_so_many_rows_can_be_read_again_though_the_file_goes_on(tmp_path, suffix, limit):
    lines = [f'{{"message": "m {n}"}}' for n in range(100)] if suffix == "jsonl" else ["message", *map(str, range(100))]
    (tmp_path / f"long.{suffix}").write_text("\n".join(lines))
    cases = load_cases(Dataset(f"long.{suffix}", limit=limit), tmp_path)
    assert [case.number for case in cases] == list(range(1, limit + 1))
    assert cases[limit - 1] == list(cases)[-1]


def test_what_is_nested_too_deeply_is_told_like_any_other_broken_line(tmp_path):
    message = fail(tmp_path, "a.jsonl", '{"a": "1"}\n{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    assert message.endswith("line 2: nested too deeply")


def test_excluded_rows_are_no_cases_and_the_others_keep_their_numbers(tmp_path):
    (tmp_path / "rows.csv").write_text("q,expected\na,1\nb,2\nc,3\nd,4\n")
    cases = load_cases(Dataset("rows.csv", exclude=(1, 3)), tmp_path)
    assert [(case.number, case.variables["q"]) for case in cases] == [(2, "b"), (4, "d")]
    limited = load_cases(Dataset("rows.csv", exclude=(1,), limit=2), tmp_path)
    assert list(limited.numbers) == [2, 3]
    with pytest.raises(DatasetError, match="excluded"):
        load_cases(Dataset("rows.csv", exclude=(1, 2, 3, 4)), tmp_path)
