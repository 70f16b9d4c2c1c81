"""Calling off a request while native code is at work on it, and making way for what someone waits for.

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
    """callback, data: for native code.

    `call_off` and `make_way` may come from any thread; the rest from the one that computes.
    """

    def __init__(self) -> None:
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
        self.callback: Any = ctypes.cast(library.strlen, native.ggml_abort_callback)
        self._text = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)
        self._called: set[int] = set()
        self._at_work: frozenset[int] = frozenset()
        self._expected: set[int] = set()
        self._yields = False

    def call_off(self, request: int) -> None:
        """Stop the computation that a request is part of. Its cancel has to follow."""
        self._called.add(request)
        if request in self._at_work:
            self._text[0] = b"\1"

    def make_way(self, sign: int) -> None:
        """Stop computations that yield, until the same sign says to go on."""
        self._expected.add(sign)
        if self._yields:
            self._text[0] = b"\1"

    def begin(self, requests: Collection[int], yields: bool = False) -> bool:
        """A computation for these requests is about to begin; False where it would be stopped at once.

        yields: it makes way for what someone waits for.
        """
        self._text[0] = b"\0"
        self._at_work = frozenset(requests)  # from here on a call raises the flag; one that came before is seen below
        self._yields = yields
        return self._called.isdisjoint(requests) and not (yields and self._expected)

    def end(self) -> None:
        self._at_work = frozenset()
        self._yields = False

    def go_on(self, sign: int) -> None:
        """What way was made for is here."""
        self._expected.discard(sign)

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._called.discard(request)
