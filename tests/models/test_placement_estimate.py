"""Memory on each device before a model is loaded, on pretended devices, by the rule of `auto`'s fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from workbench.errors import ModelError
from workbench.inference.sizes import context_size
from workbench.models.adapter_info import AdapterInfo
from workbench.models.context_shape import choose_kv_tokens, expect_work
from workbench.models.device_share import Device, DeviceKind, limit_to_ram, select_devices
from workbench.models.layer_sizes import read_layer_sizes
from workbench.models.memory_estimate import MemoryEstimate, expect_in_memory
from workbench.models.offload_fit import fit_layers
from workbench.models.placement_estimate import estimate_model
from workbench.models.reference import Model
from workbench.offload import Offload

MIB = 2**20
RAM = 4096 * MIB
ADAPTER = AdapterInfo("LORA", "gguf", "llama", "", (8,), 8, (1.0,), ("q_proj",), MIB, 2 * MIB, True)


def device(name: str, mib: float, backend: str = "CUDA", kind: DeviceKind = "gpu", text: str = "A card") -> Device:
    return Device(name, text, backend, int(mib * MIB), int(2 * mib * MIB), kind)


TWO_CARDS = (device("CUDA0", 2000), device("CUDA1", 1000))
SLICE = (device("CUDA0", 1000, text="NVIDIA H100 80GB HBM3 MIG 1g.10gb"),)
SMALL = (device("CUDA0", 48),)
UNIFIED = (device("MTL0", 3000, "Metal", text="Apple M4"),)
CPU = device("CPU", 4096, "CPU", "cpu")


def estimate(model: Model, *devices: Device, sets: int = 0, ram: int = RAM, **options: object) -> MemoryEstimate:
    placed = msgspec.structs.replace(model, offload=Offload(**options))  # type: ignore[arg-type]
    return estimate_model(placed, [ADAPTER] * bool(sets), sets, 1024, ram, (CPU, *devices))


@pytest.fixture
def desk(desk_gguf: Path) -> Model:
    return Model("desk", desk_gguf)


def test_every_layer_goes_on_a_card_with_room_and_ram_keeps_the_embedding(desk: Model) -> None:
    alone, on_card = estimate(desk), estimate(desk, *SLICE)
    sizes = read_layer_sizes(desk.path)
    (share,) = on_card.shares
    assert alone.shares == ()
    assert (share.layers, on_card.layers) == (sizes.layer_count, 0)
    assert share.weights_bytes == sum(sizes.dense) + sizes.output
    assert on_card.weights == sizes.input
    assert on_card.caches == 0
    assert share.kv_bytes > 0
    assert on_card.fits
    assert on_card.everywhere == on_card.total + share.bytes


def test_two_cards_have_it_by_their_free_memory(desk: Model) -> None:
    first, second = estimate(desk, *TWO_CARDS).shares
    assert first.layers > second.layers > 0
    halves = estimate(desk, *TWO_CARDS, tensor_split=(1.0, 4.0)).shares
    assert halves[0].layers < halves[1].layers
    only = estimate(desk, *TWO_CARDS, main_gpu=1).shares
    assert [share.layers for share in only] == [0, read_layer_sizes(desk.path).layer_count]


def test_what_a_small_card_has_no_room_for_stays_in_ram(desk: Model) -> None:
    found = estimate(desk, *SMALL)
    (share,) = found.shares
    assert 0 < share.layers < read_layer_sizes(desk.path).layer_count == share.layers + found.layers
    assert found.fits
    assert found.weights > estimate(desk, *SLICE).weights
    forced = estimate(desk, device("CUDA0", 1), gpu_layers="all")
    assert not forced.fits
    with pytest.raises(ModelError, match="Not enough free memory on CUDA0: 5 layers take"):
        forced.check()


@pytest.mark.parametrize("devices", [TWO_CARDS, SMALL, SLICE])
def test_it_is_what_the_load_will_try_first(desk: Model, devices: tuple[Device, ...]) -> None:
    info = expect_in_memory(desk)
    tokens = context_size(desk, info, 1024)
    work = expect_work(info, choose_kv_tokens(desk, info, tokens, devices, RAM))
    fitted = fit_layers(read_layer_sizes(desk.path), work, desk.offload, devices)
    assert estimate(desk, *devices).shares == fitted.shares


def test_memory_of_a_device_that_computes_in_ram_is_counted_once_and_in_ram(desk: Model) -> None:
    found = estimate(desk, *UNIFIED)
    (share,) = found.shares
    assert found.unified == share.bytes
    assert found.total == found.everywhere == share.bytes + found.weights + found.overhead
    short = estimate(desk, *UNIFIED, ram=found.total - MIB, gpu_layers="all")
    assert not short.fits_ram
    assert limit_to_ram(UNIFIED, 100 * MIB)[0].free_bytes == 100 * MIB
    assert limit_to_ram(SLICE, 100 * MIB) == SLICE


def test_adapters_lie_with_their_layers_and_each_set_takes_a_context(desk: Model) -> None:
    bare, adapted = estimate(desk, *TWO_CARDS), estimate(desk, *TWO_CARDS, sets=2)
    assert [share.layers for share in bare.shares] == [share.layers for share in adapted.shares]
    for before, after in zip(bare.shares, adapted.shares, strict=True):
        assert after.kv_bytes > before.kv_bytes or before.layers == 1, "the output has no cache"
        assert after.compute_bytes == 3 * before.compute_bytes
    spread = sum(share.adapters_bytes for share in adapted.shares) + adapted.adapters
    assert ADAPTER.parameters * 4 - len(adapted.shares) <= spread <= ADAPTER.parameters * 4


def test_experts_of_a_mixture_stay_in_ram_before_whole_layers_do(tiny_gguf: Callable[..., Path]) -> None:
    model = Model("moe", tiny_gguf("moe", experts=8))
    whole, kept = (estimate(model, *SLICE, cpu_moe=count) for count in (0, 2))
    assert (whole.expert_layers, kept.expert_layers) == (0, 2)
    assert kept.weights - whole.weights == whole.shares[0].weights_bytes - kept.shares[0].weights_bytes > 0


def test_options_that_keep_it_off_devices_leave_it_in_ram(desk: Model) -> None:
    assert estimate(desk, *TWO_CARDS, gpu_layers="none") == estimate(desk)
    in_ram = estimate(desk, *SLICE, offload_kv=False)
    assert in_ram.caches > 0 == in_ram.shares[0].kv_bytes
    half = estimate(desk, *SLICE, kv_type="q8_0").shares[0]
    assert half.kv_bytes < 0.6 * estimate(desk, *SLICE).shares[0].kv_bytes


def test_servers_come_first_and_integrated_cards_only_where_there_is_no_other() -> None:
    server, integrated = device("RPC0", 10, "RPC", text="10.0.0.2:1"), device("IGPU", 10, "Vulkan", "integrated gpu")
    assert select_devices([CPU, integrated, SLICE[0], server]) == (server, SLICE[0])
    assert select_devices([CPU, integrated, server]) == (server, integrated)
    assert select_devices([CPU]) == ()


def test_a_device_that_is_not_there_is_named(desk: Model) -> None:
    with pytest.raises(ModelError, match="main_gpu: expected a number below 2, found 5"):
        estimate(desk, *TWO_CARDS, main_gpu=5)
