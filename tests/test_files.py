from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import files
from workbench.errors import FileChangedError, FileError

SAVER = """
import sys
from pathlib import Path
from workbench.files import write_text

path = Path(sys.argv[1])
number = 0
print("ready", flush=True)
while True:
    number += 1
    write_text(path, f"{number % 10}" * 300_000)
    print(number, flush=True)
"""

STOPPER = """
import os, signal, sys
from pathlib import Path
from workbench import files

def stop(*args):
    print("in the middle", flush=True)
    while True:
        signal.pause()

owner, name = sys.argv[2].split(".")
setattr({"os": os, "Path": Path}[owner], name, stop)
files.write_text(Path(sys.argv[1]), "new" * 1000)
"""


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("files") / "a.txt"
    files.write_text(path, text)
    assert path.read_bytes() == text.encode()
    assert files.read_text(path) == text
    assert files.digest(path) == files.digest_text(text)


@pytest.mark.parametrize("saves", [1, 2, 5, 9, 14])
def test_a_killed_save_leaves_the_old_file_or_the_new_one(tmp_path: Path, saves: int) -> None:
    path = tmp_path / "a.prompty"
    path.write_text("0" * 300_000)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SAVER), str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        lines = iter(child.stdout)
        assert next(lines) == "ready\n"
        done = [next(lines) for _ in range(saves)]
        child.send_signal(signal.SIGKILL)
        finished = int([*done, *lines][-1])
    assert child.returncode == -signal.SIGKILL
    text = path.read_text()
    assert len(text) == 300_000 and len(set(text)) == 1, "torn"
    assert text[0] in (str(finished % 10), str((finished + 1) % 10))
    assert list(tmp_path.rglob("*.prompty")) == [path]


@pytest.mark.parametrize("step", ["os.fdopen", "os.fsync", "Path.chmod", "Path.replace"])
def test_a_save_killed_at_any_step_leaves_the_old_file_and_nothing_that_looks_like_a_prompt(
    tmp_path: Path, step: str
) -> None:
    path = tmp_path / "a.prompty"
    path.write_text("old")
    with subprocess.Popen([sys.executable, "-c", STOPPER, str(path), step], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert list(tmp_path.rglob("*.prompty")) == [path]
    files.write_text(path, "next")
    assert list(tmp_path.iterdir()) == [path]


def test_the_next_save_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    path = tmp_path / "a.prompty"
    (tmp_path / f".a.prompty.{int(gone.stdout)}.0a1b2c3d.tmp").write_text("torn")
    alive = tmp_path / f".a.prompty.{os.getppid()}.0a1b2c3d.tmp"
    alive.write_text("another program is writing this")
    files.write_text(path, "new")
    assert sorted(tmp_path.iterdir()) == [alive, path]


def test_readers_never_see_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 200_000)
    seen: set[str] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            text = files.read_text(path)
            seen.add(text if len(set(text)) > 1 or len(text) != 200_000 else "whole")

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "abcdefghij":
        files.write_text(path, letter * 200_000)
    stop.set()
    reader.join()
    assert seen == {"whole"}


def test_a_changed_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    opened = files.digest(path)
    path.write_text("theirs")
    with pytest.raises(FileChangedError):
        files.write_text(path, "mine", opened)
    assert path.read_text() == "theirs"
    files.write_text(path, "mine", files.digest(path))
    assert path.read_text() == "mine"


def test_a_file_that_should_not_be_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "first", "")
    with pytest.raises(FileChangedError):
        files.write_text(path, "second", "")
    assert path.read_text() == "first"


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    files.write_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    usual = tmp_path / "usual.txt"
    usual.write_text("x")
    files.write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode == usual.stat().st_mode


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".prompty")
    files.write_text(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("place", ["folder", "file/below"])
def test_a_write_that_fails_says_why_and_leaves_nothing_behind(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileError, match="Cannot write"):
        files.write_text(tmp_path / place, "x")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


def test_half_a_character_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileError, match="a lone surrogate"):
        files.write_text(path, "x\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_text_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"ab\xff")
    with pytest.raises(FileError, match="byte 2 is 0xff"):
        files.read_text(path)


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="Cannot read"):
        files.read_text(tmp_path / name)


def test_the_fingerprint_of_no_file_is_empty(tmp_path: Path) -> None:
    assert files.digest(tmp_path / "missing") == ""


def test_the_fingerprint_is_that_of_all_bytes_however_many(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(content)
    assert files.digest(tmp_path / "large") == hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", ".", "self", "x" * 300, "a\0b"])
def test_what_is_no_regular_file_has_no_fingerprint_and_ends_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    with pytest.raises(FileError, match="Cannot read"):
        files.digest(tmp_path / name)


def test_a_file_is_never_moved_over_another(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    with pytest.raises(FileError, match="already exists"):
        files.move(one, two)
    files.move(one, tmp_path / "new" / "one")
    assert (two.read_text(), (tmp_path / "new" / "one").read_text()) == ("2", "1")


def test_moving_or_removing_what_is_not_there(tmp_path: Path) -> None:
    files.remove(tmp_path / "missing")
    with pytest.raises(FileError, match="Cannot move"):
        files.move(tmp_path / "missing", tmp_path / "new")
