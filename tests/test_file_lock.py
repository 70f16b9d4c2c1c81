from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lost_updates import PROCESSES, UPDATES, race

from workbench import file_lock, files
from workbench.errors import FileChangedError, FileError
from workbench.file_lock import lock_folder

ADD = f"""
from pathlib import Path
from workbench import files
from workbench.errors import FileChangedError

path, made = Path(sys.argv[1]), 0
while made < {UPDATES}:
    text = files.read_text(path)
    try:
        files.write_text(path, str(int(text) + 1), files.digest_text(text))
    except FileChangedError:
        continue
    made += 1
"""

ADD_TO_BENCH = f"""
from pathlib import Path
import msgspec
from workbench.errors import FileChangedError
from workbench.runs.bench import load_bench, save_bench
from workbench import files

path, made = Path(sys.argv[1]), 0
while made < {UPDATES // 4}:
    digest = files.digest(path)
    bench = load_bench(path)
    try:
        save_bench(path, msgspec.structs.replace(bench, repeats=bench.repeats + 1), digest)
    except FileChangedError:
        continue
    made += 1
"""

ADD_TO_PROMPT = f"""
import os
from pathlib import Path
from msgspec.structs import replace
from workbench.errors import FileChangedError
from workbench.library.library import Library
from workbench.prompting.prompt import Example

library, made = Library(Path(sys.argv[1])), 0
while made < {UPDATES // 4}:
    opened = library.open("ask")
    mark = f"{{os.getpid()}}-{{made}}"
    examples = (*opened.prompt.examples, Example(f"{{mark}}-{{len(opened.prompt.examples)}}", {{}}, mark))
    try:
        library.save(opened, replace(opened.prompt, body=f"{{opened.prompt.body}} {{mark}}", examples=examples))
    except FileChangedError:
        continue
    made += 1
"""

TRUST = """
from workbench.scoring.local_code import LocalCode
from workbench.scoring.trust import trust
import os

for number in range(20):
    trust([LocalCode(f"{os.getpid()}-{number}.py", {})])
"""

HOLDER = """
import sys
from pathlib import Path
from workbench.file_lock import lock_folder

with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_no_update_is_lost_between_the_check_and_the_replacement(tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("0")
    race(ADD, tmp_path / "number.txt")
    assert (tmp_path / "number.txt").read_text() == str(PROCESSES * UPDATES)
    assert [path.name for path in tmp_path.iterdir()] == ["number.txt"]  # no lock, no temporary file


def test_no_update_of_a_bench_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.bench.yaml"
    path.write_text("variants:\n  - {name: A, prompt: ask, model: desk}\nrepeats: 1\n")
    race(ADD_TO_BENCH, path)
    assert f"repeats: {1 + PROCESSES * (UPDATES // 4)}\n" in path.read_text()


def test_no_update_of_a_prompt_or_its_examples_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "ask.prompty").write_text("---\nmetadata: {workbench: {examples: e.jsonl}}\n---\nuser:\n")
    (folder / "e.jsonl").write_text("")
    race(ADD_TO_PROMPT, folder)
    marks = set(re.findall(r"\d+-\d+", (folder / "ask.prompty").read_text()))
    assert len(marks) == PROCESSES * (UPDATES // 4)
    answers = {json.loads(line)["answer"] for line in (folder / "e.jsonl").read_text().splitlines()}
    assert marks <= answers


def test_no_consent_is_lost_where_several_processes_note_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    race(TRUST)
    assert len(json.loads((tmp_path / "data" / "trusted.json").read_text())) == PROCESSES * 20


def test_the_digest_of_a_saved_bench_is_that_of_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program that saves right after us is noticed by our next save."""
    from workbench.runs.bench import load_bench, save_bench

    path = tmp_path / "a.bench.yaml"
    path.write_text("variants:\n  - {name: A, prompt: ask, model: desk}\n")
    bench = load_bench(path)
    write = files.write_text

    def write_and_be_followed(path: Path, text: str, expected_digest: str | None = None) -> None:
        write(path, text, expected_digest)
        path.write_text(text + "# theirs\n")

    monkeypatch.setattr(files, "write_text", write_and_be_followed)
    digest = save_bench(path, bench)
    monkeypatch.undo()
    with pytest.raises(FileChangedError):
        save_bench(path, bench, digest)


def test_a_lock_that_is_not_given_back_is_an_error_and_goes_with_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        with pytest.raises(FileError, match="Another program has been writing"), lock_folder(tmp_path, patience=0):
            pass
        held.kill()
    with lock_folder(tmp_path, patience=0):
        pass


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        for _ in range(50):
            with lock_folder(tmp_path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (150, 1)


def test_a_file_system_without_locks_is_written_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(file_lock.fcntl, "flock", refuse)
    files.write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


def test_what_an_update_raises_leaves_the_file_as_it_was_and_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        files.update_text(path, lambda text: str(1 / (len(text) - 3)))
    files.update_text(path, lambda text: f"{text}, new")
    assert path.read_text() == "old, new"
