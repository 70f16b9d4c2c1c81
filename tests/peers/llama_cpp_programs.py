"""llama-server and llama-batched-bench: built once, into the cache folder, from the sources that llama-cpp-python's
source distribution brings, on the libraries that the engine uses.

`BENCH_PROGRAMS` names a folder with both instead. Knows nothing of what is measured or tested.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from workbench import paths

SERVER, BATCHED_BENCH = "llama-server", "llama-batched-bench"

_FOLDER = paths.cache_folder() / "benchmarks" / f"peers-{version('llama-cpp-python')}"
"""The user's own, also while a test has another cache."""


class Missing(Exception):
    """A program cannot be had; says why."""


def look_up(name: str) -> Path | None:
    """A program that was built before, or is in the folder that BENCH_PROGRAMS names; None where there is none."""
    chosen = os.environ.get("BENCH_PROGRAMS")
    program = (Path(chosen) if chosen else _FOLDER / "build" / "bin") / name
    return program if program.exists() else None


@functools.cache
def find(name: str) -> Path:
    """A program, built if it is not there. Raises Missing."""
    if look_up(name) is None and not os.environ.get("BENCH_PROGRAMS"):
        build()
    program = look_up(name)
    if program is None:
        raise Missing(f"{os.environ.get('BENCH_PROGRAMS', _FOLDER)} has no {name}")
    return program


def build() -> Path:
    """Build both; the folder that they are in. Raises Missing."""
    folder = _FOLDER
    if not shutil.which("cmake"):
        raise Missing("cmake was not found")
    if not (folder / "vendor/llama.cpp/CMakeLists.txt").exists() and not fetch_sources(folder):
        raise Missing("the sources of llama-cpp-python could not be downloaded")
    import llama_cpp

    print("Building llama-server and llama-batched-bench: some minutes, once.", file=sys.stderr)
    libraries, target = Path(llama_cpp.__file__).parent / "lib", folder / "build"
    settings = {"CMAKE_BUILD_TYPE": "Release", "SOURCES": str(folder / "vendor/llama.cpp"), "LIBRARIES": str(libraries)}
    settings |= dict.fromkeys(("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL"), "OFF")
    (target / "CMakeCache.txt").unlink(missing_ok=True)  # another checkout's, which cmake would refuse
    configure = ["cmake", "-S", str(Path(__file__).with_name("cmake")), "-B", str(target)]
    configure += [f"-D{name}={value}" for name, value in settings.items()]
    make = ["cmake", "--build", str(target), "-j", str(os.cpu_count() or 1), "--target", SERVER, BATCHED_BENCH]
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            words = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            raise Missing("they could not be built: " + (words[-1].strip() if words else "cmake failed"))
    return target / "bin"


def fetch_sources(folder: Path) -> bool:
    """llama.cpp's sources, out of the package's."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", wanted]
    if subprocess.run([*command, "--dest", str(folder)], capture_output=True).returncode:
        return False
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as packed:
        for member in packed:
            member.name = member.name.partition("/")[2]
            if member.name.startswith("vendor/llama.cpp/"):
                packed.extract(member, folder, filter="data")
    archive.unlink()
    return True
