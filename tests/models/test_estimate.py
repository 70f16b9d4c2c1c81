from __future__ import annotations

import pytest

from workbench.errors import ModelError
from workbench.models.adapter import AdapterInfo
from workbench.models.estimate import estimate_memory
from workbench.models.reference import ModelInfo

MIB = 2**20
INFO = ModelInfo("llama", "F16", 1, 100 * MIB, 1000, 1, True, cell_bytes=1024)
ADAPTER = AdapterInfo("LORA", "gguf", "llama", "", (8,), 8, (1.0,), ("q_proj",), MIB, 2 * MIB, True)


def test_each_set_of_adapters_has_a_cache_and_each_adapter_counts_once():
    found = estimate_memory(INFO, 10 * 1024, [ADAPTER, ADAPTER], sets=3, free_bytes=148 * MIB)
    assert (found.weights, found.caches, found.adapters) == (100 * MIB, 40 * MIB, 8 * MIB)
    assert found.fits
    found.check()


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(ModelError, match="100 MiB for weights, 20 MiB for caches and 4 MiB for adapters make 124 MiB"):
        estimate_memory(INFO, 10 * 1024, [ADAPTER], sets=1, free_bytes=123 * MIB).check()


def test_what_is_free_is_asked_of_the_system():
    assert estimate_memory(INFO, 1024).free > 0
