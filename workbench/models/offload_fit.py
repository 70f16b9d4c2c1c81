"""Which layers of a GGUF model go on which device: weights, KV cache and compute buffer fit into its free memory.

The rule is llama.cpp's: the last layers are offloaded, in the order of the devices, and the output counts as one. Of a
model with experts, those of the first layers stay on the CPU before whole layers do (--n-cpu-moe).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.models.device_share import Device, DeviceShare
from workbench.models.layer_sizes import LayerSizes
from workbench.offload import KV_BYTES, GpuLayers, Offload
from workbench.units import format_bytes, format_plural

_MARGIN, _MARGIN_PART = 512 * 2**20, 16
"""Free memory that stays free on a device: so many bytes, or this part of it where that is less."""


class BatchShape(NamedTuple):
    """What a context computes at once. kv_tokens: of its KV cache. batch: tokens of a step. outputs: of them with
    logits."""

    kv_tokens: int
    batch: int
    outputs: int


class LayerPlacement(NamedTuple):
    """Layers of each device, the first of them first. cpu_moe: first layers whose experts stay on the CPU.

    shares: of each device. host: what stays in RAM.
    """

    gpu_layers: int
    split: tuple[int, ...]
    cpu_moe: int
    shares: tuple[DeviceShare, ...]
    host: DeviceShare

    @property
    def fits(self) -> bool:
        """Whether each device has room for its share and its margin."""
        return all(not share.layers or share.bytes <= _budget(share.device) for share in self.shares)

    def describe(self, sizes: LayerSizes) -> str:
        """In a few words, such as `20 of 25 layers on GPUs, the experts of 3 layers on the CPU`."""
        moe = f", the experts of {self.cpu_moe} layers on the CPU" if self.cpu_moe and sizes.is_moe else ""
        return f"{self.gpu_layers} of {sizes.layer_count} layers offloaded{moe}"


def fit_layers(sizes: LayerSizes, work: BatchShape, offload: Offload, devices: Sequence[Device]) -> LayerPlacement:
    """The placement that the options ask for, or the largest that fits. Raises ModelError for what cannot be done."""
    if not devices or offload.gpu_layers in ("none", 0):
        _check_devices(offload, devices)
        return assign_layers(sizes, work, offload, devices, [0] * len(devices), 0)
    moe = _find_moe_choices(sizes, offload)
    wanted = sizes.layer_count if isinstance(offload.gpu_layers, str) else min(offload.gpu_layers, sizes.layer_count)
    if offload.gpu_layers != "auto":
        found = (_spread(sizes, work, offload, devices, wanted, experts) for experts in moe)
        return next((one for one in found if one.fits), _spread(sizes, work, offload, devices, wanted, moe[-1]))
    candidates = itertools.chain(
        ((wanted, experts) for experts in moe), ((layers, moe[-1]) for layers in range(wanted - 1, 0, -1))
    )
    for layers, experts in candidates:
        placement = _spread(sizes, work, offload, devices, layers, experts)
        if placement.fits:
            return placement
    return assign_layers(sizes, work, offload, devices, [0] * len(devices), 0)


def step_back(
    placement: LayerPlacement, sizes: LayerSizes, work: BatchShape, offload: Offload, devices: Sequence[Device]
) -> LayerPlacement | None:
    """The next smaller placement to try after one that did not fit in fact; None where nothing is offloaded."""
    if not placement.gpu_layers:
        return None
    less = max(1, sizes.layer_count // 10)
    if sizes.is_moe and offload.cpu_moe == "auto" and placement.cpu_moe < len(sizes.dense):
        experts = min(len(sizes.dense), placement.cpu_moe + less)
        return _spread(sizes, work, offload, devices, placement.gpu_layers, experts)
    return _spread(sizes, work, offload, devices, max(0, placement.gpu_layers - less), placement.cpu_moe)


def computes_on_cpu(placement: LayerPlacement, sizes: LayerSizes, offload: Offload) -> bool:
    """Whether the CPU computes any of the model: whole layers, attention over a KV cache that is in RAM, or experts."""
    experts = bool(placement.cpu_moe and any(sizes.experts[: placement.cpu_moe]))
    return placement.gpu_layers < sizes.layer_count or not offload.offload_kv or experts


def has_room(
    placement: LayerPlacement, sizes: LayerSizes, work: BatchShape, larger: BatchShape, offload: Offload
) -> bool:
    """Whether each device that has layers has room for the buffers of a larger batch too, by estimate."""
    more = estimate_compute(sizes, larger, offload) - estimate_compute(sizes, work, offload)
    return all(not share.layers or share.bytes + more <= _budget(share.device) for share in placement.shares)


def check_host(placement: LayerPlacement, free_bytes: int) -> None:
    """Raise ModelError, with the numbers, where what takes RAM does not fit there."""
    host = placement.host
    unified = sum(share.bytes for share in placement.shares if share.device.shares_ram)
    if host.weights_bytes + host.kv_bytes + unified > free_bytes:
        beside = f"beside {placement.gpu_layers} layers on devices it needs"
        if unified:
            beside = f"{placement.gpu_layers} layers on a device that computes in RAM need {format_bytes(unified)},"
            beside += " and it needs"
        raise ModelError(
            f"The model is too big for the free memory: {beside}"
            f" {format_bytes(host.weights_bytes)} of RAM for weights and {format_bytes(host.kv_bytes)} for the KV"
            f" cache, and {format_bytes(free_bytes)} are free.",
            "Choose a smaller quantisation or a smaller context, or unload another model.",
        )


def _check_devices(offload: Offload, devices: Sequence[Device]) -> None:
    """Raise ModelError where layers are to be on a GPU and there is none: they would be on the CPU in silence."""
    wanted = offload.gpu_layers
    if not devices and wanted not in ("auto", "none", 0):
        raise ModelError(describe_missing(wanted), "Run `workbench doctor`, which says why, or write gpu_layers: auto.")


def describe_missing(wanted: GpuLayers) -> str:
    """That layers are to be on a GPU and there is none."""
    number = "all layers" if wanted == "all" else wanted
    return f"gpu_layers asks for {number} on a GPU, and llama.cpp finds none here."


def _find_moe_choices(sizes: LayerSizes, offload: Offload) -> list[int]:
    """Numbers of layers whose experts stay on the CPU, the best first."""
    if offload.cpu_moe != "auto":
        return [min(offload.cpu_moe, len(sizes.dense))]
    return list(range(len(sizes.dense) + 1)) if sizes.is_moe else [0]


def _spread(
    sizes: LayerSizes, work: BatchShape, offload: Offload, devices: Sequence[Device], layers: int, experts: int
) -> LayerPlacement:
    """So many layers over the devices: as tensor_split says, else by their free memory, else one device after the
    other, where that alone fits."""
    if offload.main_gpu is not None:
        if offload.main_gpu >= len(devices):
            raise ModelError(
                f"main_gpu: expected a number below {len(devices)}, found {offload.main_gpu}.",
                f"The devices are: {', '.join(f'{index} {one.name}' for index, one in enumerate(devices))}.",
            )
        counts = [layers if index == offload.main_gpu else 0 for index in range(len(devices))]
        return assign_layers(sizes, work, offload, devices, counts, experts)
    if len(offload.tensor_split) > len(devices):
        raise ModelError(
            f"tensor_split: expected a part for each of {format_plural(len(devices), 'device')},"
            f" found {len(offload.tensor_split)}.",
            f"The devices are: {', '.join(one.name for one in devices)}.",
        )
    parts = [*offload.tensor_split, *([0.0] * (len(devices) - len(offload.tensor_split)))]
    even = divide(layers, parts if offload.tensor_split else [float(max(1, _budget(one))) for one in devices])
    placement = assign_layers(sizes, work, offload, devices, even, experts)
    if placement.fits or offload.tensor_split:
        return placement
    filled = assign_layers(
        sizes, work, offload, devices, _fill(sizes, work, offload, devices, layers, experts), experts
    )
    return filled if filled.fits else placement


def divide(layers: int, parts: Sequence[float]) -> list[int]:
    """How many layers each device gets, as llama.cpp divides them by `tensor_split`."""
    ends = list(itertools.accumulate(parts))
    edges = [0, *(sum(index / layers < end / ends[-1] for index in range(layers)) for end in ends)] if layers else []
    return [end - start for start, end in itertools.pairwise(edges)] if layers else [0] * len(parts)


def _fill(
    sizes: LayerSizes, work: BatchShape, offload: Offload, devices: Sequence[Device], layers: int, experts: int
) -> list[int]:
    """Each device as full as its memory allows, in their order; what is left over goes to the last one."""
    costs = _layer_costs(sizes, work, offload, experts)[sizes.layer_count - layers :]
    counts, buffer = [0] * len(devices), estimate_compute(sizes, work, offload)
    index, used = 0, buffer
    for cost in costs:
        while index < len(devices) - 1 and used + cost > _budget(devices[index]):
            index, used = index + 1, buffer
        counts[index] += 1
        used += cost
    return counts


def assign_layers(
    sizes: LayerSizes,
    work: BatchShape,
    offload: Offload,
    devices: Sequence[Device],
    counts: Sequence[int],
    experts: int,
) -> LayerPlacement:
    """What is where with so many layers on each device, whether it fits or not. experts: first layers whose experts
    stay on the CPU."""
    layers = sum(counts)
    start, shares = sizes.layer_count - layers, []
    compute, per_token = estimate_compute(sizes, work, offload), _kv_costs(sizes, offload)
    weights = [*map(sum, zip(sizes.dense, sizes.experts, strict=True)), sizes.output]
    for layer in range(min(experts, len(sizes.dense))):
        weights[layer] -= sizes.experts[layer]
    kv = [int(cost * work.kv_tokens) for cost in per_token]
    placed_kv = 0
    for device, count in zip(devices, counts, strict=True):
        end = start + count
        own_kv = sum(kv[start:end]) if offload.offload_kv else 0
        placed_kv += own_kv
        buffer = compute if count else 0
        shares.append(DeviceShare(device, count, sum(weights[start:end]), own_kv, buffer))
        start = end
    total = sum(sizes.dense) + sum(sizes.experts) + sizes.input + sizes.output
    kept = total - sum(share.weights_bytes for share in shares)
    if layers == 0 and sizes.output > sizes.input:  # a tied head is a copy of the embedding on a device alone
        kept = total
    host = DeviceShare(Device("CPU"), sizes.layer_count - layers, kept, sum(kv) - placed_kv, compute)
    return LayerPlacement(layers, tuple(counts), experts if layers else 0, tuple(shares), host)


def _layer_costs(sizes: LayerSizes, work: BatchShape, offload: Offload, experts: int) -> list[int]:
    """Bytes of each layer on a device, the output last."""
    kv = [int(cost * work.kv_tokens) if offload.offload_kv else 0 for cost in _kv_costs(sizes, offload)]
    costs = [
        dense + (own if layer >= experts else 0) + kv[layer]
        for layer, (dense, own) in enumerate(zip(sizes.dense, sizes.experts, strict=True))
    ]
    return [*costs, sizes.output]


def _kv_costs(sizes: LayerSizes, offload: Offload) -> list[float]:
    factor = KV_BYTES[offload.kv_type] / KV_BYTES["f16"]
    return [layer * factor for layer in sizes.kv]


def estimate_compute(sizes: LayerSizes, work: BatchShape, offload: Offload) -> int:
    """Bytes of a device's compute buffer: the activations of a batch, its mask over the KV cache, and its logits."""
    activations = 4 * work.batch * (8 * sizes.embedding + 3 * sizes.feed_forward)
    scores = sizes.heads * work.kv_tokens * work.batch * 4 if offload.flash_attention == "off" else 0
    mask = 8 * work.batch * work.kv_tokens  # as numbers of 4 and of 2 bytes, and what is left between two tensors
    return activations + mask + scores + 4 * work.outputs * sizes.vocabulary


def _budget(device: Device) -> int:
    return device.free_bytes - min(_MARGIN, device.free_bytes // _MARGIN_PART)
