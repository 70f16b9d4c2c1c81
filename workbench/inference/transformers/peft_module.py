"""peft's modules over a base: adapters loaded into them, checked, and read out of them again.

Every module is a copy of the base's structure over the same tensors, except those that its adapter brings anew. Knows
nothing of which adapters go together.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from typing import Any

import torch
from peft import PeftModelForCausalLM
from peft.tuners.lora import LoraLayer

from workbench.errors import ModelError
from workbench.inference.transformers.peft_folder import PeftAdapter, make_config
from workbench.inference.transformers.shared_weights import SharedWeights
from workbench.inference.transformers.slot_cache import Layers
from workbench.models.adapter_config import find_readable

_INNER = re.compile(r"\.adapter\d{9}\b")
"""What an adapter is called inside a module, which is nobody's business outside."""


class LoadedBase:
    """A model that adapters are applied to. reload: loads it anew, for its numbers alone."""

    def __init__(self, model: Any, reload: Callable[[], Any] | None = None) -> None:
        self.model = model
        self.weights = SharedWeights(model)
        self._reload = reload
        self._broken: ModelError | None = None

    def check_sound(self) -> None:
        """Raise ModelError when an adapter has changed the model for good: its answers would be another model's."""
        if self._broken:
            raise self._broken

    def check(self, adapter: str) -> None:
        """Raise ModelError when the model's numbers are not what they were; they are again, where that can be done."""
        self.check_sound()
        changed = self.weights.find_changed()
        if not changed:
            return
        if self._reload:
            self.weights.restore(self._reload())
        restored = not self.weights.find_changed()
        error = ModelError(
            f"The adapter {adapter} is refused: loading it changed the base model itself, in {len(changed)} of its"
            f" tensors, such as {changed[0]}.",
            "The base was restored. Save the adapter again without the base's tensors."
            if restored
            else "The base could not be restored: unload the model, and leave this adapter out.",
        )
        if not restored:
            self._broken = error
        raise error


def load_part(base: LoadedBase, module: Any, source: PeftAdapter, name: str) -> Any:
    """Load an adapter into a peft module over a base, or into a new one for None; the module.

    Raises ModelError; where the adapter wrote into the base all the same, too, and the base is what it was.
    """
    path, device = str(find_readable(source.adapter)), str(base.model.device)
    try:
        config = make_config(source, [name for name, _ in base.model.named_modules() if name])
        if module is not None:
            module.add_adapter(name, config)  # peft would read the configuration itself, expressions included
        else:
            module = PeftModelForCausalLM(_copy_structure(base.model), config, adapter_name=name)
            base.weights.guard(module)
        result = module.load_adapter(path, name, torch_device=device)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"The adapter {source.adapter.name} does not fit this model: {_reason(error)}.",
            "Choose an adapter that was trained on this model, or its base.",
            f"{type(error).__name__}: {error}",
        ) from error
    finally:
        base.check(source.adapter.name)
    if not source.is_prompt:
        _check_whole(source, result)
    return module


def _check_whole(source: PeftAdapter, result: Any) -> None:
    missing = [_INNER.sub("", key) for key in getattr(result, "missing_keys", ())]
    strange = [_INNER.sub("", key) for key in getattr(result, "unexpected_keys", ())]
    if missing or strange:
        parts = [f"{len(missing)} tensors are missing ({missing[0]})"] if missing else []
        parts += [f"{len(strange)} have no place in it ({strange[0]})"] if strange else []
        raise ModelError(
            f"The adapter {source.adapter.name} does not fit this model: {' and '.join(parts)}.",
            "Choose an adapter that was trained on this model, or fetch it again, whole.",
            "\n".join([*missing, *strange]),
        )


def read_prompt(module: Any, prompt: PeftAdapter, model: Any) -> torch.Tensor | Layers:
    """A loaded prompt's embeddings ([tokens, width]), or a loaded prefix's keys and values. Raises ModelError."""
    with torch.no_grad():
        found = module.eval().get_prompt(1)
    if prompt.kind == "PROMPT_TUNING":
        embeddings: torch.Tensor = found[0].detach().to(model.dtype)
        return embeddings
    prefix = [(keys[0].detach(), values[0].detach()) for keys, values in _layers(found)]
    _check_prefix(prompt, prefix, model)
    return prefix


def scale_part(module: Any, name: str, scale: float) -> None:
    """Lay a loaded LoRA over the base with a scale."""
    if scale == 1:
        return
    for layer in module.modules():
        if isinstance(layer, LoraLayer) and name in layer.scaling:
            layer.scaling[name] *= scale


def _copy_structure(model: Any) -> Any:
    """A copy of a model whose modules are new and whose tensors are the same, packed ones included."""
    packed = (module.state for module in model.modules() if hasattr(module, "state"))
    shared = itertools.chain(model.parameters(), model.buffers(), packed)
    return copy.deepcopy(model, {id(one): one for one in shared})


@torch.inference_mode()
def _check_prefix(prompt: PeftAdapter, prefix: Layers, model: Any) -> None:
    """Raise ModelError for a prefix that is not of the shape that the model's own keys and values have."""
    made = model(torch.zeros((1, 1), dtype=torch.long, device=model.device), use_cache=True)
    wanted = [_form(layer[0], layer[1]) for layer in _layers(getattr(made, "past_key_values", None) or ())]
    found = [_form(keys, values) for keys, values in prefix]
    if found != wanted:
        raise ModelError(
            f"The prefix {prompt.adapter.name} has another shape than the model's cache: {len(found)} layers of"
            f" {found[0]}, expected {len(wanted)} of {wanted[0] if wanted else 'no such kind'}.",
            "Choose a prefix that was trained on this model.",
        )


def _form(keys: torch.Tensor, values: torch.Tensor) -> str:
    """Heads and widths of a layer's keys and values."""
    return " and ".join(f"{tensor.shape[-3]} x {tensor.shape[-1]}" for tensor in (keys, values))


def _layers(found: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of each layer, whichever form peft gives a prefix in."""
    if hasattr(found, "layers"):
        return [(layer.keys, layer.values) for layer in found.layers]
    return [(layer[0], layer[1]) for layer in found]


def _reason(error: Exception) -> str:
    """The line of a foreign message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.endswith(":")] or lines or [type(error).__name__]
    return telling[0].rstrip(".")
