"""A PEFT folder in front of peft: judged before any weight is loaded, and its configuration as peft wants it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import peft
import torch
from safetensors import safe_open

from workbench.errors import ModelError
from workbench.models.adapter_config import (
    AdapterConfig,
    find_weights,
    matches,
    matches_whole,
    read_adapter_config,
)
from workbench.models.adapter_info import check_values
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Model
from workbench.models.safetensors_header import read_tensors

_PROMPTS = ("PREFIX_TUNING", "PROMPT_TUNING")

_OF_ADAPTERS = re.compile(r"\.(lora_(A|B|embedding_A|embedding_B|magnitude_vector)|ia3_l)\b")
"""In the names of tensors that only adapters have."""

Stamp = tuple[str, int, int]


class PeftAdapter(NamedTuple):
    """An adapter's configuration. stamp: changes when its file does. embeds: it changes an embedding.

    whole: names in its file of tensors that are not of an adapter's own kind. owns: some of them replace tensors of the
    base; without a look at the base every one of them is taken for such.
    """

    adapter: Adapter
    config: AdapterConfig
    stamp: Stamp
    embeds: bool = False
    whole: tuple[str, ...] = ()
    owns: bool = False

    @property
    def kind(self) -> str:
        return self.config.peft_type

    @property
    def is_prompt(self) -> bool:
        """Whether it stands before the first token and leaves the weights alone."""
        return self.kind in _PROMPTS

    @property
    def scales(self) -> bool:
        """Whether it can be applied with a scale: what was trained whole cannot."""
        whole = self.owns or self.config.modules_to_save or self.config.trainable_token_indices
        return self.kind == "LORA" and not whole

    @property
    def mixes(self) -> bool:
        """Whether rows with and without it can be evaluated in one batch."""
        return self.kind == "LORA" and not self.embeds and not self.owns and not self.config.beyond_low_rank


def read_source(adapter: Adapter) -> PeftAdapter:
    """Read an adapter's configuration. Raises ModelError."""
    if adapter.format != "peft":
        raise ModelError(
            f"{adapter.name} is a GGUF adapter, and a Hugging Face model takes PEFT folders.",
            "Choose its PEFT folder, or the GGUF form of the model.",
        )
    config, _ = read_adapter_config(adapter.path)
    path = find_weights(adapter.path)
    names = read_tensors(path).tensors
    embeds = any("lora_embedding_" in name for name in names)
    prompt = config.peft_type in _PROMPTS
    whole = () if prompt else tuple(name for name in names if not _OF_ADAPTERS.search(name))
    stat = path.stat()
    return PeftAdapter(adapter, config, (str(adapter.path), stat.st_mtime_ns, stat.st_size), embeds, whole, bool(whole))


def replaces_base(source: PeftAdapter, model: Any) -> bool:
    """Whether an adapter's file holds a tensor of its base with other numbers; peft saves untouched ones along."""
    if not source.whole:
        return False
    base = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    with safe_open(find_weights(source.adapter.path), framework="pt") as file:
        for name in source.whole:
            own = base.get(name.removeprefix("base_model.model.").replace(".base_layer.", "."))
            if own is None:
                return True
            brought = file.get_tensor(name).to(device=own.device, dtype=own.dtype)
            if brought.shape != own.shape or not torch.equal(brought, own):
                return True
    return False


def check_source(source: PeftAdapter, base: Model) -> None:
    """Raise ModelError with everything that keeps an adapter from being applied to a base."""
    config = source.config
    reasons = {
        "it repeats layers of its base": config.layer_replication,
        "it is an activated LoRA, which begins in the middle of a text": config.alora_invocation_tokens,
        f"its training began with {config.init_lora_weights}, which changes the base; convert it to a plain LoRA with"
        " peft": config.changes_base,
    }
    problems = [*check_compatible(source.adapter, base), *(reason for reason, holds in reasons.items() if holds)]
    if problems:
        raise ModelError(
            f"The adapter {source.adapter.name} cannot be applied to {base.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            "Choose an adapter that was trained on this model.",
        )
    check_values(source.adapter)


def make_config(source: PeftAdapter, modules: Sequence[str]) -> Any:
    """The configuration as peft wants it, for a base with modules of these names.

    Raises ModelError where peft does not understand it, or where it would match an expression without a limit.
    """
    try:
        config = peft.PeftConfig.from_pretrained(str(source.adapter.path))
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise ModelError(
            f"{source.adapter.path} describes no adapter that this version of peft knows: {reason}.",
            "Update peft, or train the adapter again with the installed version.",
        ) from error
    config.inference_mode = True
    _expand_names(config, modules)
    return config


_PLAIN = re.compile(r"[\w.-]+")
"""Names that peft may take for regular expressions: they match soon, whatever they are matched with."""


def _expand_names(config: Any, modules: Sequence[str]) -> None:
    """Put the modules' own names in place of regular expressions, which peft matches without a limit of time."""
    for key in ("target_modules", "exclude_modules", "feedforward_modules"):
        pattern = getattr(config, key, None)
        if isinstance(pattern, str) and pattern != "all-linear":
            setattr(config, key, {name for name in modules if matches_whole(pattern, name)})
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = getattr(config, key, None) or {}
        if not all(map(_PLAIN.fullmatch, patterns)):
            found = ((name, next((p for p in patterns if matches(p, name)), None)) for name in modules)
            setattr(config, key, {re.escape(name): patterns[pattern] for name, pattern in found if pattern is not None})
    for key in ("modules_to_save", "layers_pattern"):
        given = getattr(config, key, None) or ()
        strange = [name for name in ([given] if isinstance(given, str) else given) if not _PLAIN.fullmatch(str(name))]
        if strange:
            raise ModelError(
                f"{key} of the adapter's configuration holds a regular expression: {str(strange[0])[:80]!r}.",
                "Name the modules one by one.",
            )
