"""The set-up on a machine that lacks something: one clear sentence, before anything is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def set_up(folder: Path, tools: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up with nothing but these tools on the path."""
    path = folder / "bin"
    path.mkdir()
    for tool in ["sh", "touch", "test", *tools]:
        found = shutil.which(tool)
        if found:
            (path / tool).symlink_to(found)
    (path / "python3").symlink_to(sys.executable)
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    settings = [f"{name}={value}" for name, value in {"VENV": str(folder / "venv"), **variables}.items()]
    return subprocess.run(
        [make, "-f", str(ROOT / "Makefile"), str(folder / "venv/.ready"), *settings],
        cwd=ROOT, env={"PATH": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("tools", "missing"), [([], "cc"), (["cc"], "cmake")])
def test_a_missing_compiler_is_one_clear_sentence(tmp_path, tools, missing):
    done = set_up(tmp_path, tools)
    assert done.returncode != 0
    assert f"'{missing}' was not found" in done.stderr
    assert "apt install" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_named(tmp_path):
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = set_up(tmp_path, ["cc", "cmake"], PYTHON=str(old))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.1" in done.stderr
