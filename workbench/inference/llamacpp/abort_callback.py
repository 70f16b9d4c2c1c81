"""Preemption in the middle of a step: llama.cpp asks between the nodes of a graph whether to go on.

ggml calls the abort callback (`llama_set_abort_callback`, ggml-cpu's `ggml_graph_compute`) on its own threads, many
times in a step. A Python function there would take the GIL each time, and wait for whatever else Python does. So the
callback is a function of the C library, `strlen`, of a text that is empty until the step is to be left: one byte, which
any thread may write, stops the computation at its next node, and `llama_decode` returns 2.

Only ggml's CPU backend knows such a callback (llama-context.cpp, `set_abort_callback`). A device computes what it was
given to the end, so that a step there is one ubatch, small enough to be waited for, and only the next is not begun.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from typing import Any

from workbench.inference.llamacpp.native import native
from workbench.inference.scheduling.preemption import Preemption


class AbortCallback(Preemption):
    """callback, data: for native code."""

    def __init__(self) -> None:
        super().__init__()
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
        self.callback: Any = ctypes.cast(library.strlen, native.ggml_abort_callback)
        self._text = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)

    def begin(self, requests: Collection[int], yields: bool = False) -> bool:
        self._text[0] = b"\0"  # before the step is known, so that no abort that is meant for it is wiped out
        return super().begin(requests, yields)

    def stop(self) -> None:
        self._text[0] = b"\1"
