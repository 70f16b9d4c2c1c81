from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from workbench.evaluation.datasets.native.process import Hold


@pytest.fixture(scope="module", autouse=True)
def keep_reading_process() -> Iterator[Hold]:
    """One reading process for all examples of a property test, not one for each."""
    hold = Hold()
    yield hold
    del hold
    gc.collect()  # and with the last dataset the process ends
