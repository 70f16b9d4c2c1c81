"""The native library: loaded once, checked against the version this code was written for, its log captured.

Knows nothing of models. Everything here calls C directly: a wrong argument ends the process, so arguments are
checked before they get here.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from importlib.metadata import version

# read when the library is loaded: a backtrace would start gdb
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp.llama_cpp as native

from workbench.errors import ModelError

__all__ = ["LOG", "native", "start"]

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


class Log:
    """The native code's warnings and errors: the last ones kept, all passed to standard error unless it is quiet."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=40)
        self.quiet = False
        self._wanted = False

    def take(self, level: int, text: bytes, _: object) -> None:
        """Called by the native code, also in the middle of a line."""
        if level != _CONTINUED:
            self._wanted = level in (_WARNING, _ERROR)
        line = text.decode("utf-8", "replace").rstrip()
        if any(words in line for words in _EXPECTED):
            return
        if self._wanted and line:
            self.lines.append(line)
            if not self.quiet:
                print(line, file=sys.stderr)  # noqa: T201  where the host looks for last words


LOG = Log()
_callback = native.llama_log_callback(LOG.take)  # kept here: C holds only its address


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
    native.llama_log_set(_callback, None)
    native.llama_backend_init()
