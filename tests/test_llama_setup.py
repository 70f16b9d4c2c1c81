"""llama.cpp for a card, with a pretended pip: wheel, build, processor, in this order; never a failed set-up."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import llama_setup
from workbench.accelerators import Accelerator
from workbench.llama_setup import FELL_BACK, VERSION, Pip, main

PIP = """\
import os, pathlib, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(os.environ.get("CMAKE_ARGS", "") + " | " + " ".join(sys.argv[1:]) + "\\n")
arguments = sys.argv[1:]
seen = " ".join(arguments) + os.environ["CMAKE_ARGS"]
if any(word in seen for word in os.environ["FAILS"].split(",") if word):
    sys.exit("ERROR: No matching distribution found")
if arguments[0] == "wheel":
    for step in (1, 40, 80):
        print(f"  [{step}/80] Building CXX object")
    folder = pathlib.Path(arguments[arguments.index("--wheel-dir") + 1])
    (folder / "llama_cpp_python-0-py3-none-any.whl").write_text("wheel")
"""
CARD = Accelerator("cuda", "NVIDIA A", 8 * 2**30, 7 * 2**30, (12, 4))
OLD = Accelerator("cuda", "NVIDIA K", 2**31, 2**31, (9, 1), "its driver 390 supports CUDA 9.1", "sudo apt install x")


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """Carries out the set-up: exit code, what it wrote, what pip was asked for."""
    pip, calls = tmp_path / "pip.py", tmp_path / "calls"
    pip.write_text(PIP)
    # the interpreter's own path stands for `-m pip`
    monkeypatch.setattr(llama_setup, "Pip", lambda command, *rest: Pip((sys.executable, str(pip)), *rest))

    def carry_out(*arguments, cards=(CARD,), fails="", proved=lambda backend: False):
        monkeypatch.setattr(llama_setup, "find_accelerators", lambda: cards)
        calls.write_text("")
        out = io.StringIO()
        variables = {"CALLS": str(calls), "FAILS": fails, "WORKBENCH_HOME": str(tmp_path), "CMAKE_ARGS": "-DOWN=1"}
        code = main(arguments, variables, out, proved)
        return code, out.getvalue(), calls.read_text().splitlines()

    return carry_out


def test_the_version_is_the_pinned_one():
    root = Path(__file__).parents[1]
    assert f'"llama-cpp-python=={VERSION}"' in (root / "pyproject.toml").read_text()
    assert f"llama_cpp_python=={VERSION}" in (root / "constraints.txt").read_text()


def test_a_prebuilt_wheel_is_taken_first(set_up):
    code, said, calls = set_up("cuda", proved=lambda backend: backend == "cuda")
    assert code == 0
    assert re.search(r"--no-cache-dir --force-reinstall .*/whl/cu124 llama-cpp-python==", calls[0])
    assert not any(" wheel " in call for call in calls)
    assert "with cuda is installed" in said


@pytest.mark.parametrize("fails", ["--index-url", ""])
def test_without_a_wheel_that_loads_it_is_compiled_past_the_cache(set_up, fails):
    tries = iter([False, True] if not fails else [True])
    code, said, calls = set_up("cuda", fails=fails, proved=lambda backend: next(tries))
    assert code == 0
    (build,) = (call for call in calls if "| wheel " in call)
    assert build.startswith("-DOWN=1 -DGGML_CUDA=on | ")  # its own flags stay
    assert "--no-cache-dir" in build
    assert "Compiling: 50 %" in said
    assert "Compiling: 100 %" in said


def test_a_later_clone_takes_the_compiled_wheel(set_up):
    set_up("vulkan", fails="--index-url", proved=lambda backend: True)
    code, said, calls = set_up("vulkan", fails="--index-url", proved=lambda backend: True)
    assert code == 0
    assert not any("| wheel " in call for call in calls)
    assert "Compiling" not in said


def test_what_cannot_be_built_falls_back_to_the_processor(set_up):
    code, said, calls = set_up("cuda", fails="--index-url,GGML_CUDA", proved=lambda backend: backend == "cpu")
    assert code == FELL_BACK
    assert said.splitlines()[-1] == (
        "llama.cpp for cuda could not be installed (a build needs the CUDA toolkit (nvcc)),"
        " so models run on the processor."
    )
    assert len(calls) == 2  # the build for the processor that was there is kept


def test_a_build_that_does_not_load_is_replaced_by_one_for_the_processor(set_up):
    code, said, calls = set_up("cuda", fails="--index-url")
    assert code == FELL_BACK
    assert "does not load, or finds no device" in said
    assert calls[-3].startswith("-DOWN=1 | wheel ")


def test_an_old_driver_is_the_reason_given(set_up):
    code, said, calls = set_up("cuda", cards=(OLD,), fails="GGML_CUDA", proved=lambda backend: backend == "cpu")
    assert code == FELL_BACK
    assert "(NVIDIA K: its driver 390 supports CUDA 9.1), so models run on the processor" in said
    assert not any("--index-url" in call for call in calls)


def test_by_itself_it_only_advises(set_up):
    code, said, calls = set_up(proved=lambda backend: True)
    assert (code, calls) == (0, [])
    assert "make run GPU=cuda" in said
    code, _, calls = set_up(cards=())
    assert code == 0
    assert calls[0].startswith("-DOWN=1 | wheel ")
    assert "--no-cache-dir" not in calls[0]


def test_a_failed_build_shows_the_last_words(set_up):
    code, said, _ = set_up(fails="wheel")
    assert code == 1
    assert "No matching distribution" in said


def test_an_unknown_backend_is_named(set_up):
    code, said, calls = set_up("cudda")
    assert (code, calls) == (2, [])
    assert said == "GPU=cudda: no such backend. Choose one of cuda, metal, vulkan, rocm, cpu.\n"


def test_the_cause_of_a_failed_build_is_picked_from_its_output():
    words = "-- Configuring\nCMake Error: Could NOT find Vulkan (missing: glslc)\nERROR: Failed to build wheels\n"
    assert llama_setup._last_reason(words) == "  CMake Error: Could NOT find Vulkan (missing: glslc)\n"
    assert llama_setup._last_reason("a\nerror: b\nc\n") == "  error: b\n"
    assert llama_setup._last_reason("") == "  pip failed\n"


def test_an_environment_without_pip_is_given_the_one_that_python_brings(tmp_path):
    """`uv tool install` makes such environments."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    ask = "import os; from workbench.llama_setup import has_pip; print(has_pip(os.environ))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([python, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=True).stdout.startswith(b"pip")


def test_without_any_pip_one_sentence_says_how_to_get_it(set_up, monkeypatch):
    monkeypatch.setattr(llama_setup, "has_pip", lambda environment: False)
    code, said, calls = set_up("cuda")
    assert (code, calls) == (1, [])
    assert said == f"{sys.prefix} has no pip. Type: uv pip install --python {sys.executable} pip\n"
