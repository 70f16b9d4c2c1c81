"""Layers are fitted into the free memory of each device by llama.cpp's rule; what does not fit stays on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ModelError, OutOfMemoryError
from workbench.models.device_share import Device
from workbench.models.layer_sizes import LayerSizes, read_layer_sizes
from workbench.models.model_info import inspect_gguf
from workbench.models.offload_fit import (
    BatchShape,
    LayerPlacement,
    check_host,
    computes_on_cpu,
    divide,
    estimate_compute,
    fit_layers,
    has_room,
    step_back,
)
from workbench.offload import Offload

MIB = 2**20
DENSE = LayerSizes((100 * MIB,) * 10, (0,) * 10, (1024,) * 10, 50 * MIB, 60 * MIB, 512, 2048, 8, 32_000)
MOE = DENSE._replace(dense=(20 * MIB,) * 10, experts=(80 * MIB,) * 10)
SHAPE = BatchShape(10_240, 576, 80)


def gpu(mib: int, name: str = "CUDA0") -> Device:
    return Device(name, "A card", "CUDA", mib * MIB, 2 * mib * MIB)


def fit(sizes: LayerSizes, *devices: Device, **options: object) -> LayerPlacement:
    return fit_layers(sizes, SHAPE, Offload(**options), devices)  # type: ignore[arg-type]


def test_everything_goes_on_a_device_with_room() -> None:
    placement = fit(DENSE, gpu(4000))
    assert placement.gpu_layers == DENSE.layer_count == 11
    assert placement.split == (11,)
    assert placement.shares[0].weights_bytes == 1060 * MIB
    assert placement.shares[0].kv_bytes == 10 * 1024 * 10_240
    assert placement.host.layers == 0
    assert placement.host.weights_bytes == 50 * MIB  # the token embedding


def test_as_many_of_the_last_layers_as_fit_are_offloaded() -> None:
    placement = fit(DENSE, gpu(700))
    assert placement.fits
    assert 0 < placement.gpu_layers < 11
    more = fit(DENSE, gpu(700), gpu_layers=placement.gpu_layers + 1)
    assert not more.fits
    assert placement.host.layers == 11 - placement.gpu_layers


def test_a_larger_context_leaves_room_for_fewer_layers() -> None:
    small, large = (fit_layers(DENSE, SHAPE._replace(kv_tokens=kv), Offload(), [gpu(700)]) for kv in (1024, 65_536))
    assert small.gpu_layers > large.gpu_layers


def test_a_smaller_kv_type_leaves_room_for_more_layers() -> None:
    work = SHAPE._replace(kv_tokens=40_960)
    plain, packed = (fit_layers(DENSE, work, Offload(kv_type=kind), [gpu(900)]) for kind in ("f16", "q4_0"))
    assert packed.gpu_layers > plain.gpu_layers


def test_a_kv_cache_in_ram_is_none_on_the_device() -> None:
    placement = fit(DENSE, gpu(4000), offload_kv=False)
    assert placement.shares[0].kv_bytes == 0
    assert placement.host.kv_bytes == 10 * 1024 * 10_240


def test_nothing_fits_on_a_full_device() -> None:
    placement = fit(DENSE, gpu(20))
    assert placement.gpu_layers == 0
    assert placement.host.weights_bytes == 1110 * MIB


def test_layers_are_spread_over_devices_by_their_free_memory() -> None:
    placement = fit(DENSE, gpu(3000), gpu(1500, "CUDA1"))
    assert placement.gpu_layers == 11
    assert placement.split[0] > placement.split[1] > 0


def test_experts_of_the_first_layers_stay_on_the_cpu_before_whole_layers_do() -> None:
    placement = fit(MOE, gpu(800))
    assert placement.gpu_layers == 11
    assert 0 < placement.cpu_moe < 10
    assert not fit(MOE, gpu(800), gpu_layers="all", cpu_moe=placement.cpu_moe - 1).fits
    assert placement.host.weights_bytes == 50 * MIB + placement.cpu_moe * 80 * MIB
    assert "the experts of" in placement.describe(MOE)


def test_where_experts_on_the_cpu_are_not_enough_layers_follow() -> None:
    placement = fit(MOE, gpu(250))
    assert placement.cpu_moe == 10
    assert 0 < placement.gpu_layers < 11


def test_a_step_back_is_smaller_until_nothing_is_offloaded() -> None:
    for sizes in (DENSE, MOE):
        placement: LayerPlacement | None = fit(sizes, gpu(4000))
        seen = []
        while placement is not None and len(seen) < 100:
            seen.append((placement.gpu_layers, -placement.cpu_moe))
            placement = step_back(placement, sizes, SHAPE, Offload(), [gpu(4000)])
        assert seen[-1][0] == 0
        assert len(set(seen)) == len(seen)


def test_what_was_asked_for_is_not_made_smaller() -> None:
    assert fit(DENSE, gpu(100), gpu_layers="all").gpu_layers == 11
    assert fit(DENSE, gpu(100), gpu_layers=4).gpu_layers == 4
    assert fit(DENSE, gpu(4000), gpu(4000, "CUDA1"), main_gpu=1).split == (0, 11)
    assert fit(DENSE, gpu(4000), gpu(4000, "CUDA1"), tensor_split=(3.0, 1.0), gpu_layers=8).split == (6, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"main_gpu": 2}, "main_gpu: expected a number below 1, found 2"),
        ({"tensor_split": (1.0, 1.0)}, "a part for each of 1 device, found 2"),
    ],
)
def test_a_device_that_is_not_there_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        fit(DENSE, gpu(4000), **options)


def test_layers_on_a_gpu_where_there_is_none_are_refused() -> None:
    with pytest.raises(ModelError, match="gpu_layers asks for all layers on a GPU, and"):
        fit(DENSE, gpu_layers="all")
    assert fit(DENSE).gpu_layers == 0
    assert fit(DENSE, gpu_layers="none").gpu_layers == 0


def test_what_stays_in_ram_must_fit_there() -> None:
    placement = fit(DENSE, gpu(700))
    check_host(placement, 2000 * MIB)
    with pytest.raises(ModelError, match="too big for the free memory"):
        check_host(placement, 100 * MIB)
    assert issubclass(OutOfMemoryError, ModelError)


@given(st.integers(1, 200), st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any))
def test_layers_are_divided_as_llama_cpp_divides_them(layers: int, parts: list[int]) -> None:
    """load_tensors in llama-model.cpp: the first end above a layer's part, with 32-bit numbers."""
    counts = divide(layers, [float(part) for part in parts])
    assert sum(counts) == layers
    exact = divide(layers, [float(count) for count in counts])
    ends = np.array(list(accumulate(np.float32(count) for count in counts)), np.float32)
    ends /= ends[-1]
    owners = [
        int(np.searchsorted(ends, np.float32(layer) / np.float32(layers), side="right")) for layer in range(layers)
    ]
    assert exact == counts == [owners.count(index) for index in range(len(counts))]


def test_sizes_of_a_file_add_up_to_its_weights(tiny_gguf: Callable[..., Path]) -> None:
    for options in ({}, {"experts": 4}, {"architecture": "gemma2"}):
        path = tiny_gguf(**options)
        sizes, info = read_layer_sizes(path), inspect_gguf(path)
        tied = sizes.input if options.get("architecture") == "gemma2" else 0
        assert sum(sizes.dense) + sum(sizes.experts) + sizes.input + sizes.output - tied == 4 * info.parameters
        assert sum(sizes.kv) == info.kv_bytes_per_token
        assert sizes.is_moe == bool(options.get("experts"))


def test_without_flash_attention_the_buffer_grows_with_the_context() -> None:
    plain = estimate_compute(DENSE, SHAPE, Offload())
    assert estimate_compute(DENSE, SHAPE, Offload(flash_attention="off")) > plain
    assert estimate_compute(DENSE, SHAPE._replace(kv_tokens=1), Offload()) < plain


@pytest.mark.parametrize(
    ("sizes", "options", "on_cpu"),
    [
        (DENSE, {}, False),
        (DENSE, {"gpu_layers": "none"}, True),
        (DENSE, {"gpu_layers": 10}, True),
        (DENSE, {"offload_kv": False}, True),
        (DENSE, {"cpu_moe": 3}, False),
        (MOE, {}, False),
        (MOE, {"cpu_moe": 3}, True),
    ],
)
def test_the_cpu_computes_what_is_in_ram(sizes: LayerSizes, options: dict[str, object], on_cpu: bool) -> None:
    placement = fit(sizes, gpu(4000), **options)
    assert computes_on_cpu(placement, sizes, Offload(**options)) is on_cpu  # type: ignore[arg-type]


def test_a_larger_batch_fits_where_its_buffers_do() -> None:
    larger = SHAPE._replace(batch=2080)
    more = estimate_compute(DENSE, larger, Offload()) - estimate_compute(DENSE, SHAPE, Offload())
    roomy, other = fit(DENSE, gpu(4000)), fit(DENSE, gpu(4000), gpu(4000, "CUDA1"), main_gpu=0)
    assert has_room(roomy, DENSE, SHAPE, larger, Offload())
    needed = roomy.shares[0].bytes + more
    for free, fits in ((needed * 16 // 15 + 16, True), (needed * 16 // 15 - MIB, False)):
        device = Device("CUDA0", "A card", "CUDA", free, 8000 * MIB)
        tight = roomy._replace(shares=(msgspec.structs.replace(roomy.shares[0], device=device),))
        assert has_room(tight, DENSE, SHAPE, larger, Offload()) is fits
        assert has_room(tight, DENSE, SHAPE, SHAPE, Offload())
    idle = msgspec.structs.replace(other.shares[1], device=Device("CUDA1"))
    assert has_room(other._replace(shares=(other.shares[0], idle)), DENSE, SHAPE, larger, Offload())
