"""Adapters over one base: each set of them becomes an overlay, on weights that are loaded once.

LoRA adapters share one module, in which PEFT evaluates rows of the base and of many adapters in one batch; a blend
is one more adapter there. What PEFT cannot mix gets a module of its own. Every module is a copy of the base's
structure over the same tensors. Knows nothing of requests.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from peft import PeftModelForCausalLM
from peft.tuners.lora import LoraLayer

from workbench.engines.transformers.memory import PrefixLayers
from workbench.engines.transformers.mixture import Mixture
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.transformers.peft_folder import Source, Stamp, check_source, make_config, read_source
from workbench.errors import ModelError
from workbench.models.reference import Applied, Model

MOST_KEPT = 32
"""Overlays that are kept for the next request, beside those in use."""

Key = tuple[tuple[Stamp, float], ...]
Weighted = tuple[Source, float]


class Adapters:
    """The overlays of a base model. Every method must run on the thread that evaluates."""

    def __init__(self, base: Model, model: Any) -> None:
        self._named = base
        self._model = model
        self._base = Overlay(model, bare=True)
        self._known: dict[Key, Overlay] = {}
        self._shared: Mixture | None = None
        self._names = (f"adapter{number:09d}" for number in itertools.count())

    @torch.inference_mode(False)
    def lay(self, applied: Sequence[Applied], in_use: Iterable[Overlay]) -> Overlay:
        """The overlay for a set of adapters; a scale of 0 leaves its adapter out. Raises ModelError."""
        sources = _add_up([(read_source(entry.adapter), entry.scale) for entry in applied])
        if not sources:
            return self._base
        key = tuple((source.stamp, scale) for source, scale in sources)
        overlay = self._known.pop(key, None)
        if overlay is None:
            _check_set(sources)
            for source, _ in sources:
                check_source(source, self._named)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what peft warns of is checked here and raised
                self._tidy(set(map(id, in_use)))
                overlay = self._make(sources)
        self._known[key] = overlay  # at the end: the last one used is the last one dropped
        return overlay

    def _make(self, sources: Sequence[Weighted]) -> Overlay:
        weights = [entry for entry in sources if not entry[0].is_prompt]
        if not weights:
            overlay = self._base
        elif all(source.mixes for source, _ in weights):
            overlay = self._share(weights)
        else:
            overlay = self._separate(weights)
        prompt = next((source for source, _ in sources if source.is_prompt), None)
        return overlay if prompt is None else self._prepend(overlay, prompt)

    def _share(self, weights: Sequence[Weighted]) -> Overlay:
        """An overlay in the module that all plain LoRA adapters share."""
        try:
            laid: Any = self._shared.laid if self._shared else None
            parts = [next(self._names) for _ in weights]
            for (source, _), part in zip(weights, parts, strict=True):
                laid = self._load(laid, source, part)
            name = self._combine(laid, parts, [scale for _, scale in weights])
        except BaseException:
            self._shared = None  # half an adapter may be in it; those under way keep it, others get a new one
            self._known = {key: kept for key, kept in self._known.items() if kept.adapter is None}
            raise
        self._shared = self._shared or Mixture(laid.eval())
        self._shared.refresh()
        return Overlay(self._shared, name)

    def _combine(self, laid: Any, parts: Sequence[str], scales: Sequence[float]) -> str:
        """Make one adapter of several; its name."""
        if len(parts) == 1:
            _scale(laid, parts[0], scales[0])
            return parts[0]
        name = next(self._names)
        laid.base_model.add_weighted_adapter(list(parts), list(scales), name, combination_type="cat")
        for part in parts:
            laid.delete_adapter(part)
        return name

    def _separate(self, weights: Sequence[Weighted]) -> Overlay:
        """An overlay with a module of its own, in which all its adapters are active."""
        module = None
        names = []
        for source, scale in weights:
            names.append(next(self._names))
            module = self._load(module, source, names[-1])
            _scale(module, names[-1], scale)
        assert module is not None
        try:
            module.base_model.set_adapter(names, inference_mode=True)
        except ValueError as error:
            raise ModelError(
                f"{_list(weights)} cannot be blended: {error}.", "Use them one at a time, in panes of their own."
            ) from error
        return Overlay(module.eval())

    def _prepend(self, overlay: Overlay, prompt: Source) -> Overlay:
        """The overlay with a trained prompt or prefix before the first token."""
        module = self._load(None, prompt, next(self._names)).eval()
        with torch.no_grad():
            found = module.get_prompt(1)
        if prompt.kind == "PROMPT_TUNING":
            embeddings = found[0].detach().to(self._model.dtype)
            return dataclasses.replace(overlay, embeddings=embeddings)
        prefix = [(keys[0].detach(), values[0].detach()) for keys, values in _layers(found)]
        _check_prefix(prompt, prefix, self._model)
        return dataclasses.replace(overlay, prefix=prefix)

    def _load(self, module: Any, source: Source, name: str) -> Any:
        """Load an adapter into a module, or into a new one. Raises ModelError."""
        path, device = str(source.adapter.path), str(self._model.device)
        try:
            if module is None:
                config = make_config(source)
                module = PeftModelForCausalLM(_copy_structure(self._model), config, adapter_name=name)
            result = module.load_adapter(path, name, torch_device=device)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"The adapter {source.adapter.name} does not fit this model: {_reason(error)}.",
                "Choose an adapter that was trained on this model, or its base.",
                f"{type(error).__name__}: {error}",
            ) from error
        if source.is_prompt:
            return module
        missing = [*getattr(result, "missing_keys", ())]
        strange = [*getattr(result, "unexpected_keys", ())]
        if missing or strange:
            parts = [f"{len(missing)} tensors are missing ({missing[0]})"] if missing else []
            parts += [f"{len(strange)} have no place in it ({strange[0]})"] if strange else []
            raise ModelError(
                f"The adapter {source.adapter.name} does not fit this model: {' and '.join(parts)}.",
                "Choose an adapter that was trained on this model, or fetch it again, whole.",
                "\n".join([*missing, *strange]),
            )
        return module

    def _tidy(self, in_use: set[int]) -> None:
        """Drop the overlays that were not used for longest."""
        for key, overlay in list(self._known.items())[: max(0, len(self._known) - MOST_KEPT)]:
            if id(overlay) in in_use:
                continue
            del self._known[key]
            if self._shared is None or overlay.module is not self._shared:
                continue
            if len(self._shared.laid.peft_config) == 1:
                self._shared = None
            else:
                self._shared.laid.delete_adapter(overlay.adapter)
                self._shared.refresh()


def _add_up(sources: Iterable[Weighted]) -> list[Weighted]:
    """Each adapter once, with all its scales; without those that come to nothing."""
    found: dict[Stamp, Weighted] = {}
    for source, scale in sources:
        found[source.stamp] = (source, scale + (found[source.stamp][1] if source.stamp in found else 0.0))
    kept = [entry for entry in found.values() if entry[1] != 0]
    return sorted(kept, key=lambda entry: (entry[0].mixes, entry[0].stamp))  # a DoRA reckons from the bare base


def _check_set(sources: Sequence[Weighted]) -> None:
    """Raise ModelError for adapters that cannot be laid over a base together, or not with these scales."""
    unscaled = [source.adapter.name for source, scale in sources if scale != 1 and not source.scales]
    if unscaled:
        raise ModelError(
            f"{', '.join(unscaled)} has no scale: parts of it were trained whole, or its kind has none.",
            "Set its scale to 1, or leave it out.",
        )
    prompts = [entry for entry in sources if entry[0].is_prompt]
    kinds = {source.kind for source, _ in sources if not source.is_prompt}
    if len(prompts) > 1 or len(kinds) > 1:
        raise ModelError(
            f"{_list(sources)} cannot be laid over a model together: only LoRA adapters blend with each other,"
            " and one trained prompt or prefix may stand before them.",
            "Use them one at a time, in panes of their own.",
        )


def _scale(module: Any, name: str, scale: float) -> None:
    if scale == 1:
        return
    for layer in module.modules():
        if isinstance(layer, LoraLayer) and name in layer.scaling:
            layer.scaling[name] *= scale


def _copy_structure(model: Any) -> Any:
    """A copy of a model whose modules are new and whose tensors are the same."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


@torch.inference_mode()
def _check_prefix(prompt: Source, prefix: PrefixLayers, model: Any) -> None:
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


def _list(sources: Sequence[Weighted]) -> str:
    return " and ".join(source.adapter.name for source, _ in sources)
