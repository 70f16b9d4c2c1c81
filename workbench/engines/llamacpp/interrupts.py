"""Calling off a request while native code is at work on it.

The native code asks a function of the C library, not of Python, whether to go on: the length of a text that is empty
until someone calls off. So it waits for no lock, and stops within a part of a step. Knows nothing of what is computed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from typing import Any

from workbench.engines.llamacpp.native import native


class Interrupts:
    """callback, data: for native code. `call_off` may come from any thread; the rest from the one that computes."""

    def __init__(self) -> None:
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
        self.callback: Any = ctypes.cast(library.strlen, native.ggml_abort_callback)
        self._text = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)
        self._called: set[int] = set()
        self._at_work: frozenset[int] = frozenset()

    def call_off(self, request: int) -> None:
        """Stop the computation that a request is part of. Its cancel has to follow."""
        self._called.add(request)
        if request in self._at_work:
            self._text[0] = b"\1"

    def begin(self, requests: Collection[int]) -> bool:
        """A computation for these requests is about to begin; False where one of them is called off already."""
        self._text[0] = b"\0"
        self._at_work = frozenset(requests)  # from here on a call raises the flag; one that came before is seen below
        return self._called.isdisjoint(requests)

    def end(self) -> None:
        self._at_work = frozenset()

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._called.discard(request)
