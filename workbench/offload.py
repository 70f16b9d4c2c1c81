"""What a model entry says about devices: layers on GPUs, the KV cache, experts on the CPU, RPC servers.

The names are llama.cpp's: `--n-gpu-layers`, `--main-gpu`, `--tensor-split`, `--cache-type-k`, `--no-kv-offload`,
`--flash-attn`, `--n-cpu-moe`, `--rpc`.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import msgspec

GpuLayers = int | Literal["auto", "all", "none"]
CpuMoe = int | Literal["auto"]
KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
FlashAttention = Literal["auto", "on", "off"]

KV_BYTES: dict[KvType, float] = {
    **{"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32},
    **{"q4_1": 20 / 32, "q4_0": 18 / 32, "iq4_nl": 18 / 32},
}
"""Bytes of one value in the KV cache."""

MOST_RPC_SERVERS = 16
"""ggml's own limit, GGML_RPC_MAX_SERVERS."""


class Offload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a GGUF model's parts are computed.

    gpu_layers: how many of the last layers, the output among them, are on GPUs; `auto` fits them into the free memory.
    main_gpu: the one GPU that has all of them, from 0. tensor_split: the part of them that each GPU has.
    kv_type: numbers of the KV cache. offload_kv: whether each layer's KV cache is where the layer is; else in RAM.
    cpu_moe: the first layers whose experts stay on the CPU; `auto`: as many as do not fit.
    rpc: addresses of llama.cpp's RPC servers, host:port, whose devices come before this machine's. public_rpc: allow
    addresses outside private networks.
    """

    gpu_layers: GpuLayers = "auto"
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    kv_type: KvType = "f16"
    offload_kv: bool = True
    flash_attention: FlashAttention = "auto"
    cpu_moe: CpuMoe = "auto"
    rpc: tuple[str, ...] = ()
    public_rpc: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that are not as they are by default."""
        usual = Offload()
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) != getattr(usual, name))

    def format(self, name: str) -> str:
        """A field's value as a person writes it."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return ", ".join(part if isinstance(part, str) else f"{part:g}" for part in value)
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)

    @property
    def numeric(self) -> Offload:
        """Only what changes the numbers that are computed, wherever that is: the KV cache's type, flash attention."""
        return Offload(kv_type=self.kv_type, flash_attention=self.flash_attention)


class RpcAddress(NamedTuple):
    """Where an RPC server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_rpc(text: str) -> RpcAddress:
    """An address as it is written. Raises ValueError with what was expected."""
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not colon or not host or ":" in host or any(map(str.isspace, host)) or not 1 <= number <= 65535:
        raise ValueError(f"expected host:port with an IPv4 address or a name, such as 10.0.0.2:50052, found {text!r}")
    return RpcAddress(host, number)


def is_public(host: str) -> bool:
    """Whether an address is one of the open internet; False for a name, which is not looked up here."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def find_offload_problems(offload: Offload) -> Iterator[str]:
    """What is wrong with the values, each as `field: expected …, found …`."""
    layers, moe = offload.gpu_layers, offload.cpu_moe
    if isinstance(layers, int) and layers < 0:
        yield f"gpu_layers: expected auto, all, none or a number from 0, found {layers}"
    if isinstance(layers, str) and layers not in ("auto", "all", "none"):
        yield f"gpu_layers: expected auto, all, none or a number from 0, found {layers!r}"
    if moe != "auto" and (isinstance(moe, str) or moe < 0):
        yield f"cpu_moe: expected auto or a number from 0, found {moe!r}"
    if offload.main_gpu is not None and offload.main_gpu < 0:
        yield f"main_gpu: expected a number from 0, found {offload.main_gpu}"
    split = offload.tensor_split
    if any(not math.isfinite(part) or part < 0 for part in split) or (split and not any(split)):
        yield f"tensor_split: expected parts from 0, such as 3, 1, found {', '.join(f'{part:g}' for part in split)}"
    if split and offload.main_gpu is not None:
        yield "main_gpu, tensor_split: expected one of the two: main_gpu puts the whole model on one GPU, found both"
    for name, value, known in (
        ("kv_type", offload.kv_type, get_args(KvType)),
        ("flash_attention", offload.flash_attention, get_args(FlashAttention)),
    ):
        if value not in known:
            yield f"{name}: expected one of {', '.join(known)}, found {value!r}"
    if offload.flash_attention == "off" and KV_BYTES.get(offload.kv_type, 2) < 2:
        yield f"kv_type: {offload.kv_type} needs flash attention, found flash_attention: off"
    yield from _find_rpc_problems(offload)


def _find_rpc_problems(offload: Offload) -> Iterator[str]:
    if len(offload.rpc) > MOST_RPC_SERVERS:
        yield f"rpc: expected at most {MOST_RPC_SERVERS} servers, found {len(offload.rpc)}"
    if len(set(offload.rpc)) < len(offload.rpc):
        yield "rpc: expected different servers, found one twice"
    if offload.rpc and offload.gpu_layers in ("none", 0):
        yield f"rpc: nothing would go to the servers with gpu_layers: {offload.gpu_layers}"
    for text in offload.rpc:
        try:
            address = parse_rpc(text)
        except ValueError as error:
            yield f"rpc: {error}"
            continue
        if is_public(address.host) and not offload.public_rpc:
            yield f"rpc: {public_problem(text)}"


def public_problem(address: str) -> str:
    """Why a public address is refused, and what allows it."""
    return (
        f"{address} is a public address: the RPC protocol has no encryption and no password, and whoever reaches the"
        " server can run code on it. Use a private network, or set public_rpc: true"
    )
