"""How fast this machine's memory is, which bounds how fast a model writes: each token reads all weights."""

from __future__ import annotations

import functools
import time

import numpy as np

_PROBE_BYTES = 128 * 2**20
"""More than the processor keeps for itself."""


@functools.cache
def memory_bandwidth() -> float:
    """Bytes a second that can be read; measured once, in a few hundredths of a second."""
    numbers = np.ones(_PROBE_BYTES // 4, dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        np.dot(numbers, numbers)
        best = min(best, time.perf_counter() - started)
    return _PROBE_BYTES / best


def bandwidth_share(weights_bytes: int, step_seconds: float) -> float | None:
    """The part of it that a step needs to read the weights once; None for weights that may lie in the processor."""
    if weights_bytes < _PROBE_BYTES or step_seconds <= 0:
        return None
    return weights_bytes / step_seconds / memory_bandwidth()
