"""Files that are no files, that change while they are open, or that are made to harm."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from test_formats import save_table

from workbench.datasets import describe, load_cases
from workbench.datasets.native import worker
from workbench.datasets.native.worker import describe_file, query
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetChangedError, DatasetError, FileError
from workbench.runs.session import Session
from workbench.settings import Settings


def make_sheet() -> bytes:
    book = openpyxl.Workbook()
    for row in (["q", "expected"], ["a", 1], ["b", True]):
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def make_parquet() -> bytes:
    stream = io.BytesIO()
    table = pa.table({"q": ["a", "b"], "day": pa.array([0, 1], pa.date32()), "tags": [["x"], []]})
    parquet.write_table(table, stream)
    return stream.getvalue()


REAL = {
    "csv": b'q,expected\n"a, b",1\nc,2\n',
    "jsonl": b'{"q": "a", "n": [1, {"b": null}]}\n{"q": "\\u00e9"}\n',
    "json": b'[{"q": "a"}, {"q": 1.5, "expected": true}]',
    "xlsx": make_sheet(),
    "parquet": make_parquet(),
}


def read(path: Path) -> None:
    """As a run reads it. Raises nothing but what the workbench says in words."""
    dataset = Dataset(path.name, on_error="skip", limit=50)
    try:
        describe(dataset, path.parent)
        for case in load_cases(dataset, path.parent):
            assert all(c < "\ud800" or c > "\udfff" for text in case.variables.values() for c in text)
    except (DatasetError, FileError) as error:
        str(error).encode()


@pytest.mark.parametrize("kind", sorted(REAL))
@settings(max_examples=100)
@given(st.data())
def test_a_real_file_with_other_bytes_in_it_is_read_or_refused_in_words(tmp_path_factory, kind, data):
    content = bytearray(REAL[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        piece = data.draw(st.binary(max_size=12) | st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80", b"[" * 9_000, b'"']))
        content[at : at + data.draw(st.sampled_from([0, 1, len(piece), 1 << 20]))] = piece
    path = tmp_path_factory.mktemp("mutant") / f"a.{kind}"
    path.write_bytes(content)
    read(path)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "jsonl", "json", "xlsx", "parquet"]))
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory, content, kind):
    path = tmp_path_factory.mktemp("bytes") / f"a.{kind}"
    path.write_bytes(content)
    read(path)


@pytest.mark.parametrize("text", ["a,b\n1,2\r\xd6,3\n4,5\n", 'a,b\n"1\r\xd6",3\n4,5\n', "a\r\xf5\n\xed\r\n1\n"])
def test_a_bad_byte_after_a_lone_carriage_return_belongs_to_its_own_row(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    read(tmp_path / "a.csv")
    cases = load_cases(Dataset("a.csv", on_error="skip"), tmp_path)
    assert cases.skipped >= 1
    assert all(case.variables for case in cases)


# --- what is no file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "xlsx", "parquet"])
def test_a_device_or_a_pipe_is_no_dataset(tmp_path, kind):
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/zero", "pipe"):
        with pytest.raises(DatasetError, match="is not a regular file"):
            load_cases(Dataset(name, format=kind), tmp_path)


@pytest.mark.parametrize("name", ["x" * 5_000, "~nosuchuser/a.csv", "a\0b.csv", "../" * 2_000 + "a.csv"])
def test_what_cannot_be_a_path_is_refused(tmp_path, name):
    with pytest.raises(FileError):
        load_cases(Dataset(name), tmp_path)


@pytest.mark.parametrize(
    "state",
    [
        '{"_data_files": [{"filename": "/dev/zero"}]}',
        '{"_data_files": [{"filename": "../a.arrow"}]}',
        '{"_data_files": [{"filename": "' + "a" * 300 + '"}]}',
        '{"_data_files": 3}',
        '{"_data_files": ["a.arrow"]}',
        "[" * 100_000,
    ],
)
def test_a_folder_names_files_of_its_own_alone(tmp_path, state):
    folder = save_table(tmp_path / "hf", pa.table({"q": ["a"]}))
    (folder / "state.json").write_text(state)
    with pytest.raises(DatasetError):
        load_cases(Dataset("hf"), tmp_path)


def test_a_list_of_splits_that_is_none_is_refused(tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "dataset_dict.json").write_text('{"splits": [3, "../../etc", {}]}')
    with pytest.raises(DatasetError):
        load_cases(Dataset("hf", split="../../etc"), tmp_path)


# --- what takes too much -----------------------------------------------------------------------------------------


@pytest.fixture
def small_process(monkeypatch):
    """A reading process of its own, with little memory."""
    pool = worker._Pool()
    monkeypatch.setattr(worker, "MEMORY_BYTES", 400 << 20)
    monkeypatch.setattr(worker, "_pool", lambda: pool)


def write_stream(path, column, compression=None):
    schema = pa.schema([("q", column.type)])
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema, options=options) as to:
        to.write_batch(pa.record_batch([column], schema=schema))


def test_a_table_that_takes_too_much_memory_is_refused_and_the_next_is_read(tmp_path, small_process):
    many = 60_000_000  # numbers in one row of some kilobytes
    column = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), pa.array(np.zeros(many, np.int8)))
    bomb = tmp_path / "bomb.arrow"
    write_stream(bomb, column, "zstd")
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(DatasetError, match="needs more than 400 MiB of memory to be read"):
        query(bomb, describe_file("arrow", [bomb]), 0, 1)
    write_table(tmp_path / "a.parquet", 3)
    assert len(load_cases(Dataset("a.parquet"), tmp_path)) == 3


def test_a_table_that_claims_many_rows_is_read_as_far_as_it_is_wanted(tmp_path):
    """Half a billion run-length encoded rows in a kilobyte."""
    zeros = pa.RunEndEncodedArray.from_arrays([1 << 29], pa.array([0], pa.int64()))
    write_stream(tmp_path / "big.arrow", zeros)
    file = describe_file("arrow", [tmp_path / "big.arrow"])
    found = query(tmp_path / "big.arrow", file, 0, 10)
    assert (found.count, len(found.rows)) == (1 << 29, 10)


def test_a_reading_process_that_dies_or_hangs_is_told_in_words_and_replaced(tmp_path, monkeypatch):
    parquet.write_table(pa.table({"q": ["a", "b"]}), tmp_path / "a.parquet")
    cases = load_cases(Dataset("a.parquet"), tmp_path)
    ended = [reader.worker for reader in worker._pool()._idle]
    assert ended
    for one in ended:
        os.kill(one.pid, signal.SIGSEGV)
    with pytest.raises(DatasetError, match=r"the process that read it was killed \(SIGSEGV\)"):
        cases[0]
    assert cases[1].variables == {"q": "b"}
    for reader in worker._pool()._idle:
        os.kill(reader.worker.pid, signal.SIGSTOP)
    monkeypatch.setattr(worker, "SECONDS", 0.2)
    with pytest.raises(DatasetError, match=r"takes longer than 0\.2 s to read"):
        cases[0]
    monkeypatch.undo()
    assert cases[0].variables == {"q": "a"}


def test_the_reading_process_takes_no_module_of_the_working_folder(tmp_path, monkeypatch):
    for name in ("msgspec", "signal", "threading", "pyarrow", "openpyxl", "workbench", "subprocess"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    parquet.write_table(pa.table({"q": ["a"]}), tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "_pool", lambda pool=worker._Pool(): pool)
    assert load_cases(Dataset("a.parquet"), tmp_path)[0].variables == {"q": "a"}


def test_the_reading_process_sees_no_secret(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setenv("SOME_API_KEY", "secret")
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: seen.update(options) or real(*args, **options))
    reader = worker._Reader()
    with pytest.raises(TimeoutError):
        reader.worker.receive(0.5)
    reader.worker.end()
    assert "SOME_API_KEY" not in seen["env"]


def test_a_sheet_bomb_is_refused_by_what_it_says_of_itself(tmp_path):
    content = bytearray(make_sheet())
    at = content.index(b"PK\x01\x02") + 24  # of the first part, the size when unpacked
    content[at : at + 4] = (3 << 30).to_bytes(4, "little")
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DatasetError, match="unpacks to 3072 MiB"):
        load_cases(Dataset("a.xlsx"), tmp_path)


# --- what changes while it is open -------------------------------------------------------------------------------


def write_table(path: Path, rows: int) -> None:
    table = pa.table({"message": [f"{random.Random(n).random()}" for n in range(rows)], "expected": ["x"] * rows})
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    else:
        save_table(path, table)


def write_in_place(path: Path, rows: int) -> None:
    other = path.parent / f"other{path.suffix}"
    write_table(other, rows)
    held = next(path.glob("*.arrow")) if path.is_dir() else path
    new = next(other.glob("*.arrow")) if other.is_dir() else other
    with held.open("r+b") as stream:  # the same file, shorter by now
        stream.truncate(0)
        stream.write(new.read_bytes())


@pytest.mark.parametrize("name", ["a.parquet", "a"])
def test_a_table_that_is_written_over_is_told_and_can_be_opened_again(tmp_path, name):
    write_table(tmp_path / name, 20_000)
    cases = load_cases(Dataset(name), tmp_path)
    assert cases[19_999].expected == "x"
    write_in_place(tmp_path / name, 10)
    with pytest.raises(DatasetChangedError, match="was changed by another program"):
        cases[15_000]
    assert len(load_cases(Dataset(name), tmp_path)) == 10


def test_a_file_that_was_merely_touched_is_the_same(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"q": "a"}\n{"q": "b"}\n')
    cases = load_cases(Dataset("a.jsonl"), tmp_path)
    known = cases.digest
    os.utime(tmp_path / "a.jsonl", (1, 1))
    assert (cases[1].variables, cases.digest) == ({"q": "b"}, known)
    (tmp_path / "a.jsonl").write_text('{"q": "a"}\n{"q": "c"}\n')
    with pytest.raises(DatasetChangedError):
        cases[1]


BENCH = "dataset: {path: a.jsonl}\nvariants:\n  - {name: a, prompt: q, model: desk-q8_0}\n"


def open_session(folder: Path) -> Session:
    (folder / "a.bench.yaml").write_text(BENCH)
    (folder / "q.prompty").write_text("---\nname: q\n---\nuser:\n{{ message }}\n")
    return Session(folder / "a.bench.yaml", Settings())


def test_an_open_bench_reads_a_changed_dataset_anew_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.jsonl"
    path.write_text('{"message": "one"}\n{"message": "two"}\n')
    session = open_session(tmp_path)
    assert session.case.variables == {"message": "one"}
    path.write_text('{"message": "new"}\n{"message": "newer"}\n{"message": "newest"}\n')
    session.go_to_case(2)
    assert session.case.variables == {"message": "newer"}
    assert session.take_news() == ("a.jsonl was changed by another program, and was read again: 3 cases.",)
    assert session.take_news() == ()


def test_an_open_bench_survives_a_dataset_that_cannot_be_read_any_more(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.jsonl"
    path.write_text('{"message": "one"}\n{"message": "two"}\n')
    session = open_session(tmp_path)
    path.write_text("broken")
    session.go_to_case(2)
    assert session.case.variables == {"message": ""}
    (news,) = session.take_news()
    assert "cannot be read any more" in news
    assert "line 1, column 1" in news
    path.write_text('{"message": "back"}\n')
    session.reload_cases()
    assert session.case.variables == {"message": "back"}
