"""A device that computes a model's layers, and what of the model is on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

DeviceKind = Literal["cpu", "gpu", "integrated gpu", "accelerator"]
"""ggml_backend_dev_type in ggml-backend.h, in its order"""

_UNIFIED = ("Metal", "MTL")
"""Backends whose devices compute in RAM, though ggml lists some of them as GPUs with memory of their own."""


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GPU, the CPU, or a device of an RPC server. name: ggml's, such as CUDA0. description: the card's, or the
    address. backend: CPU, CUDA, ROCm, Metal, Vulkan or RPC."""

    name: str
    description: str = ""
    backend: str = ""
    free_bytes: int = 0
    total_bytes: int = 0
    kind: DeviceKind = "gpu"

    @property
    def key(self) -> str:
        """What tells it from every other one: llama.cpp numbers the servers of each process anew."""
        return f"{self.name} {self.description}" if self.backend == "RPC" else self.name

    @property
    def is_gpu(self) -> bool:
        return self.kind in ("gpu", "integrated gpu")

    @property
    def shares_ram(self) -> bool:
        """Whether what is on it takes RAM: the CPU, an integrated GPU, Apple's."""
        return self.kind in ("cpu", "integrated gpu") or self.backend in _UNIFIED


class DeviceShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a model is on a device: an estimate before it is loaded, as llama.cpp allocated it afterwards.

    adapters_bytes: of an estimate alone. The device's free_bytes: before anything of the model was there.
    """

    device: Device
    layers: int = 0
    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    adapters_bytes: int = 0

    @property
    def bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.adapters_bytes

    @property
    def fits(self) -> bool:
        """Whether it fits into what is free, with nothing to spare."""
        return self.bytes <= self.device.free_bytes


def select_devices(devices: Sequence[Device]) -> tuple[Device, ...]:
    """Those that llama.cpp offloads to: RPC servers, then GPUs; integrated ones where there are no others."""
    servers = [one for one in devices if one.backend == "RPC"]
    own = [one for one in devices if one.backend != "RPC"]
    gpus = [one for one in own if one.kind == "gpu"]
    return (*servers, *(gpus or [one for one in own if one.kind == "integrated gpu"]))


def limit_to_ram(devices: Sequence[Device], ram_bytes: int) -> tuple[Device, ...]:
    """The same devices; one that computes in RAM has no more free memory than there is RAM, whatever it reports."""
    return tuple(
        msgspec.structs.replace(one, free_bytes=min(one.free_bytes, ram_bytes)) if one.shares_ram else one
        for one in devices
    )
