"""Files as spreadsheets, libraries and people by hand write them."""

from __future__ import annotations

import datetime
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet
from test_formats import save_table

from workbench.datasets import Cases, describe, load_cases
from workbench.datasets.spec import Dataset
from workbench.datasets.write_back import add_case, change_case
from workbench.errors import DatasetError


def load(path: Path, text: str | None = None, **choices: object) -> Cases:
    if text is not None:
        path.write_bytes(text.encode())
    return load_cases(Dataset(path.name, **choices), path.parent)  # type: ignore[arg-type]


def texts(cases: Cases) -> list[tuple[dict[str, str], str | None]]:
    return [(case.variables, case.expected) for case in cases]


# --- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted", "remark"),
    [
        ("q;expected\n1,5 km;4\n2,5 km;5\n", [("1,5 km", "4"), ("2,5 km", "5")], "Fields are separated by semicolons."),
        ("sep=;\r\nq;expected\r\na;b\r\n", [("a", "b")], "Fields are separated by semicolons."),
        ("sep=,\nq,expected\na;c,b\n", [("a;c", "b")], ""),
        ("q|expected\na,c|b\n", [("a,c", "b")], "Fields are separated by vertical bars."),
        ("q\texpected\na, c\tb\n", [("a, c", "b")], "Fields are separated by tabs."),
        ("q, expected\na, x\n", [("a", "x")], "Blanks after commas are left out."),
        ('q, expected\n"a, b", x\n', [("a, b", "x")], "Blanks after commas are left out."),
        ("q,expected,,\na,b,,\nc,d,,\n", [("a", "b"), ("c", "d")], "2 rows end in empty columns without a name"),
        ("q,expected\na,b,\nc,d\n", [("a", "b"), ("c", "d")], "1 row ends in empty columns without a name"),
        (' q ,expected\n" a ",b\n', [(" a ", "b")], ""),
        (
            'q,expected\n"He said \\"hi\\", twice",b\n',
            [('He said "hi", twice', "b")],
            r"Quotes inside a field are written \".",
        ),
        ("q,expected\na; b,c; d\n", [("a; b", "c; d")], ""),
    ],
)
def test_the_dialect_of_a_csv_file_is_seen_and_said(tmp_path, text, wanted, remark):
    cases = load(tmp_path / "a.csv", text)
    assert [(case.variables["q"], case.expected) for case in cases] == wanted
    assert cases[len(cases) - 1].variables["q"] == wanted[-1][0]
    assert any(one.startswith(remark) for one in cases.remarks) if remark else cases.remarks == ()


def test_a_column_without_a_name_between_others_gets_one(tmp_path):
    cases = load(tmp_path / "a.csv", ",message,expected\n0,hello,x\n1,ho,y\n")
    assert texts(cases)[0] == ({"column 1": "0", "message": "hello"}, "x")
    assert cases.remarks == ('Column 1 has no name; it is called "column 1".',)


def test_one_column_of_prose_stays_one_column(tmp_path):
    cases = load(tmp_path / "a.csv", "message\nfirst; second\n'a|b'\n")
    assert [case.variables for case in cases] == [{"message": "first; second"}, {"message": "'a|b'"}]


def test_a_row_with_a_value_beyond_the_header_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="line 3: 3 columns, but the header has 2"):
        load(tmp_path / "a.csv", "q,expected\na,b\nc,d,e\n")


def test_a_row_is_written_back_in_the_dialect_of_its_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sep=;\nq;expected\n1,5;x\n2;y\n")
    change_case(Dataset("a.csv"), tmp_path, 2, {"q": "3;4"}).apply()
    add_case(Dataset("a.csv"), tmp_path, {"q": "5,5"}, "z").apply()
    assert path.read_text() == 'sep=;\nq;expected\n1,5;x\n"3;4";y\n5,5;z\n'


# --- Excel -------------------------------------------------------------------------------------------------------


def save_sheet(path: Path, *rows: list[object], **formats: str) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cell, number_format in formats.items():
        book.active[cell].number_format = number_format
    book.save(path)
    return path


def edit_part(path: Path, name: str, change) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def test_a_day_of_a_sheet_is_a_day_and_a_time_of_day_stays(tmp_path):
    day, noon = datetime.datetime(2024, 1, 5), datetime.datetime(2024, 1, 5, 12, 30)
    path = save_sheet(tmp_path / "a.xlsx", ["q", "day", "midnight", "noon", "took"], ["a", day, day, noon, 1.5])
    book = openpyxl.load_workbook(path)
    book.active["B2"].number_format = "dd.mm.yyyy"
    book.active["C2"].number_format = "yyyy-mm-dd hh:mm"
    book.active["E2"].number_format = "[h]:mm"
    book.save(path)
    (case,) = load(path)
    assert case.variables == {
        "q": "a",
        "day": "2024-01-05",
        "midnight": "2024-01-05T00:00:00",
        "noon": "2024-01-05T12:30:00",
        "took": "P1DT43200S",
    }


def test_a_formula_that_was_never_worked_out_is_told_by_its_cell_and_can_be_skipped(tmp_path):
    path = save_sheet(tmp_path / "a.xlsx", ["q", "expected"], ["a", "=1+1"], ["b", "2"])
    with pytest.raises(DatasetError, match="row 2: cell B2 holds a formula that was never worked out"):
        load(path)
    cases = load(path, on_error="skip")
    assert ([case.number for case in cases], cases.skipped) == ([2], 1)


def test_an_error_in_a_cell_is_told(tmp_path):
    path = save_sheet(tmp_path / "a.xlsx", ["q", "n"], ["a", "#REF!"], ["b", "#N/A"])
    with pytest.raises(
        DatasetError, match=r"row 2: cell B2 holds the error #REF!\n  row 3: cell B3 holds the error #N/A"
    ):
        load(path)


def test_escaped_characters_of_a_sheet_are_themselves(tmp_path):
    path = save_sheet(tmp_path / "a.xlsx", ["q"], ["one_x000D_\ntwo"], ["_xD83D_"])
    assert [case.variables["q"] for case in load(path)] == ["one\r\ntwo", "_xD83D_"]


def test_a_merged_value_counts_in_every_row_that_it_covers(tmp_path):
    path = save_sheet(tmp_path / "a.xlsx", ["topic", "q"], ["law", "a"], [None, "b"], ["art", "c"])
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("A2:A3")
    book.save(path)
    cases = load(path)
    assert [case.variables["topic"] for case in cases] == ["law", "law", "art"]
    assert cases.remarks == ("Merged cells count in every row and column that they cover: A2:A3.",)


def test_a_strict_workbook_is_read(tmp_path):
    path = save_sheet(tmp_path / "a.xlsx", ["q", "n"], ["a", 1])
    usual = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strict = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
    links = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    for name in names:
        edit_part(
            path,
            name,
            lambda text: text.replace(usual, strict).replace(
                links, b"http://purl.oclc.org/ooxml/officeDocument/relationships"
            ),
        )
    assert [case.variables for case in load(path)] == [{"q": "a", "n": "1"}]


def test_a_sheet_keeps_its_types(tmp_path):
    (case,) = load(save_sheet(tmp_path / "a.xlsx", ["q", "n", "sure"], ["7", 7, False]))
    assert (case.variables, set(case.typed)) == ({"q": "7", "n": "7", "sure": "false"}, {"n", "sure"})
    assert case.values["sure"] is False


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = save_sheet(tmp_path / "a.xlsx", ["q"], ["a"])

    def swell(text: bytes) -> bytes:
        return text + b" " * (1 << 20)

    monkeypatch.setattr("workbench.datasets.native.workbook._MOST_BYTES", 1 << 20)
    edit_part(path, "xl/worksheets/sheet1.xml", swell)
    from workbench.datasets.native.protocol import TableFile
    from workbench.datasets.native.workbook import Workbook

    with pytest.raises(DatasetError, match="unpacks to 1 MiB"):
        Workbook(TableFile("xlsx", (str(path),), ()))


def test_an_old_or_locked_workbook_says_what_it_is(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DatasetError, match=r"an \.xls file, or has a password"):
        load(tmp_path / "a.xlsx")


# --- Parquet and Arrow -------------------------------------------------------------------------------------------


def save_parquet(path: Path, **columns: object) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_numbers_days_and_durations_of_a_table_read_as_one_would_write_them(tmp_path):
    path = save_parquet(
        tmp_path / "a.parquet",
        price=pa.array([Decimal("1.50"), Decimal("1200.00")]),
        prices=pa.array([[Decimal("0.10")], []], pa.list_(pa.decimal128(5, 2))),
        took=pa.array([datetime.timedelta(hours=1, minutes=30)] * 2, pa.duration("ns")),
        part=pa.array([0.1, 2.5], pa.float32()),
        far=pa.array([10_000 * 31_556_952_000, 0], pa.timestamp("ms")),
        fine=pa.array([1, 1000], pa.timestamp("ns")),
        zone=pa.array([0, 0], pa.timestamp("us", "Europe/Nowhere")),
    )
    first, second = load(path)
    assert first.variables == {
        "price": "1.50",
        "prices": "[0.10]",
        "took": "PT5400S",
        "part": "0.1",
        "far": "11970-01-01T00:00:00.000",
        "fine": "1970-01-01T00:00:00.000000001",
        "zone": "1970-01-01T00:00:00.000000",
    }
    assert (second.variables["price"], second.variables["fine"]) == ("1200.00", "1970-01-01T00:00:00.000001")
    assert set(first.typed) == {"price", "prices", "part"}


def test_a_number_without_an_end_is_kept_as_text_and_none_is_no_value(tmp_path):
    path = save_parquet(
        tmp_path / "a.parquet", q=[float("inf"), float("nan")], many=[[1.5, float("-inf")], [float("nan")]]
    )
    first, second = load(path)
    assert (first.variables, first.typed) == ({"q": "inf", "many": '[1.5,"-inf"]'}, ("many",))
    assert second.variables == {"many": "[null]"}


def test_a_day_that_nothing_can_write_is_told_by_row_and_column(tmp_path):
    path = save_parquet(tmp_path / "a.parquet", q=["a", "b"], day=pa.array([0, 2**62], pa.timestamp("ms")))
    with pytest.raises(DatasetError, match=r"row 2: column day: a timestamp\[ms\] out of range"):
        load(path)


def test_two_columns_of_one_name_are_refused(tmp_path):
    parquet.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["q", "q"]), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="has two columns named q"):
        load(tmp_path / "a.parquet")


@pytest.mark.parametrize("kind", ["parquet", "hf"])
def test_text_that_is_not_utf8_is_told_by_row_and_column_and_can_be_skipped(tmp_path, kind):
    latin = pa.array([b"fine", "grün".encode("latin-1"), b"last"]).view(pa.utf8())
    table = pa.table({"q": latin})
    path = tmp_path / ("a.parquet" if kind == "parquet" else "a")
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        save_table(path, table)
    with pytest.raises(DatasetError, match=r"row 2: column q: not UTF-8 text \(byte 0xfc\)"):
        load(path)
    cases = load(path, on_error="skip")
    assert ([case.variables["q"] for case in cases], cases.skipped) == (["fine", "last"], 1)


def test_class_names_are_put_inside_lists_and_objects(tmp_path):
    label = {"names": ["joy", "anger"], "_type": "ClassLabel"}
    features = {
        "all": {"feature": label, "_type": "List"},
        "old": {"feature": {"label": label, "text": {"dtype": "string"}}, "_type": "Sequence"},
        "each": [{"label": label}],
        "one": {"label": label, "n": {"dtype": "int64"}},
    }
    table = pa.table(
        {
            "all": [[0, 1], []],
            "old": [{"label": [1], "text": ["t"]}, None],
            "each": [[{"label": 1}], [{"label": -1}]],
            "one": [{"label": 0, "n": 0}, {"label": None, "n": 1}],
        }
    )
    folder = save_table(tmp_path / "a", table, info={"features": features})
    first, second = load(folder)
    assert {name: json.loads(text) for name, text in first.variables.items()} == {
        "all": ["joy", "anger"],
        "old": {"label": ["anger"], "text": ["t"]},
        "each": [{"label": "anger"}],
        "one": {"label": "joy", "n": 0},
    }
    assert json.loads(second.variables["one"]) == {"label": None, "n": 1}


# --- JSON and layouts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"q": "NaN", "n": 1}\n{"q": "b", "n": NaN}\n', "line 2, column 17: NaN is not JSON; write null"),
        ("a.json", '[{"q": "a"},\n {"q": -Infinity}]', "line 2, column 8: -Infinity is not JSON; write null"),
    ],
)
def test_a_number_that_is_no_json_is_named(tmp_path, name, text, said):
    with pytest.raises(DatasetError) as caught:
        load(tmp_path / name, text)
    assert said in str(caught.value)


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "variables", "expected"),
    [
        (  # ARC
            {"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
            {"question": "q", "choices": '["x", "y"]'},
            "B",
        ),
        (
            {"question": "q", "choices": ["x", "y"], "answer": 1},
            {"question": "q", "choices": '["x", "y"]'},
            "B",
        ),  # MMLU
        ({"question": "q", "choices": ["x", "y"], "answer": "A"}, {"question": "q", "choices": '["x", "y"]'}, "A"),
        ({"question": "q", "options": ["x", "y"], "answer": "y"}, {"question": "q", "options": '["x", "y"]'}, "B"),
        ({"ctx": "c", "endings": ["x", "y"], "label": "0"}, {"ctx": "c", "endings": '["x", "y"]'}, "A"),  # HellaSwag
        (  # ARC as it was published
            {"question": "q", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}], "answerKey": "B"},
            {"question": "q", "choices": '["x", "y"]'},
            "B",
        ),
    ],
)
def test_the_answer_to_a_list_of_choices_is_a_letter(tmp_path, row, variables, expected):
    cases = load(write_lines(tmp_path / "a.jsonl", row))
    assert (cases.layout, cases[0].variables, cases[0].expected) == ("multiple-choice", variables, expected)
    assert isinstance(cases[0].values[next(iter(cases[0].typed))], list)


def test_an_answer_that_is_none_of_the_choices_is_told(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {"question": "q", "choices": ["x", "y"], "answer": 2})
    with pytest.raises(DatasetError, match="line 1: answer: '2' is not one of the 2 choices"):
        load(path)


def test_squad_2_is_read_as_it_was_published(tmp_path):
    asked = {"question": "Who?", "id": "1", "answers": [{"text": "Ada", "answer_start": 0}, {"text": "she"}]}
    unanswerable = {"question": "When?", "id": "2", "answers": [], "is_impossible": True}
    article = {"title": "Ada", "paragraphs": [{"context": "Ada wrote.", "qas": [asked, unanswerable]}]}
    (tmp_path / "dev.json").write_text(json.dumps({"version": "v2.0", "data": [article]}))
    first, second = load(tmp_path / "dev.json")
    assert (first.expected, first.also, first.variables["context"]) == ("Ada", ("she",), "Ada wrote.")
    assert (second.variables["question"], second.variables["title"]) == ("When?", "Ada")
    flat = {"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}
    assert load(write_lines(tmp_path / "a.jsonl", flat))[0].expected == ""  # as SQuAD's own script scores it


def test_openai_evals_and_inspect_keep_several_targets(tmp_path):
    asked = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What?"}]
    path = write_lines(tmp_path / "a.jsonl", {"input": asked, "ideal": ["a", "b"]}, {"input": asked, "ideal": "c"})
    first, second = load(path)
    assert (first.expected, first.also, first.variables["input"]) == ("a", ("b",), "What?")
    assert (second.expected, second.also) == ("c", ())
    (case,) = load(write_lines(tmp_path / "b.jsonl", {"input": "What?", "target": ["bike", "bicycle"]}))
    assert (case.expected, case.also) == ("bike", ("bicycle",))


def test_a_conversation_stays_one(tmp_path):
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
        {"role": "assistant", "content": "D"},
    ]
    (case,) = load(write_lines(tmp_path / "a.jsonl", {"messages": turns}))
    assert case.values["messages"] == turns[:-1]
    assert (case.variables["input"], case.expected) == ("C", "D")
    shared = [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}]
    (case,) = load(write_lines(tmp_path / "b.jsonl", {"conversations": shared}))
    assert case.values["messages"] == [{"role": "user", "content": "A"}]


def test_an_image_in_a_turn_is_counted_as_left_out(tmp_path):
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]
    path = write_lines(tmp_path / "a.jsonl", {"messages": [{"role": "user", "content": parts}]})
    assert load(path).remarks == ("Parts of turns that are not text, such as images, are left out (1 row)",)


def test_columns_of_promptfoo_are_used_or_named(tmp_path):
    text = (
        "city,__expected,__expected2,__metric\n"
        "Rome,equals: Italy,Italia,m\nParis,llm-rubric: names France,,\nBern,Note: Swiss,,\n"
    )
    cases = load(tmp_path / "a.csv", text)
    assert cases.layout == "promptfoo"
    assert [(case.variables, case.expected, case.also) for case in cases] == [
        ({"city": "Rome"}, "Italy", ("Italia",)),
        ({"city": "Paris"}, None, ()),
        ({"city": "Bern"}, "Note: Swiss", ()),
    ]
    assert cases.remarks == (
        "promptfoo's column __metric is not used (1 row)",
        "promptfoo's assertion llm-rubric is not used; name a scorer for it (1 row)",
    )


def test_what_is_skipped_and_decided_stands_in_the_preview(tmp_path):
    (tmp_path / "a.csv").write_text("q;expected\na;b\nbroken\n")
    seen = describe(Dataset("a.csv", on_error="skip"), tmp_path)
    assert seen.unreadable == 1
    assert seen.remarks == ("Fields are separated by semicolons.",)


def test_a_long_field_is_read_whole(tmp_path):
    long = "word " * 120_000
    (case,) = load(write_lines(tmp_path / "a.jsonl", {"q": long, "expected": "x"}))
    assert case.variables["q"] == long
    (case,) = load(save_parquet(tmp_path / "a.parquet", q=[long]))
    assert len(case.variables["q"]) == 600_000


def test_messages_of_a_broken_file_can_be_shown(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": "\\ud83d"}\n')
    with pytest.raises(DatasetError) as caught:
        load(tmp_path / "a.jsonl")
    assert not re.search("[\ud800-\udfff]", str(caught.value))
