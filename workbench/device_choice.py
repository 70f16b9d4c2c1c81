"""DeviceChoice: what a person says about devices, in the settings or as options; what is left out stays as it is."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from workbench.offload import CpuMoe, FlashAttention, GpuLayers, KvType, Offload, find_offload_problems

Dtype = Literal["", "float32", "float16", "bfloat16"]
"""The numbers that a Hugging Face model is computed in; empty: its own, where the device computes in them."""

Attention = Literal["", "eager", "sdpa", "flash_attention_2", "flash_attention_3"]
"""transformers' attention implementation of a Hugging Face model; empty: its choice."""

OFFLOAD_FIELDS = Offload.__struct_fields__


class DeviceOptions(Protocol):
    """On which devices a model is to be computed; None and "" say nothing."""

    @property
    def gpu_layers(self) -> GpuLayers | None: ...
    @property
    def device_map(self) -> str: ...
    @property
    def attention(self) -> Attention: ...


class DeviceChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """On which devices models are computed where a bench does not say; the fields are those of its model entries.

    gpu_layers: how many of the last layers are on GPUs: a number, `all`, `none`, or `auto`, the default. main_gpu: the
    one GPU that has them all, from 0. tensor_split: the part of the layers that each GPU has, such as [3, 1].
    kv_type: numbers of the KV cache, such as q8_0; f16 by default. offload_kv: whether the KV cache is where the layers
    are, rather than in RAM. flash_attention: auto, on or off. cpu_moe: the first layers whose experts stay on the CPU,
    or `auto`. rpc: addresses of llama.cpp RPC servers that take layers. public_rpc: whether they may be outside private
    networks. dtype: of Hugging Face folders, such as bfloat16. device_map: of Hugging Face folders, `auto` for all
    devices together, or one, such as cuda:1. attention: of Hugging Face folders, eager, sdpa, flash_attention_2 or
    flash_attention_3.
    """

    gpu_layers: GpuLayers | None = None
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] | None = None
    kv_type: KvType | None = None
    offload_kv: bool | None = None
    flash_attention: FlashAttention | None = None
    cpu_moe: CpuMoe | None = None
    rpc: tuple[str, ...] | None = None
    public_rpc: bool | None = None
    dtype: Dtype = ""
    device_map: str = ""
    attention: Attention = ""


NO_CHOICE = DeviceChoice()


def read_offload(choice: DeviceOptions) -> dict[str, Any]:
    """The fields of Offload that are said."""
    return {name: value for name in OFFLOAD_FIELDS if (value := getattr(choice, name)) is not None}


def merge_offload(before: Offload, choice: DeviceOptions) -> Offload:
    """What is said goes before what was there; of the latter, what cannot stand beside it is dropped, such as a
    `main_gpu` of the settings beside a `tensor_split` of the bench."""
    given = read_offload(choice)
    merged = msgspec.structs.replace(before, **given)
    usual = Offload()
    for name in before.given:
        problems = list(find_offload_problems(merged))
        if not problems:
            break
        without = msgspec.structs.replace(merged, **{name: getattr(usual, name)})
        if name not in given and len(list(find_offload_problems(without))) < len(problems):
            merged = without
    return merged
