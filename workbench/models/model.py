"""A model and an adapter as values: where they are, how they are opened, and what is known of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench.device_choice import Attention as Attention
from workbench.device_choice import Dtype as Dtype
from workbench.endpoint import Endpoint
from workbench.models.device_share import DeviceShare
from workbench.models.step_plan import StepPlan
from workbench.offload import Offload

Format = Literal["gguf", "hf", "scripted", "remote"]
AdapterFormat = Literal["peft", "gguf", "remote"]
Quantization = Literal["", "8bit", "4bit"]
"""Into what a Hugging Face model's linear layers are packed while it is loaded; empty: they stay as they are."""

ADAPTER_CONFIG = "adapter_config.json"
"""The file by which a folder is a PEFT adapter."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base that can answer.

    name: what a person calls it, unique among the models found.
    path: the GGUF file, the Hugging Face folder, or the script of the scripted engine; empty for a remote one.
    remote: where a remote model is; None for one on this machine.
    chat_template: a Jinja chat template to use instead of the model's own; None keeps the model's own.
    context_tokens: context size to open with; None takes what the model was trained with (capped by the
        engine).
    dtype, quantization: of a Hugging Face folder; a GGUF file's precision is in the file.
    chat_template_kwargs: variables of the chat template, such as enable_thinking, as a JSON object; empty: none.
    mmproj: of a GGUF file, the projector by which it sees pictures; None: one beside it, where its name tells.
    offload: of a GGUF file, which devices compute what. device_map, attention: the same of a Hugging Face folder.
    """

    name: str
    path: Path = Path()
    format: Format = "gguf"
    chat_template: str | None = None
    context_tokens: int | None = None
    dtype: Dtype = ""
    quantization: Quantization = ""
    chat_template_kwargs: str = ""
    remote: Endpoint | None = None
    mmproj: Path | None = None
    offload: Offload = Offload()
    device_map: str = ""
    """`auto`: over all devices, by their memory; `cpu`, `cuda:1`, `mps`: one of them; empty: the fastest one"""
    attention: Attention = ""

    @property
    def location(self) -> str:
        """Its file or folder, or its server's address."""
        return self.remote.label if self.remote else str(self.path)

    @property
    def identity(self) -> Model:
        """What two names of one model share: the same file or endpoint, opened in the same way. Requests with other
        variables of the chat template go to the same one."""
        path = self.path if self.remote else self.path.absolute()
        mmproj = self.mmproj.absolute() if self.mmproj else None
        return msgspec.structs.replace(self, name="", path=path, chat_template_kwargs="", mmproj=mmproj)


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a model, from its header alone or once it is loaded."""

    architecture: str
    quantization: str
    """how the weights are stored; once they are loaded, how they lie in memory"""
    parameters: int
    file_bytes: int
    context_trained_tokens: int
    vocabulary: int
    has_chat_template: bool
    context_tokens: int = 0
    """context size it is open with; 0 when not loaded"""
    memory_bytes: int = 0
    """estimate: weights plus KV cache for context_tokens, or for a usual context when not loaded"""
    kv_bytes_per_token: int = 0
    """KV cache that one token of context takes"""
    engine: str = ""
    device: str = ""
    dtype: str = ""
    """the numbers it is computed in, once it is loaded; empty where the engine mixes them"""
    unsupported_sampling: tuple[str, ...] = ()
    """fields of Sampling that its engine cannot honour; a request that sets one is refused"""
    placement: tuple[DeviceShare, ...] = ()
    """what is where once it is loaded: on each device, and last in RAM; empty where its engine does not tell"""
    load_notes: tuple[str, ...] = ()
    """what its load had to give up, such as layers that did not fit on a device"""
    step_plan: StepPlan | None = None
    """how its steps are laid out on devices; None where only the CPU computes"""


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is applied to a base: a PEFT folder, a GGUF file, or an adapter that a server has.

    name: what a person calls it, unique among the adapters found; the server's name for a remote one, whose path is
        empty.
    """

    name: str
    path: Path = Path()
    format: AdapterFormat = "peft"

    @property
    def location(self) -> str:
        """Its file or folder; a server's adapter is known by its name."""
        return f"{self.name} (on the server)" if self.format == "remote" else str(self.path)


class Applied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An adapter of a request. scale: 1 is what it was trained with; only 1 where the format has no scale."""

    adapter: Adapter
    scale: float = 1.0
