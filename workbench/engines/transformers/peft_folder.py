"""A PEFT folder: its configuration, read and judged before any weight is loaded.

Knows nothing of the base that it is laid over.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, NamedTuple

import msgspec
import peft

from workbench.errors import ModelError
from workbench.models.reference import Adapter
from workbench.models.tensors import read_tensors

WEIGHTS = "adapter_model.safetensors"
_LORA, _IA3 = "LORA", "IA3"
_HINT = "Choose another adapter, or train this one again with other settings."
_PROMPTS = ("PREFIX_TUNING", "PROMPT_TUNING")
_HARMLESS_STARTS = ("gaussian", "eva", "orthogonal")
"""Ways to begin a LoRA's training that leave the base as it is."""


class Source(NamedTuple):
    """An adapter's configuration. stamp: changes when its file does."""

    adapter: Adapter
    config: Any
    stamp: tuple[str, int, int]

    @property
    def kind(self) -> str:
        return str(getattr(self.config.peft_type, "value", self.config.peft_type))

    @property
    def is_prompt(self) -> bool:
        """Whether it stands before the first token and leaves the weights alone."""
        return self.kind in _PROMPTS

    @property
    def scales(self) -> bool:
        """Whether it can be laid over with a scale: what was trained whole cannot."""
        return self.kind == _LORA and not self.config.modules_to_save and not self.config.trainable_token_indices

    @property
    def mixes(self) -> bool:
        """Whether PEFT evaluates rows with and without it in one batch."""
        config = self.config
        if not self.scales:
            return False
        special = (config.use_dora, config.bias != "none", config.lora_bias, config.target_parameters)
        return not any(special) and not getattr(config, "use_qalora", False)


def read_source(adapter: Adapter) -> Source:
    """Read an adapter's folder. Raises ModelError that names everything that keeps it from being used."""
    if adapter.format != "peft":
        raise ModelError(
            f"{adapter.name} is a GGUF adapter, and a Hugging Face model takes PEFT folders.",
            "Choose its PEFT folder, or the GGUF form of the model.",
        )
    file = adapter.path / WEIGHTS
    if not file.is_file() and list(adapter.path.glob("*.bin")):
        raise ModelError(
            f"The weights of {adapter.path} are pickled, and opening such a file can run any code.",
            "Convert them once, where you trust them: load the adapter with peft and call save_pretrained.",
        )
    read_tensors(file)
    config = _read_config(adapter)
    stat = file.stat()
    return Source(adapter, config, (str(adapter.path), stat.st_mtime_ns, stat.st_size))


def _read_config(adapter: Adapter) -> Any:
    path = adapter.path / "adapter_config.json"
    try:
        values = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        _check_kind(adapter, values.get("peft_type"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is judged here
            config = peft.PeftConfig.from_pretrained(str(adapter.path))
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}.", "Fetch or train the adapter again.") from error
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise ModelError(
            f"{path} describes no adapter that this version of peft knows: {reason}.",
            "Update peft, or train the adapter again with the installed version.",
        ) from error
    if problems := [*_find_problems(config), *_find_strange(values, config)]:
        raise ModelError(
            f"The adapter {adapter.path} cannot be used: {'; '.join(problems)}.",
            _HINT,
        )
    config.inference_mode = True
    return config


def _check_kind(adapter: Adapter, kind: object) -> None:
    if kind not in (_LORA, _IA3, *_PROMPTS):
        raise ModelError(
            f"The adapter {adapter.path} cannot be used: its type is {kind}, and LoRA, IA3, prefix tuning and prompt"
            " tuning are known here.",
            _HINT,
        )


def _find_strange(values: dict[str, Any], config: Any) -> list[str]:
    known = {field.name for field in dataclasses.fields(config)}
    strange = sorted(name for name, value in values.items() if name not in known and value)
    return [f"it sets {', '.join(strange)}, which this version of peft does not know"] if strange else []


def _find_problems(config: Any) -> list[str]:
    if not hasattr(config, "init_lora_weights"):
        return []
    problems = []
    start = config.init_lora_weights
    if isinstance(start, str) and start not in _HARMLESS_STARTS:
        problems.append(
            f"its training began with {start}, which changes the base; convert it to a plain LoRA with peft"
        )
    if config.layer_replication:
        problems.append("it repeats layers of its base")
    if getattr(config, "alora_invocation_tokens", None):
        problems.append("it is an activated LoRA, which begins in the middle of a text")
    return problems
