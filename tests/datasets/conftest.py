from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from workbench.datasets.native.worker import KeepAlive


@pytest.fixture(scope="module", autouse=True)
def keep_reading_process() -> Iterator[KeepAlive]:
    """One reading process for all examples of a property test, not one for each."""
    hold = KeepAlive()
    yield hold
    del hold
    gc.collect()  # and with the last dataset the process ends
