"""A device that computes a model's layers, and what of the model is on it."""

from __future__ import annotations

import msgspec


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A GPU, or a device of an RPC server. name: ggml's, such as CUDA0. description: the card's, or the address."""

    name: str
    description: str = ""
    backend: str = ""
    free_bytes: int = 0
    total_bytes: int = 0


class DeviceShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a model is on a device: an estimate before it is loaded, as llama.cpp allocated it afterwards.

    free_bytes: before anything of the model was there.
    """

    device: Device
    layers: int = 0
    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0

    @property
    def bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes

    @property
    def fits(self) -> bool:
        """Whether it fits into what is free, with nothing to spare."""
        return self.bytes <= self.device.free_bytes
