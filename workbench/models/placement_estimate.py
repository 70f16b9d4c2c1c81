"""Memory that a model will take on each device and in RAM before it is loaded, by the rule of `auto`'s fit."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
import psutil

from workbench.errors import ModelError
from workbench.models.adapter_info import AdapterInfo, inspect_adapter
from workbench.models.context_shape import choose_kv_tokens, expect_work
from workbench.models.device_share import Device, DeviceShare, limit_to_ram, select_devices
from workbench.models.layer_sizes import read_layer_sizes
from workbench.models.memory_estimate import PROCESS_BYTES, MemoryEstimate, estimate_memory, expect_in_memory
from workbench.models.offload_fit import assign_layers, fit_layers
from workbench.models.reference import Adapter, Model


def estimate_pane(
    model: Model,
    adapters: Sequence[Adapter],
    context_tokens: int,
    free_bytes: int | None = None,
    devices: Sequence[Device] = (),
) -> MemoryEstimate:
    """The memory of a model that is not loaded yet, with a pane's adapters.

    Adapters that cannot be read count for nothing; what is wrong with them is told elsewhere. Raises ModelError for a
    model that cannot be read, or cannot be on these devices as its options ask.
    """
    known = []
    for adapter in {adapter.path: adapter for adapter in adapters}.values():
        with contextlib.suppress(ModelError):
            known.append(inspect_adapter(adapter))
    return estimate_model(model, known, int(bool(known)), context_tokens, free_bytes, devices)


def estimate_model(
    model: Model,
    adapters: Sequence[AdapterInfo],
    sets: int,
    context_tokens: int,
    free_bytes: int | None = None,
    devices: Sequence[Device] = (),
) -> MemoryEstimate:
    """The memory of a model with adapters in so many sets, each of which takes a context. Raises ModelError.

    free_bytes: of RAM; None asks the system. devices: all that llama.cpp finds, with what is free on each.
    """
    free = psutil.virtual_memory().available if free_bytes is None else free_bytes
    wanted = model.offload.gpu_layers
    usable = limit_to_ram(select_devices(devices), free) if model.format == "gguf" and wanted not in ("none", 0) else ()
    if not usable:
        info = expect_in_memory(model)
        return estimate_memory(info, context_tokens, adapters, sets, free, model.format)
    return _estimate_on(model, adapters, sets, context_tokens, free, usable)


def _estimate_on(
    model: Model,
    adapters: Sequence[AdapterInfo],
    sets: int,
    context_tokens: int,
    free: int,
    devices: Sequence[Device],
) -> MemoryEstimate:
    """The layers are fitted for the bare model, as its load does it; contexts of adapters come on top."""
    info, sizes, offload = expect_in_memory(model), read_layer_sizes(model.path), model.offload
    work = expect_work(info, choose_kv_tokens(model, info, context_tokens, devices, free))
    fitted = fit_layers(sizes, work, offload, devices)
    kv_tokens = work.kv_tokens + context_tokens * sets
    caches = assign_layers(sizes, work._replace(kv_tokens=kv_tokens), offload, devices, fitted.split, fitted.cpu_moe)
    contexts, adapter_bytes = 1 + sets, sum(adapter.parameters * 4 for adapter in adapters)

    def with_contexts(share: DeviceShare, all_caches: DeviceShare) -> DeviceShare:
        return msgspec.structs.replace(
            share,
            kv_bytes=all_caches.kv_bytes,
            compute_bytes=share.compute_bytes * contexts,
            adapters_bytes=adapter_bytes * share.layers // sizes.layer_count,  # each matrix is where its layer is
        )

    shares = tuple(map(with_contexts, fitted.shares, caches.shares))
    host = with_contexts(fitted.host, caches.host)
    return MemoryEstimate(
        host.weights_bytes,
        host.kv_bytes,
        host.adapters_bytes,
        free,
        PROCESS_BYTES["gguf"] + host.compute_bytes,
        shares,
        host.layers,
        fitted.cpu_moe if sizes.is_moe else 0,
    )
