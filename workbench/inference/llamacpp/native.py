"""The native library: loaded once, checked against the version this code was written for, its log captured.

Everything here calls C directly: a wrong argument ends the process, so arguments are checked before they get here.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections import deque
from importlib.metadata import version
from typing import NamedTuple

# read when the library is loaded: a backtrace would start gdb
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp.llama_cpp as native

from workbench.errors import ModelError

__all__ = ["LOG", "log_callback", "native", "start"]

VERSION = "0.3.36"
"""llama-cpp-python changes its C structs within 0.3.x, so another version is refused."""

_WARNING, _ERROR, _CONTINUED = 3, 4, 5
_USUAL = {"n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "kv_unified": False, "n_samplers": 0}


_SIZES = {
    "llama_batch": 56,
    "llama_context_params": 160,
    "llama_model_params": 80,
    "llama_token_data": 12,
    "llama_token_data_array": 32,
}
"""Bytes of the C structs that this code fills, on 64-bit machines."""

_EXPECTED = (
    # said of the cache that all requests share, which no single one may fill
    "possible training context overflow",
    # said of a step that was called off
    "graph_compute_async failed with error 1",
    "failed to compute graph, compute status: 1",
    "removing memory module entries for seq_id",
    "failed to decode, ret = 2",
)


_BUFFER = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_MOST_BUFFERS = 4096


class Buffer(NamedTuple):
    """Memory that was allocated. buffer_name: ggml's, such as CPU_Mapped, CUDA0 or RPC0[10.0.0.2:1].
    kind: model, KV, RS (the state of recurrent models), compute or output."""

    buffer_name: str
    kind: str
    bytes: int


class Log:
    """The native code's warnings and errors: the last ones kept, all passed to standard error unless it is quiet.

    buffers: what was allocated since they were last cleared, which the native code tells nobody but its log.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=40)
        self.buffers: list[Buffer] = []
        self.quiet = False
        self._wanted = False

    def on_log(self, level: int, text: bytes, _: object) -> None:
        """Called by the native code, also in the middle of a line."""
        if level != _CONTINUED:
            self._wanted = level in (_WARNING, _ERROR)
        line = text.decode("utf-8", "replace").rstrip()
        if (found := _BUFFER.search(line)) and len(self.buffers) < _MOST_BUFFERS:
            self.buffers.append(Buffer(found[1], found[2], round(float(found[3]) * 2**20)))
        if any(words in line for words in _EXPECTED):
            return
        if self._wanted and line:
            self.lines.append(line)
            if not self.quiet:
                print(line, file=sys.stderr)  # noqa: T201  where the host looks for last words


LOG = Log()
log_callback = native.llama_log_callback(LOG.on_log)  # kept here: C holds only its address


def start() -> None:
    """Make the library ready. Raises ModelError when it is not the version that this code knows."""
    found = version("llama-cpp-python")
    defaults = native.llama_context_default_params()
    sizes = {name: ctypes.sizeof(getattr(native, name)) for name in _SIZES}
    odd = [f"{name}={getattr(defaults, name)}" for name, value in _USUAL.items() if getattr(defaults, name) != value]
    odd += [f"{name} of {sizes[name]} bytes" for name, size in _SIZES.items() if sizes[name] != size]
    if found != VERSION or odd:
        raise ModelError(
            f"Expected llama-cpp-python {VERSION}, found {found}{' with ' + ', '.join(odd) if odd else ''}.",
            f"Install it with: pip install llama-cpp-python=={VERSION}",
        )
    native.llama_log_set(log_callback, None)
    native.llama_backend_init()
