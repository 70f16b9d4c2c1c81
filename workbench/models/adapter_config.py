"""A PEFT adapter's configuration, `adapter_config.json`, read so that a file of a newer PEFT is understood as well.

Knows nothing of the adapter's weights. Source: the configuration classes of peft 0.21.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ModelError
from workbench.models.foreign_file import check_name, is_regular, read_object, shorten
from workbench.models.reference import ADAPTER_CONFIG
from workbench.models.unfinished import find_unfinished
from workbench.patterns import PatternError, compile_pattern

WEIGHTS = "adapter_model.safetensors"

_PICKLED = ("adapter_model.bin", "adapter_model.pt", "pytorch_adapter.bin")
_HARMLESS_STARTS = ("gaussian", "eva", "orthogonal")
"""Ways to begin a LoRA's training that leave the base as it is."""

_PATIENCE = 0.2
"""Seconds in which a pattern must have matched a name or not."""

_SILENT = {
    *("arrow_config", "corda_config", "ensure_weight_tying", "eva_config"),
    *("inference_mode", "kasa_config", "loftq_config"),
    *("lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "monteclora_config", "peft_version"),
    *("qalora_group_size", "revision", "runtime_config", "task_type", "velora_config", "use_bdlora"),
}
"""Keys that change nothing in how a trained adapter is laid over its base."""


class AdapterConfig(msgspec.Struct, frozen=True):
    """The keys that say how an adapter is laid over its base; the others are left aside."""

    peft_type: str
    base_model_name_or_path: str | None = None
    r: int = 8
    lora_alpha: float = 8
    use_rslora: bool = False
    use_dora: bool = False
    bias: str = "none"
    lora_bias: bool = False
    alpha_pattern: dict[str, float] | None = None
    rank_pattern: dict[str, int] | None = None
    modules_to_save: list[str] | None = None
    target_modules: list[str] | str | None = None
    exclude_modules: Any = None
    layers_to_transform: Any = None
    layers_pattern: Any = None
    auto_mapping: Any = None
    target_parameters: list[str] | None = None
    trainable_token_indices: Any = None
    layer_replication: Any = None
    init_lora_weights: Any = True
    alora_invocation_tokens: list[int] | None = None
    use_qalora: bool = False
    fan_in_fan_out: bool = False
    num_layers: int | None = None
    token_dim: int | None = None
    num_virtual_tokens: int | None = None

    def scale(self, module: str, rank: int) -> float:
        """What PEFT multiplies a module's low-rank product with, at an adapter scale of 1."""
        alpha = self.lora_alpha
        for pattern, value in (self.alpha_pattern or {}).items():
            if matches(pattern, module):
                alpha = value
                break
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def rank(self, module: str) -> int:
        """The rank that PEFT gives a module's product."""
        return next((rank for pattern, rank in (self.rank_pattern or {}).items() if matches(pattern, module)), self.r)

    def targets(self, module: str) -> bool:
        """Whether PEFT changes a module of this name (`check_target_module_exists` of its tuners)."""
        if _names(self.exclude_modules, module) or not _names(self.target_modules, module):
            return False
        listed = self.layers_to_transform
        if (
            listed is None
            or listed == []
            or isinstance(self.target_modules, str)
            or module in (self.target_modules or ())
        ):
            return True
        patterns = self.layers_pattern or r"[^.]*"
        found = (
            _search(rf".*\.{pattern}\.(\d+)\.", module)
            for pattern in ([patterns] if isinstance(patterns, str) else patterns)
        )
        layer = next((int(number) for number in found if number is not None), None)
        return layer is not None and layer in (listed if isinstance(listed, list) else [listed])

    @property
    def base_class(self) -> str:
        """The class of the base in transformers, where the adapter says it."""
        value = self.auto_mapping.get("base_model_class") if isinstance(self.auto_mapping, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def changes_base(self) -> bool:
        """Whether training began by taking something out of the base, so that it only works with that base."""
        return isinstance(self.init_lora_weights, str) and self.init_lora_weights not in _HARMLESS_STARTS

    @property
    def beyond_low_rank(self) -> tuple[str, ...]:
        """What the adapter does besides adding low-rank products, each as a reason why a GGUF adapter cannot hold
        it."""
        reasons = {
            "it is a DoRA, which also scales the base's own weights": self.use_dora,
            f"it holds trained copies of whole modules ({', '.join(self.modules_to_save or [])})": self.modules_to_save,
            "it holds trained embeddings of single tokens": self.trainable_token_indices,
            "it holds trained biases": self.lora_bias or self.bias != "none",
            "it changes parameters that are not linear layers": self.target_parameters,
            "it repeats layers of its base": self.layer_replication,
            "it is an activated LoRA, which begins in the middle of a text": self.alora_invocation_tokens,
            "it is a QA-LoRA": self.use_qalora,
            f"its training began with {self.init_lora_weights}, which changes the base; convert it to a plain LoRA"
            " with peft": self.changes_base,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)


def read_adapter_config(folder: Path) -> tuple[AdapterConfig, tuple[str, ...]]:
    """A folder's configuration, and the keys in use that are not known here. Raises ModelError."""
    check_name(folder)
    path = folder / ADAPTER_CONFIG
    hint = "It may have been moved or deleted; choose, fetch or train the adapter again."
    values = read_object(path, hint, "describes no adapter")
    if "fine_tune_type" in values or "lora_parameters" in values:
        raise ModelError(
            f"{folder} is an adapter of MLX, which is stored in another form.",
            "Convert it to PEFT's form with mlx-lm, or fuse it into its base there and use the fused model.",
        )
    try:
        config = msgspec.convert(values, AdapterConfig)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ModelError(
            f"{path} describes no adapter: {shorten(str(error))}.", "Fetch or train the adapter again."
        ) from error
    known = {*_SILENT, *AdapterConfig.__struct_fields__}
    return config, tuple(sorted(key for key, value in values.items() if key not in known and value))


def find_weights(folder: Path) -> Path:
    """The folder's weights. Raises ModelError; pickled ones are refused, because opening them can run any code."""
    path = folder / WEIGHTS
    if is_regular(path):
        return path
    pickled = next((name for name in _PICKLED if is_regular(folder / name)), None)
    if pickled:
        raise ModelError(
            f"{folder / pickled} is pickled, and opening such a file can run any code.",
            f"Where you trust it, write it anew: workbench convert {folder} {folder}-safe --allow-pickle",
        )
    try:
        unfinished = find_unfinished(WEIGHTS, [entry.name for entry in folder.iterdir()])
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if unfinished:
        raise ModelError(
            f"{folder / unfinished} is a download that has not finished.", "Wait until it is whole, or fetch it again."
        )
    raise ModelError(f"{folder} has no {WEIGHTS}.", "Fetch the adapter again, whole.")


def _names(targets: Any, module: str) -> bool:
    """Whether a pattern, or one of several names or ends of names, means a module."""
    if isinstance(targets, str):
        return matches_whole(targets, module)
    names = [name for name in targets or () if isinstance(name, str)]
    return any(module == name or module.endswith(f".{name}") for name in names)


def _search(pattern: str, module: str) -> str | None:
    """What the first group of a pattern finds from the beginning of a name on; None for a pattern that is none.

    Raises ModelError for one that takes too long: peft would look for it in every module, without a limit.
    """
    try:
        found = compile_pattern(pattern).match(module, timeout=_PATIENCE)
    except PatternError as error:
        raise ModelError(
            f"Its configuration has a regular expression that cannot be used: {pattern[:80]!r}: {error}.",
            "Name the modules one by one.",
        ) from error
    except TimeoutError as error:
        raise ModelError(
            f"Its configuration has a regular expression that takes too long to match: {pattern[:80]!r}.",
            "Name the modules one by one.",
        ) from error
    return found[1] if found else None


def matches(pattern: str, module: str) -> bool:
    """Whether a key of a rank or alpha pattern means a module. Raises ModelError as `_search` does."""
    return _search(rf"((.*\.)?({pattern})$)", module) is not None


def matches_whole(pattern: str, module: str) -> bool:
    """Whether a pattern of modules means a module. Raises ModelError as `_search` does."""
    return _search(rf"({pattern})\Z", module) is not None
