"""A PEFT adapter's `adapter_config.json`, read so that files of newer PEFT versions are understood too."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from workbench import paths
from workbench.errors import ModelError
from workbench.models.reference import ADAPTER_CONFIG, Adapter
from workbench.models.safetensors_header import read_tensors
from workbench.models.untrusted_files import check_name, find_unfinished, is_regular, open_regular, read_object, shorten
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
"""Keys that do not change how a trained adapter is applied."""


class AdapterConfig(msgspec.Struct, frozen=True):
    """The keys that determine how an adapter is applied; the others are ignored."""

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
        """PEFT's factor of a module's low-rank product, at an adapter scale of 1."""
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


def find_named_base(adapter: Adapter) -> str:
    """The model that an adapter's config names as its base. Raises ModelError where it names none."""
    config, _ = read_adapter_config(adapter.path)
    if not config.base_model_name_or_path:
        raise ModelError(f"{adapter.name} does not say on which model it was trained.", "Name its `base`.")
    return config.base_model_name_or_path


def find_weights(folder: Path) -> Path:
    """The folder's weights. Raises ModelError; pickled ones are refused, because opening them can run any code."""
    path = folder / WEIGHTS
    if is_regular(path):
        return path
    pickled = next((name for name in _PICKLED if is_regular(folder / name)), None)
    if pickled:
        raise ModelError(
            f"{folder / pickled} is pickled, and opening such a file can run any code.",
            f"If you trust it, convert it to safetensors: workbench convert {folder} {folder}-safe --allow-pickle",
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


_INNER = re.compile(r"(\.lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))\.default(?=\.weight$|$)")


def find_readable(adapter: Adapter) -> Path:
    """The adapter's folder, or a copy under names that PEFT reads, made once for each content. Raises ModelError."""
    weights = find_weights(adapter.path)
    if not any(_INNER.search(name) for name in read_tensors(weights).tensors):
        return adapter.path
    try:
        target = paths.cache_folder() / "adapters" / _digest(adapter.path, weights)
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".names.") as scratch:
                written = Path(scratch) / target.name
                written.mkdir()
                shutil.copy(adapter.path / ADAPTER_CONFIG, written)
                _rename(weights, written / WEIGHTS)
                written.rename(target)
    except OSError as error:
        raise ModelError(
            f"The adapter {adapter.name} could not be written under names that PEFT reads: {error.strerror or error}.",
            "Make room in the cache folder, or save the adapter again with PEFT's save_pretrained.",
        ) from error
    return target


def _rename(source: Path, target: Path) -> None:
    """Copy a safetensors file whose header was checked, its tensors under other names."""
    with open_regular(source) as old, target.open("wb") as new:
        header = json.loads(old.read(int.from_bytes(old.read(8), "little")))
        text = json.dumps({_INNER.sub(r"\1", name): entry for name, entry in header.items()}).encode()
        text += b" " * (-len(text) % 8)
        new.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(old, new)


def _digest(folder: Path, weights: Path) -> str:
    state = hashlib.blake2b((folder / ADAPTER_CONFIG).read_bytes(), digest_size=16)
    with open_regular(weights) as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return f"names-{state.hexdigest()}"
