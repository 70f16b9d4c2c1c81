from __future__ import annotations

import pytest

from workbench.errors import ModelError
from workbench.models.adapter_info import AdapterInfo
from workbench.models.memory_estimate import CACHE_BYTES, PROCESS_BYTES, SHARED_CONTEXTS, estimate_memory
from workbench.models.placement_estimate import estimate_pane
from workbench.models.reference import Model, ModelInfo

MIB = 2**20
INFO = ModelInfo("llama", "F16", 1, 100 * MIB, 1000, 1, True, kv_bytes_per_token=1024)
ADAPTER = AdapterInfo("LORA", "gguf", "llama", "", (8,), 8, (1.0,), ("q_proj",), MIB, 2 * MIB, True)


def test_the_bare_model_has_several_contexts_each_set_one_and_each_adapter_counts_once():
    found = estimate_memory(INFO, 10 * 1024, [ADAPTER, ADAPTER], sets=3, free_bytes=9000 * MIB)
    assert (found.weights, found.caches, found.adapters) == (100 * MIB, (SHARED_CONTEXTS + 3) * 10 * MIB, 8 * MIB)
    assert found.overhead > PROCESS_BYTES["gguf"]
    assert found.total == found.weights + found.caches + found.adapters + found.overhead
    assert found.fits
    found.check()


def test_a_cache_takes_no_more_than_it_may_and_never_less_than_one_context():
    large = ModelInfo("llama", "F16", 1, 100 * MIB, 1000, 1, True, kv_bytes_per_token=MIB)
    assert estimate_memory(large, 512, free_bytes=90_000 * MIB).caches == CACHE_BYTES
    assert estimate_memory(large, 4096, free_bytes=90_000 * MIB).caches == 4096 * MIB


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(ModelError, match=r"100 MiB for weights, 20\.0 MiB for caches, 4\.0 MiB for adapters and"):
        estimate_memory(INFO, 10 * 1024, [ADAPTER], sets=1, free_bytes=123 * MIB).check()


def test_what_is_free_is_asked_of_the_system():
    assert estimate_memory(INFO, 1024).free > 0


def test_what_is_expected_is_what_the_process_has_once_it_is_loaded(desk_gguf):
    from workbench.inference.pool import Pool

    model = Model("desk", desk_gguf)
    pool = Pool()
    try:
        pool.load(model).result()
        there = next(iter(pool.loaded_models())).memory_bytes
    finally:
        pool.close()
    assert abs(estimate_pane(model, (), 1024).total / there - 1) < 0.15
