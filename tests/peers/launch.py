"""Start a server of another project on a free port of this machine, wait until it answers, and end it."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.peers.llama_cpp_programs import SERVER, Missing, find

_PATIENCE = 600.0
"""Seconds after which a server that is not ready is given up; far more than any machine needs."""

PYTHON_PEERS = {
    "llama_cpp.server": ("fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings"),
    "transformers serve": ("fastapi", "uvicorn", "openai"),
}
"""What each needs beside the package it comes with; `make peers` brings them."""


def lacks(peer: str) -> str:
    """Why a peer written in Python cannot be started; empty where it can."""
    missing = [name for name in PYTHON_PEERS[peer] if importlib.util.find_spec(name) is None]
    return f"{peer} needs {', '.join(missing)}: make peers" if missing else ""


@contextlib.contextmanager
def run_llama_server(
    model: Path,
    slots: int = 4,
    context_tokens: int = 4096,
    adapters: Sequence[Path] = (),
    options: Sequence[str] = (),
    threads: int = 2,
) -> Iterator[int]:
    """A llama-server that has just started; its port. context_tokens: of all slots together. Raises Missing.

    Adapters are loaded and not applied.
    """
    command = [str(find(SERVER)), "-m", str(model), "-np", str(slots), "-kvu", "-c", str(context_tokens), "--no-ui"]
    command += ["-t", str(threads), "-tb", str(threads), *options]
    if adapters:
        command += ["--lora-init-without-apply", "--lora", ",".join(map(str, adapters))]
    with _run(command, "/health", {}) as port:
        yield port


@contextlib.contextmanager
def run_script(script: Path) -> Iterator[int]:
    """A script that starts the llama-server of the path, which is the one built here; its port. Raises Missing."""
    path = f"{find(SERVER).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with _run(["sh", str(script)], "/health", {"PATH": path}) as port:
        yield port


@contextlib.contextmanager
def run_llama_cpp_python(model: Path, context_tokens: int = 1024) -> Iterator[int]:
    """`python -m llama_cpp.server` on a GGUF file; its port."""
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--n_ctx", str(context_tokens)]
    with _run(command, "/v1/models", {}) as port:
        yield port


@contextlib.contextmanager
def run_transformers_serve(folder: Path, cache: Path) -> Iterator[int]:
    """`transformers serve` on a Hugging Face folder, on the processor and without a network; its port.

    cache: a folder that stands for the Hub's; without one the server fails to list its models.
    """
    started = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", started, "serve", str(folder), "--device", "cpu", "--dtype", "float32"]
    with _run(command, "/health", {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}) as port:
        yield port


@contextlib.contextmanager
def _run(command: Sequence[str], path: str, environment: Mapping[str, str]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment},
        )  # fmt: skip
        try:
            if not _answers(port, path, process):
                log.seek(0)
                ended = f"ended with code {process.returncode}" if process.poll() is not None else "did not get ready"
                raise Missing(f"{' '.join(command[:4])} {ended}: {log.read()[-2000:].decode(errors='replace')}")
            yield port
        finally:
            _end(process)


def _answers(port: int, path: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            with connection.getresponse() as response:
                if response.status == 200:
                    return True
        time.sleep(0.05)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
