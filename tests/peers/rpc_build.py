"""llama.cpp with its RPC backend, and ggml-rpc-server: devices for the offload's tests on a machine without a GPU.

Built once, into the cache folder, from the sources of the pinned llama-cpp-python: ggml alone, since libllama finds its
backends at run time, so that the installed one is copied beside it. The engine loads these libraries where
LLAMA_CPP_LIB_PATH names their folder. `RPC_LIBRARIES` names a folder with both instead.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.peers.llama_cpp_programs import Missing, fetch_sources
from workbench import paths
from workbench.llama_wheels import FLAGS

SERVER = "ggml-rpc-server"
_FOLDER = paths.cache_folder() / "benchmarks" / f"rpc-{version('llama-cpp-python')}"
_SETTINGS = ("BUILD_SHARED_LIBS=ON", "GGML_RPC=ON", "CMAKE_BUILD_TYPE=Release", "LLAMA_BUILD_TOOLS=ON")
_LEFT_OUT = ("LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_SERVER", "LLAMA_BUILD_APP", "LLAMA_OPENSSL")
_PATIENCE = 120.0


def look_up() -> Path | None:
    """The folder with the libraries and the server; None where they were not built."""
    chosen = os.environ.get("RPC_LIBRARIES")
    folder = Path(chosen) if chosen else _FOLDER / "build" / "bin"
    return folder if (folder / SERVER).exists() else None


def build() -> Path:
    """Build them; the folder. Raises Missing."""
    if not shutil.which("cmake"):
        raise Missing("cmake was not found")
    sources = _FOLDER / "vendor/llama.cpp"
    if not (sources / "CMakeLists.txt").exists() and not fetch_sources(_FOLDER):
        raise Missing("the sources of llama-cpp-python could not be downloaded")
    target = _FOLDER / "build"
    settings = [*_SETTINGS, *(f"{name}=OFF" for name in _LEFT_OUT)]
    configure = ["cmake", "-S", str(sources), "-B", str(target), *FLAGS.split(), *(f"-D{one}" for one in settings)]
    jobs = str(os.cpu_count() or 1)
    make = ["cmake", "--build", str(target), "-j", jobs, "--target", "ggml", SERVER]
    print("Building ggml with RPC: some minutes, once.", file=sys.stderr)
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            words = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            raise Missing("it could not be built: " + (words[-1].strip() if words else "cmake failed"))
    _copy_installed(target / "bin")
    return target / "bin"


def _copy_installed(folder: Path) -> None:
    """The libraries that the build left out, from the installed package."""
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    for library in (Path(spec.origin).parent / "lib").iterdir():
        if library.name.startswith(("libllama", "libmtmd")):
            shutil.copy2(library, folder / library.name)


class RpcServer:
    """A running ggml-rpc-server with the CPU as its device. address: host:port. memory: bytes that it may have."""

    def __init__(self, folder: Path, memory: int | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        command: Sequence[str] = [str(folder / SERVER), "-p", str(port), "-t", "1"]
        if memory:
            command = ["prlimit", f"--as={memory}", *command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait(port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise Missing(f"{SERVER} did not start")


@contextlib.contextmanager
def run_servers(count: int, memory: int | None = None) -> Iterator[list[RpcServer]]:
    """So many servers, ended afterwards. Raises Missing."""
    folder = look_up()
    if folder is None:
        raise Missing("llama.cpp with RPC was not built: python -m tests.peers build-rpc")
    servers: list[RpcServer] = []
    try:
        for _ in range(count):
            servers.append(RpcServer(folder, memory))  # noqa: PERF401  those that started are ended
        yield servers
    finally:
        for server in servers:
            server.kill()
