"""What of a loaded checkpoint is on each device, where there are any besides the CPU."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import psutil
import torch

from workbench.models.device_share import Device, DeviceShare


def read_device(device: torch.device) -> Device:
    """A device as llama.cpp would name it, with what is free on it now."""
    if device.type == "cuda":
        index = device.index or 0
        free, total = torch.cuda.mem_get_info(index)
        backend = "ROCm" if torch.version.hip else "CUDA"
        return Device(f"{backend}{index}", torch.cuda.get_device_name(index), backend, int(free), int(total))
    memory = psutil.virtual_memory()
    if device.type == "cpu":
        return Device("CPU", "", "CPU", int(memory.available), int(memory.total), "cpu")
    return Device(device.type.upper(), "", "Metal", int(memory.available), int(memory.total))


def measure_placement(
    module: torch.nn.Module, kv_bytes: int, describe: Callable[[torch.device], Device] = read_device
) -> tuple[DeviceShare, ...]:
    """The share of each device, RAM last; () where all is in RAM. kv_bytes: of the cache, which lies with its layers.

    The free memory is what was there before: what the weights take now is added to it.
    """
    weights: dict[torch.device, int] = {torch.device("cpu"): 0}
    seen: set[int] = set()
    for tensor in (*module.parameters(), *module.buffers()):
        storage = tensor.untyped_storage()
        if tensor.device.type != "meta" and storage.data_ptr() in seen:
            continue  # tied weights
        seen.add(storage.data_ptr())
        weights[tensor.device] = weights.get(tensor.device, 0) + storage.nbytes()
    if len(weights) == 1:
        return ()
    layers = _count_layers(module)
    whole = max(1, sum(layers.values()))
    ram = weights.pop(torch.device("cpu"))
    placed = [*weights.items(), (torch.device("cpu"), ram)]
    shares = []
    for device, size in placed:
        found = describe(device)
        before = msgspec.structs.replace(found, free_bytes=found.free_bytes + size)
        count = layers.get(device, 0)
        shares.append(DeviceShare(before, count, size, kv_bytes * count // whole))
    return tuple(shares)


def _count_layers(module: torch.nn.Module) -> dict[torch.device, int]:
    """The layers of the longest list of modules, by the device of their first weight, and the output as one more."""
    lists = [one for one in module.modules() if isinstance(one, torch.nn.ModuleList)]
    longest = max(lists, key=len, default=())
    ask: Callable[[], torch.nn.Module | None] = getattr(module, "get_output_embeddings", lambda: None)
    output = ask()
    found: dict[torch.device, int] = {}
    for layer in (*longest, *([output] if output is not None else [])):
        parameter = next(layer.parameters(), None)
        if parameter is not None:
            found[parameter.device] = found.get(parameter.device, 0) + 1
    return found
