"""The clock of remote requests: what waits, and what time it is, so that a test can have a clock of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class RequestClock(NamedTuple):
    """sleep: waits so many seconds. monotonic: seconds, for durations. now: seconds since the epoch, for dates.
    jitter: a factor from 0.5 to 1 by which a pause between tries is shortened."""

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0)


CLOCK = RequestClock()
