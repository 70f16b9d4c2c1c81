"""Interrupts that native code hears of: it asks a function of the C library, not of Python, whether to go on.

That is the length of a text which is empty until the computation is to be left. So it waits for no lock, and stops
within a part of a step. Knows nothing of what is computed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from typing import Any

from workbench.engines.interrupts import Interrupts
from workbench.engines.llamacpp.native import native


class NativeInterrupts(Interrupts):
    """callback, data: for native code."""

    def __init__(self) -> None:
        super().__init__()
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
        self.callback: Any = ctypes.cast(library.strlen, native.ggml_abort_callback)
        self._text = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)

    def begin(self, requests: Collection[int], yields: bool = False) -> bool:
        self._text[0] = b"\0"  # before anything can be called off that is about to begin
        return super().begin(requests, yields)

    def stop(self) -> None:
        self._text[0] = b"\1"
