"""A model as a bench remembers it: where it is, and how it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from workbench.device_choice import read_offload
from workbench.endpoint import Dialect, Endpoint, make_endpoint
from workbench.errors import ModelError
from workbench.inference.types import Sampling
from workbench.models.reference import Attention, Dtype, Quantization
from workbench.offload import CpuMoe, FlashAttention, GpuLayers, KvType, Offload, find_offload_problems


class ModelChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's own model, remembered: where it is, the template laid around its messages, its context, and for a
    Hugging Face folder its precision; or a model on a server.

    path: a .gguf file or a Hugging Face folder, or the name of a model that was found. chat_template: a template to use
    instead of the model's own. context_tokens: size of the context; empty: as the model was trained.
    dtype: precision of a Hugging Face folder, such as bfloat16. quantization: of a Hugging Face folder, 8bit or 4bit.
    chat_template_kwargs: variables of the chat template, such as `enable_thinking: false`, `reasoning_effort: low`,
    `tools`, `documents`; `date: 2026-11-30` is the date that it prints.
    mmproj: the projector file by which a .gguf model sees pictures; empty: the one beside it that its name points to.
    remote: instead of `path`, a server's address such as `http://127.0.0.1:8080`, or a list of addresses that serve the
    same model. dialect: the API that the server speaks; auto: found out. model: the server's name for the model; empty:
    the only one it has. key_env: environment variable with the server's key; empty: WORKBENCH_SERVER_KEY.
    concurrency: max requests in flight to one address; 0: as many as it takes.
    server_defaults: sampling fields that are not sent, such as temperature for a hosted reasoning model.
    tokenizer: a .gguf file or a Hugging Face folder on this machine with the same tokenizer and template, which
    counts the prompts' tokens, so that a server that cuts one is noticed.
    gpu_layers: of a .gguf file, how many of the last layers are on GPUs: a number, `all`, `none`, or `auto`, the
    default: as many as fit into their free memory. What is left out of this and the fields below is as the settings'
    `offload` says. main_gpu: the one GPU that has them all, from 0. tensor_split: the part of the layers that each GPU
    has, such as [3, 1]. kv_type: numbers of the KV cache, such as q8_0 or q4_0; f16 by default. offload_kv: whether the
    KV cache is where the layers are, rather than in RAM; true by default. flash_attention: auto, the default, on or
    off. cpu_moe: of a mixture of experts, the first layers whose experts stay on the CPU; `auto`: as many as do not
    fit.
    rpc: addresses of llama.cpp RPC servers that take layers, such as [10.0.0.2:50052]; on a private network alone.
    public_rpc: whether they may be outside private networks.
    device_map: of a Hugging Face folder, `auto` for all devices together, or one, such as cpu or cuda:1.
    attention: of a Hugging Face folder, eager, sdpa, flash_attention_2 or flash_attention_3.
    """

    path: str = ""
    chat_template: str | None = None
    context_tokens: int | None = None
    dtype: Dtype = ""
    quantization: Quantization = ""
    chat_template_kwargs: dict[str, Any] = {}
    remote: str | tuple[str, ...] = ()
    dialect: Dialect = "auto"
    model: str = ""
    key_env: str = ""
    concurrency: int = 0
    server_defaults: tuple[str, ...] = ()
    tokenizer: str = ""
    mmproj: str = ""
    gpu_layers: GpuLayers | None = None
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] | None = None
    kv_type: KvType | None = None
    offload_kv: bool | None = None
    flash_attention: FlashAttention | None = None
    cpu_moe: CpuMoe | None = None
    rpc: tuple[str, ...] | None = None
    public_rpc: bool | None = None
    device_map: str = ""
    attention: Attention = ""

    @property
    def offload(self) -> Offload:
        """Which devices compute what of a .gguf file, as far as the entry says."""
        return Offload(**read_offload(self))

    @property
    def endpoint(self) -> Endpoint | None:
        """Where a server's model is; None for one on this machine. Raises ModelError for a wrong address."""
        if not self.remote:
            return None
        return make_endpoint(
            self.remote,
            self.dialect,
            self.model,
            self.key_env,
            self.concurrency,
            self.server_defaults,
            self.tokenizer,
        )


def check_model(where: str, choice: ModelChoice) -> Iterator[str]:
    """What is wrong with an entry, each with where it stands."""
    yield from (f"{where}.{problem}" for problem in find_offload_problems(choice.offload))
    if bool(choice.path) == bool(choice.remote):
        yield f"{where}: expected `path` or `remote`, found {'both' if choice.path else 'neither'}"
    if choice.remote:
        try:
            assert choice.endpoint
        except ModelError as error:
            yield f"{where}.remote: {error.message} {error.hint}"
        if placed := [*choice.offload.given, *filter(None, (choice.device_map and "device_map", choice.attention))]:
            yield f"{where}: {', '.join(placed)}: a server places its models itself"
        if choice.dtype or choice.quantization:
            yield f"{where}: dtype and quantization are of a Hugging Face folder, not of a server's model"
        if choice.mmproj:
            yield f"{where}: mmproj belongs to a .gguf file, not to a server's model"
        if choice.concurrency < 0:
            yield f"{where}.concurrency: expected a number from 0, found {choice.concurrency}"
        unknown = [name for name in choice.server_defaults if name not in Sampling.__struct_fields__]
        if unknown:
            yield f"{where}.server_defaults: no sampling field is named {', '.join(map(repr, unknown))}"
        return
    own = ("dialect", "model", "key_env", "concurrency", "server_defaults", "tokenizer")
    given = [name for name in own if getattr(choice, name) not in ("", "auto", 0, ())]
    if given and choice.path:
        yield f"{where}: {', '.join(given)} belong to a remote model, and this one has a path"
