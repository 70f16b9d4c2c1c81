"""What keeps the workbench from starting at all, such as a missing package: one line and one command, no traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench import __main__ as entry
from workbench import package_commands

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def start(monkeypatch, capsys):
    """Runs the command line with an import that fails."""

    def run(error):
        def fail(arguments):
            raise error

        monkeypatch.setattr(entry, "guard_streams", lambda: None)
        monkeypatch.setattr(entry, "_main", fail)
        return entry.main(), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("error", "words", "command"),
    [
        (ModuleNotFoundError("No module named 'nowhere.x'", name="nowhere.x"), "the package nowhere", "--editable "),
        (ImportError("libc.so.7: no such file", name="msgspec._core"), "libc.so.7", "--no-deps msgspec\n"),
        (ModuleNotFoundError("No module named '_sqlite3'", name="_sqlite3"), "was built without _sqlite3", "clean run"),
    ],
)
def test_what_is_missing_is_named_with_one_command(start, error, words, command):
    code, err = start(error)
    assert code == 2
    first, second = err.splitlines()
    assert words in first
    assert second.startswith("  Run: ")
    assert command in f"{second}\n"


def test_a_defect_of_the_workbench_itself_is_not_hidden(start):
    with pytest.raises(ImportError):
        start(ImportError("cannot import name 'x' from 'workbench.files'", name="workbench.files"))


def test_a_folder_that_was_removed_meanwhile(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(entry, "guard_streams", lambda: None)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert entry.main() == 2
    assert capsys.readouterr().err == (
        "workbench: the folder you are in cannot be used: No such file or directory.\n  Run: cd ~\n"
    )


@pytest.mark.parametrize(
    ("note", "source"),
    [
        (
            '{"url": "file:///home/me/my%20files/workbench-0.1.0-py3-none-any.whl", "archive_info": {}}',
            "'/home/me/my f",
        ),
        (None, "workbench-0.1.0-py3-none-any.whl"),
        ("damaged", "'workbench-*.whl'"),
    ],
)
def test_outside_a_checkout_the_wheel_is_named_and_never_the_name_alone(monkeypatch, tmp_path, note, source):
    """On PyPI the name is another project's."""
    own = SimpleNamespace(read_text=lambda name: note, version="0.1.0")
    monkeypatch.setattr(package_commands, "_ROOT", tmp_path)
    monkeypatch.setattr(package_commands, "distribution", lambda name: own)
    monkeypatch.setattr(package_commands, "find_spec", lambda name: object())
    assert package_commands.install_own().startswith(f"{sys.executable} -m pip install {source}")
    if note is None:
        assert package_commands.install_extra("ray").endswith("'workbench-0.1.0-py3-none-any.whl[ray]'")


def test_in_a_checkout_an_extra_is_installed_from_there():
    assert package_commands.install_extra("wandb", "bnb").endswith(f"--editable '{CHECKOUT}[wandb,bnb]'")
