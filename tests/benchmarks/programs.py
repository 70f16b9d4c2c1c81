"""llama-server and llama-batched-bench: built once, into the cache folder, from the sources that llama-cpp-python's
source distribution brings, on the libraries that the engine uses.

`BENCH_PROGRAMS` names a folder with both instead. Knows nothing of what is measured.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import THREADS, Tokens
from workbench import paths

SERVER, BATCHED_BENCH = "llama-server", "llama-batched-bench"
_PATIENCE = 120.0


class Missing(Exception):
    """A program cannot be had; says why."""


@functools.cache
def find(name: str) -> Path:
    """A program, built if it is not there. Raises Missing."""
    chosen = os.environ.get("BENCH_PROGRAMS")
    if chosen:
        return Path(chosen) / name
    folder = paths.cache_folder() / "benchmarks" / f"peers-{version('llama-cpp-python')}"
    program = folder / "build" / "bin" / name
    if not program.exists():
        _build(folder)
    return program


def _build(folder: Path) -> None:
    if not shutil.which("cmake"):
        raise Missing("cmake was not found")
    if not (folder / "vendor/llama.cpp/CMakeLists.txt").exists() and not _fetch(folder):
        raise Missing("the sources of llama-cpp-python could not be downloaded")
    import llama_cpp

    print("Building llama-server and llama-batched-bench: some minutes, once.", file=sys.stderr)
    libraries, build = Path(llama_cpp.__file__).parent / "lib", folder / "build"
    settings = {"CMAKE_BUILD_TYPE": "Release", "SOURCES": str(folder / "vendor/llama.cpp"), "LIBRARIES": str(libraries)}
    settings |= dict.fromkeys(("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL"), "OFF")
    configure = ["cmake", "-S", str(Path(__file__).with_name("programs")), "-B", str(build)]
    configure += [f"-D{name}={value}" for name, value in settings.items()]
    make = ["cmake", "--build", str(build), "-j", str(os.cpu_count() or 1), "--target", SERVER, BATCHED_BENCH]
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            words = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            raise Missing("they could not be built: " + (words[-1].strip() if words else "cmake failed"))


def _fetch(folder: Path) -> bool:
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


class Server:
    """A running llama-server with so many slots."""

    def __init__(self, port: int, slots: int) -> None:
        self._port = port
        self._slots = slots

    def write(self, prompts: Sequence[Tokens], new: int, adapters: Sequence[int] = ()) -> float:
        """Answer all prompts, as many at the same time as there are slots; seconds.

        adapters: the number of each prompt's.
        """
        started = time.perf_counter()
        with ThreadPoolExecutor(self._slots) as workers:
            requests = [self._request(prompt, new, adapters[place : place + 1]) for place, prompt in enumerate(prompts)]
            written = list(workers.map(self._ask, requests))
        seconds = time.perf_counter() - started
        assert all(count == new for count in written), written
        return seconds

    @staticmethod
    def _request(prompt: Tokens, new: int, adapter: Sequence[int]) -> bytes:
        asked: dict[str, Any] = {"prompt": prompt, "n_predict": new, "cache_prompt": True, "ignore_eos": True}
        asked |= {"temperature": 0.0, "samplers": ["temperature"]}
        if adapter:
            asked["lora"] = [{"id": number, "scale": 1.0} for number in adapter]
        return json.dumps(asked).encode()

    def _ask(self, asked: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        connection.request("POST", "/completion", asked, {"Content-Type": "application/json"})
        found = json.loads(connection.getresponse().read())
        connection.close()
        count: int = found["tokens_predicted"]
        return count


@contextlib.contextmanager
def serve(model: Path, slots: int, adapters: Sequence[Path] = ()) -> Iterator[Server]:
    """A server that has just started. Raises Missing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(find(SERVER)), "-m", str(model), "-np", str(slots), "-kvu", "-c", "12288", "--no-ui"]
    command += ["-t", str(THREADS), "-tb", str(THREADS), "--host", "127.0.0.1", "--port", str(port)]
    if adapters:
        command += ["--lora-init-without-apply", "--lora", ",".join(map(str, adapters))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield Server(port, slots)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Missing(f"{SERVER} ended with code {process.returncode}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        connection.close()
        time.sleep(0.05)
    raise Missing(f"{SERVER} did not get ready")
