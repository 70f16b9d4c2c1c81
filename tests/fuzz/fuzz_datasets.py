"""Datasets: CSV, JSON lines, JSON, Excel, Parquet, and the Arrow folders of the `datasets` library."""

from __future__ import annotations

import datetime
import json
import zipfile
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import openpyxl
import pyarrow as pa
from pyarrow import parquet

from workbench.datasets import describe, load_cases
from workbench.datasets.native.worker import KeepAlive
from workbench.datasets.spec import Dataset

from .kinds import kind

READ = 200  # cases of one input; a mutant may claim billions
_HOLDS: list[KeepAlive] = []


def read_dataset(path: Path) -> object:
    """A dataset as the command line looks at it and a run reads it, with rows that are left out."""
    if not _HOLDS:
        _HOLDS.append(KeepAlive())  # one reading process for all inputs
    dataset = Dataset(str(path), on_error="skip", limit=READ)
    seen = describe(dataset, path.parent)
    if seen.split:
        dataset = msgspec.structs.replace(dataset, split=seen.split)
    cases = load_cases(dataset, path.parent)
    return seen, cases.digest, [case.values for case in islice(cases, READ)]


def make_csv(folder: Path) -> list[Path]:
    texts = {
        "plain.csv": 'message,expected\r\n"Where, please, is ""it""?",Lantern\r\n"two\r\nlines",Abacus\r\n',
        "semi.csv": "sep=;\nfrage;antwort;\n1,5;ja;\nÄpfel;nein;\n",
        "blank.csv": "a, b, expected\n1, 2, x\n3, 4, y\n",
        "tabs.tsv": "text\tlabel\nfine\tgood\n",
        "foo.csv": "city,__expected\nRome,equals: Italy\nParis,llm-rubric: names France\n",
    }
    return _write(folder, texts)


def make_json_lines(folder: Path) -> list[Path]:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    rows = [
        {"messages": [*turns, {"role": "assistant", "content": "Ho"}], "id": 1},
        {"messages": turns, "tags": ["a", {"b": 1.50}], "sure": True, "none": None},
    ]
    choices = [{"question": "Which?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}]
    answers = [{"question": "q", "answers": {"text": ["Rome", "Roma"], "answer_start": [1, 2]}, "price": 1e3}]
    made = {"chat.jsonl": rows, "arc.jsonl": choices, "squad.jsonl": answers}
    return _write(folder, {name: "".join(json.dumps(row) + "\n" for row in held) for name, held in made.items()})


def make_json(folder: Path) -> list[Path]:
    question = {"question": "Who?", "id": "1", "answers": [{"text": "Ada", "answer_start": 0}], "is_impossible": False}
    articles = [{"title": "t", "paragraphs": [{"context": "Ada.", "qas": [question]}]}]
    texts = {
        "list.json": json.dumps([{"a": "1", "b": [1, 2]}, {"a": "é", "expected": None}], indent=1),
        "parts.json": json.dumps({"train": [{"a": 1}], "test": [{"a": 2}, {"a": 3}]}),
        "squad.json": json.dumps({"version": "v2.0", "data": articles}),
    }
    return _write(folder, texts)


def make_sheets(folder: Path) -> list[Path]:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["q", "when", "n", "merged"],
        ["a_x000D_b", datetime.datetime(2024, 1, 5), 1.5, "x"],
        ["c", None, True],
    ):
        sheet.append(row)
    sheet.merge_cells("D2:D3")
    book.create_sheet("test").append(["other"])
    book.save(folder / "a.xlsx")
    return [folder / "a.xlsx"]


def make_table() -> pa.Table:
    return pa.table(
        {
            "text": ["fine", "crème", None],
            "price": pa.array([Decimal("1.50"), Decimal("2.00"), None]),
            "when": pa.array([0, 2**60, None], pa.timestamp("us", "UTC")),
            "took": pa.array([1, 2, None], pa.duration("ns")),
            "tags": [["a"], [], None],
            "doc": [{"title": "x", "n": 1}, {"title": None, "n": 2}, None],
            "label": pa.array([0, 1, -1], pa.int64()),
            "part": pa.array([0.1, float("nan"), None], pa.float32()),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )


FEATURES = {"label": {"names": ["calm", "cross"], "_type": "ClassLabel"}}


def make_parquet(folder: Path) -> list[Path]:
    info = json.dumps({"info": {"features": FEATURES}})
    parquet.write_table(make_table().replace_schema_metadata({"huggingface": info}), folder / "a.parquet")
    parquet.write_table(
        make_table().select(["text", "tags"]), folder / "b.parquet", compression="zstd", row_group_size=1
    )
    return [folder / "a.parquet", folder / "b.parquet"]


def make_arrow(folder: Path) -> list[Path]:
    saved = folder / "saved"
    saved.mkdir()
    table = make_table()
    with pa.OSFile(str(saved / "data-00000-of-00001.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as to:
        to.write_table(table, max_chunksize=2)
    (saved / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (saved / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return [saved]


def _write(folder: Path, texts: dict[str, str]) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    return [folder / name for name in texts]


for name, make_seeds in {
    "csv": make_csv,
    "jsonl": make_json_lines,
    "json": make_json,
    "xlsx": make_sheets,
    "parquet": make_parquet,
    "arrow": make_arrow,
}.items():
    kind(name, make_seeds)(read_dataset)


def make_sheet_parts(folder: Path) -> list[Path]:
    """The parts of a workbook, for what is damaged before it is packed."""
    (book,) = make_sheets(folder)
    with zipfile.ZipFile(book) as archive:
        archive.extractall(folder / "parts")
    book.unlink()
    return [folder / "parts"]


@kind("xlsx-parts", make_sheet_parts)
def read_sheet_parts(path: Path) -> object:
    book = path.parent / "packed.xlsx"
    with zipfile.ZipFile(book, "w") as archive:
        for part in sorted(path.rglob("*")):
            if part.is_file():
                archive.write(part, part.relative_to(path))
    return read_dataset(book)
