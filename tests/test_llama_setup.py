"""llama.cpp for a card, with a pretended pip: cache, wheel, build, processor, in this order; never a failed set-up."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import llama_setup, llama_wheels
from workbench.accelerators import Accelerator
from workbench.llama_setup import FELL_BACK, main
from workbench.llama_wheels import VERSION, Pip

PIP = """\
import os, pathlib, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(os.environ.get("CMAKE_ARGS", "") + " | " + " ".join(sys.argv[1:]) + "\\n")
arguments = sys.argv[1:]
seen = " ".join(arguments) + os.environ["CMAKE_ARGS"]
if any(word in seen for word in os.environ["FAILS"].split(",") if word):
    sys.exit("ERROR: No matching distribution found")
if arguments[0] in ("wheel", "download"):
    if arguments[0] == "wheel" and (os.environ.get("PIP_CACHED") is None or "--no-cache-dir" in arguments):
        for step in ("1/80", "2/2", "40/80", "2/2", "80/80"):  # with a project inside, which counts its own two
            print(f"  [{step}] Building CXX object")
    option = "--wheel-dir" if arguments[0] == "wheel" else "--dest"
    folder = pathlib.Path(arguments[arguments.index(option) + 1])
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
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where the choice is remembered
    monkeypatch.setattr(llama_wheels, "_HEADER_FOLDERS", (str(tmp_path / "include"),))

    def carry_out(*arguments, cards=(CARD,), fails="", proved=lambda backend: False, **more):
        monkeypatch.setattr(llama_setup, "find_accelerators", lambda: cards)
        calls.write_text("")
        out = io.StringIO()
        variables = {"CALLS": str(calls), "FAILS": fails, "WORKBENCH_HOME": str(tmp_path), "CMAKE_ARGS": "-DOWN=1"}
        code = main(arguments, variables | more, out, proved)
        return code, out.getvalue(), calls.read_text().splitlines()

    return carry_out


def test_the_version_is_the_pinned_one():
    root = Path(__file__).parents[1]
    assert f'"llama-cpp-python=={VERSION}"' in (root / "pyproject.toml").read_text()
    assert f"llama_cpp_python=={VERSION}" in (root / "constraints.txt").read_text()


def tries(*results):
    """What a proof finds, time after time; the last one for ever."""
    left = list(results)
    return lambda backend: left.pop(0) if len(left) > 1 else left[0]


def test_a_prebuilt_wheel_is_taken_first_and_kept(set_up, tmp_path):
    code, said, calls = set_up("cuda", proved=tries(True))
    assert code == 0
    assert re.search(r"download --no-cache-dir .*/whl/cu124 llama-cpp-python==", calls[0])
    assert "install --no-cache-dir --force-reinstall" in calls[1]
    assert not any("| wheel " in call for call in calls)
    assert "with cuda is installed" in said
    assert (tmp_path / ".gpu-cuda").exists()
    code, said, calls = set_up("cuda", proved=tries(True))  # a later clone
    assert code == 0
    assert not any("download" in call or "| wheel " in call for call in calls)
    assert "with cuda is installed" in said


@pytest.mark.parametrize("fails", ["--index-url", ""])
def test_without_a_wheel_that_loads_it_is_compiled_past_the_cache(set_up, fails):
    code, said, calls = set_up("cuda", fails=fails, proved=tries(True) if fails else tries(False, True))
    assert code == 0
    (build,) = (call for call in calls if "| wheel " in call)
    assert build.startswith("-DOWN=1 -DGGML_CUDA=on | ")  # its own flags stay
    assert "--no-cache-dir" in build
    assert [line for line in said.splitlines() if line.startswith("Compiling:")] == [
        "Compiling: 1 %", "Compiling: 50 %", "Compiling: 100 %",
    ]  # fmt: skip


def test_a_later_clone_takes_the_compiled_wheel(set_up):
    set_up("vulkan", fails="--index-url", proved=tries(True))
    code, said, calls = set_up("vulkan", fails="--index-url", proved=tries(True))
    assert code == 0
    assert not any("| wheel " in call for call in calls)
    assert "Compiling" not in said


@pytest.mark.parametrize(("arguments", "options"), [(("cpu",), "--no-cache-dir"), ((), "wheel")])
def test_a_kept_wheel_that_does_not_work_is_made_anew(set_up, tmp_path, arguments, options):
    assert set_up("cpu", proved=tries(True))[0] == 0
    (kept,) = (tmp_path / "cache/wheels").glob("*/*.whl")
    kept.write_text("damaged")
    # without an argument the first proof is of what is installed already
    code, _, calls = set_up(*arguments, proved=tries(False, True) if arguments else tries(False, False, True))
    assert code == 0
    assert any("| wheel " in call and options in call for call in calls)
    assert kept.read_text() == "wheel"


def test_a_wheel_that_pip_had_cached_is_not_kept_and_cpu_compiles_past_it(set_up, tmp_path):
    """pip caches by version alone: what it has may have been built without our flags, and crash."""
    code, _, calls = set_up(proved=tries(False, True), PIP_CACHED="1")
    assert code == 0
    assert "--no-cache-dir" not in calls[0]
    assert list((tmp_path / "cache/wheels").glob("*/*.whl")) == []
    code, _, calls = set_up("cpu", proved=tries(True), PIP_CACHED="1")
    assert code == 0
    assert "--no-cache-dir" in calls[0]
    assert len(list((tmp_path / "cache/wheels").glob("*/*.whl"))) == 1
    assert (tmp_path / ".gpu-cpu").exists()


def test_a_build_that_never_works_is_not_kept_and_the_set_up_says_so(set_up, tmp_path):
    code, said, _ = set_up("cpu", proved=tries(False))
    assert code == 1
    assert said.endswith("was installed, but does not load: `workbench doctor` says why.\n")
    assert list((tmp_path / "cache/wheels").glob("*/*.whl")) == []


def test_what_cannot_be_built_falls_back_to_the_processor(set_up, tmp_path):
    (tmp_path / ".gpu-cuda").touch()
    code, said, calls = set_up("cuda", fails="--index-url,GGML_CUDA", proved=lambda backend: backend == "cpu")
    assert code == FELL_BACK
    assert said.splitlines()[-1] == (
        "llama.cpp for cuda could not be installed (a build needs the CUDA toolkit (nvcc)),"
        " so models run on the processor."
    )
    assert len(calls) == 2  # the build for the processor that was there is kept
    assert not (tmp_path / ".gpu-cuda").exists()


def test_a_build_that_does_not_load_is_replaced_by_one_for_the_processor(set_up):
    code, said, calls = set_up("cuda", fails="--index-url", proved=tries(False, True))
    assert code == FELL_BACK
    assert "does not load, or finds no device" in said
    assert calls[-3].startswith("-DOWN=1 | wheel ")


@pytest.mark.parametrize(
    ("backend", "cards", "reason"),
    [
        ("cuda", (OLD,), "NVIDIA K: its driver 390 supports CUDA 9.1"),
        ("cuda", (), "no driver is installed: nvidia-smi was not found"),
        ("rocm", (CARD,), "no driver is installed: rocminfo was not found"),
        ("metal", (CARD,), "Metal is Apple's"),
    ],
)
def test_what_keeps_a_card_from_being_used_is_the_reason_given(set_up, monkeypatch, backend, cards, reason):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "platform", "linux")
    code, said, _ = set_up(backend, cards=cards, fails="--index-url,GGML_", proved=lambda backend: backend == "cpu")
    assert code == FELL_BACK
    assert said.splitlines()[-1].endswith(f"({reason}), so models run on the processor.")


def test_vulkan_headers_that_are_too_old_are_named_before_anything_is_compiled(set_up, tmp_path):
    folder = tmp_path / "include/vulkan"
    folder.mkdir(parents=True)
    (folder / "vulkan_core.h").write_text(
        "#define VK_HEADER_VERSION 239\n"
        "#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)\n"
    )
    proved = {"fails": "--index-url", "proved": lambda backend: backend == "cpu", "cards": ()}
    code, said, calls = set_up("vulkan", **proved)
    assert code == FELL_BACK
    assert f"The Vulkan headers 1.3.239 in {tmp_path / 'include'} are too old" in said
    assert "Debian 13 or newer: apt install libvulkan-dev glslc spirv-headers" in said
    assert not any("| wheel " in call for call in calls)
    newer = tmp_path / "sdk/include/vulkan"
    newer.mkdir(parents=True)
    (newer / "vulkan_core.h").write_text("typedef struct VkLayerSettingEXT {")
    _, _, calls = set_up("vulkan", **proved, VULKAN_SDK=str(tmp_path / "sdk"))
    assert any("| wheel " in call for call in calls)


@pytest.mark.parametrize("home", ["~no-such-user", "/dev/null/x"])
def test_without_a_cache_that_can_be_written_it_is_compiled_all_the_same(set_up, home):
    code, _, calls = set_up("cpu", proved=tries(True), WORKBENCH_HOME=home)
    assert code == 0
    assert any("| wheel " in call for call in calls)


def test_by_itself_it_only_advises(set_up):
    code, said, calls = set_up(proved=tries(True))
    assert (code, calls) == (0, [])
    assert "make run GPU=cuda" in said
    code, _, calls = set_up(cards=(), proved=tries(False, True))
    assert code == 0
    assert calls[0].startswith("-DOWN=1 | wheel ")
    assert "--no-cache-dir" not in calls[0]


def test_outside_a_checkout_the_module_is_advised(monkeypatch, tmp_path):
    monkeypatch.setattr(llama_setup, "__file__", str(tmp_path / "workbench/llama_setup.py"))
    (line,) = llama_setup.advise([CARD])
    assert line.endswith(f"until `{sys.executable} -m workbench.llama_setup cuda`.")


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
    words = "CMake Error at x:262 (message):\n  CUDA Toolkit not found\n\nERROR: Failed to build wheels\n"
    assert llama_setup._last_reason(words) == "  CUDA Toolkit not found\n"
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
