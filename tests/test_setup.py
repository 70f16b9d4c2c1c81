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


def test_the_choice_of_a_card_is_remembered_where_it_worked(tmp_path):
    """A venv that is there already, with a pretended interpreter in it, which remembers as the set-up does."""
    venv, log = tmp_path / "venv", tmp_path / "log"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin/python"
    workbench = venv / "bin/workbench"
    workbench.write_text("#!/bin/sh\n")

    def make(*settings: str, code: int = 0) -> list[str]:
        remember = f"sys.prefix = {str(venv)!r}; llama_setup.remember('' if {code} else ''.join(sys.argv[4:]))"
        python.write_text(
            f'#!/bin/sh\necho "$CMAKE_ARGS $*" >> {log}\ncase "$*" in *llama_setup*)\n'
            f'{sys.executable} -c "import sys; from workbench import llama_setup; {remember}" -- "$@" || exit 9\n'
            f"exit {code};; esac\n"
        )
        python.chmod(0o755)
        workbench.chmod(0o755)
        log.write_text("")
        command = ["make", "-s", "run", f"VENV={venv}", "PYTHON=" + sys.executable, *settings]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
        return log.read_text().splitlines()

    (venv / ".ready").touch()
    (asked,) = make("GPU=cuda", code=3)  # it fell back: the next call tries again
    assert asked.endswith("-m workbench.llama_setup cuda")
    assert "-U__AMX_INT8__" in asked
    assert len(make("GPU=cuda")) == 1
    assert make("GPU=cuda") == []
    assert make() == []
    assert len(make("GPU=cpu")) == 1
    assert [path.name for path in venv.glob(".gpu-*")] == [".gpu-cpu"]
    (venv / ".ready").unlink()
    assert sum("llama_setup" in line for line in make("GPU=cuda", code=3)) == 1
    (venv / ".ready").unlink()
    asked = make("GPU=cuda", code=0)  # a new clone: one set-up of llama.cpp, then everything else
    assert [line.rpartition(" -m ")[2].partition(" --")[0] for line in asked] == [
        "workbench.llama_setup cuda", "pip install",
    ]  # fmt: skip
    (venv / ".ready").unlink()
    assert sum("llama_setup" in line for line in make()) == 0
    (venv / ".gpu-cuda").unlink()
    (venv / ".ready").unlink()
    assert sum(line.endswith("workbench.llama_setup") for line in make()) == 1
