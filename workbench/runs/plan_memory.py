"""The memory that a queue's model takes, in RAM and on each device, and whether a plan's models fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from workbench.errors import WorkbenchError
from workbench.models.device_share import Device, DeviceShare
from workbench.offload import Offload
from workbench.runs.work_queue import WorkQueue
from workbench.units import format_bytes

FindDevices = Callable[[Offload], Sequence[Device]]


class PlannedMemory(NamedTuple):
    """ram_bytes: 0 where nothing is known. shares: on each device. problem: what keeps the model from loading."""

    ram_bytes: int = 0
    shares: tuple[DeviceShare, ...] = ()
    problem: str = ""


def plan_memory(queue: WorkQueue, find_devices: FindDevices) -> PlannedMemory:
    """What a queue's model takes with its adapters, as far as one can see before it is loaded."""
    from workbench.inference.sizes import context_size
    from workbench.models.adapter_info import inspect_adapter
    from workbench.models.memory_estimate import expect_in_memory
    from workbench.models.model_info import USUAL_CONTEXT_TOKENS
    from workbench.models.placement_estimate import estimate_model

    model = queue.model
    assert model is not None
    if model.format in ("scripted", "remote"):
        return PlannedMemory()
    sets = [planned.provenance.adapters for planned in queue.variants if planned.provenance]
    adapters = {str(one.path): one.applied.adapter for applied in sets for one in applied}
    kinds = {tuple((str(one.path), one.applied.scale) for one in applied) for applied in sets if applied}
    try:
        context = context_size(model, expect_in_memory(model), USUAL_CONTEXT_TOKENS)
        applied = [inspect_adapter(one) for one in adapters.values()]
        devices = find_devices(model.offload) if model.format == "gguf" else ()
        estimate = estimate_model(model, applied, len(kinds), context, devices=devices)
    except WorkbenchError as error:
        return PlannedMemory(problem=error.message)
    return PlannedMemory(estimate.total, tuple(share for share in estimate.shares if share.layers))


def describe_memory(ram_bytes: int, free_bytes: int, shares: Iterable[DeviceShare]) -> Iterator[str]:
    """A line for RAM and one for each device, each with what is free there and whether it fits. shares: of all models,
    which take turns where they do not fit together; the largest on each device counts."""
    if ram_bytes:
        yield _describe_line("memory", ram_bytes, free_bytes)
    largest: dict[str, DeviceShare] = {}
    for share in shares:
        known = largest.get(share.device.key)
        if known is None or share.bytes > known.bytes:
            largest[share.device.key] = share
    for share in largest.values():
        yield _describe_line(f"memory on {share.device.name}", share.bytes, share.device.free_bytes)


def _describe_line(where: str, needed: int, free: int) -> str:
    missing = "" if needed <= free else " - does not fit"
    return f"{where}: about {format_bytes(needed)} of {format_bytes(free)} free{missing}"
