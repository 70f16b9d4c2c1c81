"""Planted faults around the engines: each brings its red line and the one command to run."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import sys
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from finding_fixture import red

from workbench import package_commands, paths
from workbench.doctor import checkup, finding, machine, terminal
from workbench.doctor.stored import check_store
from workbench.errors import EngineError, FileError
from workbench.settings import load_settings
from workbench.store.store import Store


@pytest.mark.parametrize("version", [None, "2.1.0"])
def test_a_library_that_is_missing_or_old(version):
    """The engine among them is left to its own check, whose command builds it rightly."""
    required = ["torch>=2.13", "llama-cpp-python==0.3.36", 'ruff; extra == "dev"']
    found = machine.check_libraries(required, lambda name: version)
    text, command = red(found)
    assert text == f"expected torch>=2.13, found {version or 'none'}"
    assert command.endswith("-m pip install 'torch>=2.13'")


def test_a_workbench_that_was_never_installed(monkeypatch):
    def lack(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(machine.metadata, "requires", lack)
    text, command = red(machine.check_libraries())
    assert "is not installed in this environment" in text
    assert "-m pip install --editable " in command


def test_an_old_sqlite(tmp_path):
    stub = SimpleNamespace(sqlite_version="3.31.1", sqlite_version_info=(3, 31, 1))
    text, command = red([machine.check_sqlite(tmp_path, stub)])
    assert text == "expected 3.38.0 or newer, found 3.31.1"
    assert command == machine._SQLITE_UPDATE


def test_a_sqlite_without_json(tmp_path, monkeypatch):
    class Connection(sqlite3.Connection):
        def execute(self, text, *rest):
            return super().execute(text.replace("json_extract", "no_such"), *rest)

    stub = SimpleNamespace(
        sqlite_version="3.45.0", sqlite_version_info=(3, 45, 0), Error=sqlite3.Error,
        connect=lambda path: sqlite3.connect(path, factory=Connection),
    )  # fmt: skip
    text, command = red([machine.check_sqlite(tmp_path, stub)])
    assert text == "3.45.0 has no working JSON functions"
    assert command == machine._SQLITE_UPDATE


def test_a_folder_without_a_write_ahead_log(tmp_path):
    class Connection(sqlite3.Connection):
        def execute(self, text, *rest):
            return super().execute(text.replace("WAL", "DELETE"), *rest)

    stub = SimpleNamespace(
        sqlite_version=sqlite3.sqlite_version, sqlite_version_info=sqlite3.sqlite_version_info, Error=sqlite3.Error,
        connect=lambda path: sqlite3.connect(path, factory=Connection),
    )  # fmt: skip
    text, command = red([machine.check_sqlite(tmp_path, stub)])
    assert "no write-ahead log" in text
    assert command.startswith("export WORKBENCH_HOME=")


@pytest.mark.parametrize(
    ("number", "start"),
    [
        (errno.EACCES, "sudo chown -R $(id -u) "),
        (errno.EROFS, "export WORKBENCH_HOME="),
        (errno.ENOSPC, "du -xh"),
        (errno.EDQUOT, "du -xh"),
    ],
)
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, number, start):
    def refuse(**_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    text, command = red([machine.check_folder("data folder", tmp_path)])
    assert text == f"{tmp_path} cannot be written: {os.strerror(number)}"
    assert command.startswith(start)


def test_a_file_where_a_folder_should_be(tmp_path):
    path = tmp_path / "data"
    path.write_text("")
    text, command = red([machine.check_folder("data folder", path)])
    assert "cannot be written: File exists" in text
    assert command == f"mv {path} {path}.old"


def test_a_home_that_is_no_folder_is_not_moved_away(tmp_path):
    """WORKBENCH_HOME=/dev/null, or the name of a file of one's own."""
    (tmp_path / "mine.txt").write_text("")
    for folder in (tmp_path / "mine.txt/data", Path("/dev/null/cache"), Path("/dev/null")):
        assert red([machine.check_folder("data folder", folder)])[1].startswith("export WORKBENCH_HOME=")


def test_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    text, command = red([machine.check_folder("cache folder", tmp_path)])
    assert text.startswith("only 1.0 MiB free")
    assert command.startswith("du -xh")


def test_wrong_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.toml").write_text("liive = true\n")
    text, command = red([checkup.check_settings()])
    assert "did you mean `live`?" in text
    assert command == f"${{EDITOR:-nano}} {tmp_path}/config/settings.toml"
    (tmp_path / "config/settings.toml").write_text("liive = true\nthread = 3\n")
    text, _ = red([checkup.check_settings()])
    assert "\n" not in text
    assert "did you mean `live`?; " in text
    (tmp_path / "config/settings.toml").write_bytes(b"live = \xff")
    assert red([checkup.check_settings()])[1].startswith(f"mv {tmp_path}/config/settings.toml ")
    (tmp_path / "config/settings.toml").write_text("live = true\n")
    assert load_settings().live
    assert checkup.check_settings().status == "ok"


@pytest.mark.parametrize(
    ("environment", "size", "encoding", "tmux", "words", "command"),
    [
        ({"TERM": "dumb"}, (120, 40), "utf-8", "", "TERM is dumb", "export TERM=xterm-256color"),
        ({"TERM": "xterm"}, (60, 20), "utf-8", "", "60 x 20 is too small", r"printf '\e[8;40;120t'"),
        ({"TERM": "xterm"}, (120, 40), "iso-8859-1", "", "found iso-8859-1", "export LC_ALL=C.UTF-8"),
        ({"TERM": "xterm", "TMUX": "/x"}, (120, 40), "utf-8", "off\n", "tmux keeps", "tmux set -g set-clipboard on"),
    ],
)
def test_a_terminal_that_lacks_something(environment, size, encoding, tmux, words, command):
    text, found = red(terminal.check_terminal(environment, size, encoding, lambda: tmux))
    assert words in text
    assert found == command


@pytest.mark.parametrize(
    ("environment", "option", "command"),
    [({"TMUX": "/x"}, "external", "tmux set -g set-clipboard on"), ({"STY": "1"}, "", "")],
)
def test_a_multiplexer_that_takes_no_copies_is_a_warning(environment, option, command):
    """`external` is tmux's default: https://github.com/tmux/tmux/wiki/Clipboard"""
    (found,) = (
        one
        for one in terminal.check_terminal({"TERM": "xterm", **environment}, (120, 40), "utf-8", lambda: option)
        if one.status != "ok"
    )
    assert (found.name, found.status, found.command) == ("clipboard", "warning", command)


def test_a_good_terminal_is_green():
    found = terminal.check_terminal({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, (120, 40), "utf-8")
    assert {one.status for one in found} == {"ok"}
    assert {one.status for one in terminal.check_terminal({"TERM": "xterm"}, (0, 0), "utf-8")} == {"ok"}
    in_tmux = terminal.check_terminal({"TERM": "tmux-256color", "TMUX": "/x"}, (120, 40), "utf-8", lambda: "on\n")
    assert {one.status for one in in_tmux} == {"ok"}


@pytest.mark.parametrize(
    ("pip", "uv", "start"),
    [
        (True, None, "{python} -m pip install x"),
        (False, "/bin/uv", "uv pip install --python {python} x"),
        (False, None, "{python} -m ensurepip && {python} -m pip install x"),
    ],
)
def test_packages_are_installed_by_what_this_environment_has(monkeypatch, pip, uv, start):
    monkeypatch.setattr(package_commands, "find_spec", lambda name: object() if pip else None)
    monkeypatch.setattr(package_commands.shutil, "which", lambda name: uv)
    assert package_commands.pip_install("x") == start.format(python=sys.executable)


def test_a_clock_that_is_behind_is_a_warning():
    found = machine.check_clock(now=86_400.0, written=86_400.0 * 365 * 50)
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(86_400.0))
    assert (found.status, found.text.partition(",")[0]) == ("warning", f"it says {shown}")
    assert found.command == machine._CLOCK
    assert machine.check_clock(now=86_400.0 * 365, written=86_400.0 * 365.5).status == "ok"


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "workbench.sqlite"
    with contextlib.closing(Store(path)):
        pass
    return path


def test_a_store_is_read_without_a_change(stored, tmp_path):
    before = stored.read_bytes()
    assert check_store(stored).status == "ok"
    assert stored.read_bytes() == before
    assert check_store(tmp_path / "none.sqlite").text == "none yet"
    assert not (tmp_path / "none.sqlite").exists()


def test_a_store_that_another_process_keeps(stored, monkeypatch):
    monkeypatch.setattr("workbench.doctor.stored._BUSY_SECONDS", 0.01)
    with contextlib.closing(sqlite3.connect(stored, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        text, command = red([check_store(stored)])
    assert "has kept" in text
    assert command == f"fuser -v {stored}"


def test_a_store_of_a_newer_workbench(stored):
    with contextlib.closing(sqlite3.connect(stored)) as connection:
        connection.execute("PRAGMA user_version = 999")
    text, command = red([check_store(stored)])
    assert "was written by a newer workbench: its version is 999" in text
    assert command.startswith("export WORKBENCH_HOME=")


def test_a_damaged_store_is_a_warning_since_it_is_recovered(tmp_path):
    path = tmp_path / "workbench.sqlite"
    path.write_bytes(b"no database at all, for sure" * 100)
    found = check_store(path)
    assert (found.status, found.command) == ("warning", "workbench runs")
    assert path.read_bytes().startswith(b"no database")


def test_a_store_that_is_a_folder(tmp_path):
    text, command = red([check_store(tmp_path)])
    assert "cannot be written" in text
    assert command.startswith("ls -l ")


def test_without_a_home_one_variable_is_asked_for(monkeypatch):
    def lack():
        raise FileError("This user has no home folder.", "export WORKBENCH_HOME=/var/tmp/w")

    monkeypatch.setattr(paths, "data_folder", lack)
    assert red(checkup._contain("folders", checkup._check_home))[1] == "export WORKBENCH_HOME=/var/tmp/w"


@pytest.mark.parametrize(
    ("error", "words", "command"),
    [
        (KeyError("x"), "broke off with KeyError: 'x'", "workbench doctor --json"),
        (ImportError("libx.so: cannot open", name="torch"), "torch cannot be loaded: libx.so", "install --force"),
        (ModuleNotFoundError("No module named 'nowhere'", name="nowhere"), "nowhere cannot", "install --editable"),
    ],
)
def test_a_check_that_fails_by_itself_is_a_finding(error, words, command):
    def check():
        yield finding.ok("before", "")
        raise error

    text, found = red(checkup._contain("servers", check))
    assert words in text
    assert command in found
    with pytest.raises(EngineError):
        list(checkup._contain("engines", lambda: (_ for _ in ()).throw(EngineError("The checks were stopped."))))
