"""Adapters over one base: each set of them is applied to weights that are loaded once.

Plain LoRA adapters share one module, in which rows of the base and of any blend of them are evaluated in one batch.
What goes beyond that gets a module of its own.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from workbench.errors import ModelError
from workbench.inference.transformers.adapter_set import AppliedAdapters
from workbench.inference.transformers.batched_lora import BatchedLora
from workbench.inference.transformers.peft_folder import PeftAdapter, Stamp, check_source, read_source, replaces_base
from workbench.inference.transformers.peft_module import LoadedBase, load_part, read_prompt, scale_part
from workbench.models.reference import Adapter, Applied, Model

MOST_KEPT = 32
"""Overlays that are kept for the next request, beside those in use."""

Key = tuple[tuple[Stamp, float], ...]
ScaledAdapter = tuple[PeftAdapter, float]


class AdapterSets:
    """The overlays of a base model. Every method must run on the thread that evaluates.

    reload: loads the model again, for its numbers alone, should an adapter have changed them.
    """

    def __init__(self, base: Model, model: Any, reload: Callable[[], Any] | None = None) -> None:
        self._named = base
        self._model = model
        self._loaded = LoadedBase(model, reload)
        self._base = AppliedAdapters(model, bare=True)
        self._known: dict[Key, AppliedAdapters] = {}
        self._checked: set[Stamp] = set()
        self._replacing: dict[Stamp, bool] = {}
        self._shared: BatchedLora | None = None
        self._parts: dict[Stamp, str] = {}
        self._names = (f"adapter{number:09d}" for number in itertools.count())

    @torch.inference_mode(False)
    def apply(self, applied: Sequence[Applied], in_use: Iterable[AppliedAdapters]) -> AppliedAdapters:
        """The overlay for a set of adapters; a scale of 0 leaves its adapter out. Raises ModelError."""
        sources = _add_up([(self._read(entry.adapter), entry.scale) for entry in applied])
        self._loaded.check_sound()
        if not sources:
            return self._base
        key = tuple((source.stamp, scale) for source, scale in sources)
        applied_adapters = self._known.pop(key, None)
        if applied_adapters is None:
            _check_set(sources)
            for source, _ in sources:
                if source.stamp not in self._checked:
                    check_source(source, self._named)
                    self._checked.add(source.stamp)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what peft warns of is checked here and raised
                self._evict(set(map(id, in_use)))
                applied_adapters = dataclasses.replace(self._make(sources), key=key)
        self._known[key] = applied_adapters  # at the end: the last one used is the last one dropped
        return applied_adapters

    def _read(self, adapter: Adapter) -> PeftAdapter:
        """An adapter's configuration, and whether it replaces tensors of this base."""
        source = read_source(adapter)
        if source.stamp not in self._replacing:
            self._replacing[source.stamp] = replaces_base(source, self._model)
        return source._replace(owns=self._replacing[source.stamp])

    def _make(self, sources: Sequence[ScaledAdapter]) -> AppliedAdapters:
        weights = [entry for entry in sources if not entry[0].is_prompt]
        if not weights:
            applied_adapters = self._base
        elif all(source.mixes for source, _ in weights):
            applied_adapters = self._share(weights)
        else:
            applied_adapters = self._separate(weights)
        prompt = next((source for source, _ in sources if source.is_prompt), None)
        return applied_adapters if prompt is None else self._prepend(applied_adapters, prompt)

    def _share(self, weights: Sequence[ScaledAdapter]) -> AppliedAdapters:
        """An overlay in the module that all plain LoRA adapters share."""
        peft_model: Any = self._shared.peft_model if self._shared else None
        try:
            for source, _ in weights:
                if source.stamp not in self._parts:
                    name = next(self._names)
                    peft_model = load_part(self._loaded, peft_model, source, name)
                    self._parts[source.stamp] = name
        except BaseException:
            self._shared = None  # half an adapter may be in it; those under way keep it, others get a new one
            self._parts.clear()
            self._known = {key: kept for key, kept in self._known.items() if not kept.blend}
            raise
        if self._shared is None:
            self._shared = BatchedLora(peft_model.eval())
        self._shared.refresh()
        return AppliedAdapters(self._shared, tuple((self._parts[source.stamp], scale) for source, scale in weights))

    def _separate(self, weights: Sequence[ScaledAdapter]) -> AppliedAdapters:
        """An overlay with a module of its own, in which all its adapters are active."""
        module: Any = None
        names = []
        for source, scale in weights:
            names.append(next(self._names))
            module = load_part(self._loaded, module, source, names[-1])
            scale_part(module, names[-1], scale)
        try:
            module.base_model.set_adapter(names, inference_mode=True)
        except ValueError as error:
            raise ModelError(
                f"{_list(weights)} cannot be blended: {error}.", "Use them one at a time, in panes of their own."
            ) from error
        return AppliedAdapters(module.eval())

    def _prepend(self, applied_adapters: AppliedAdapters, prompt: PeftAdapter) -> AppliedAdapters:
        """The overlay with a trained prompt or prefix before the first token."""
        found = read_prompt(load_part(self._loaded, None, prompt, next(self._names)), prompt, self._model)
        if isinstance(found, torch.Tensor):
            return dataclasses.replace(applied_adapters, embeddings=found)
        return dataclasses.replace(applied_adapters, prefix=found)

    def _evict(self, in_use: set[int]) -> None:
        """Drop what was not used for longest: overlays first, then adapters that none of the rest needs."""
        for key, applied_adapters in list(self._known.items())[: max(0, len(self._known) - MOST_KEPT)]:
            if id(applied_adapters) not in in_use:
                del self._known[key]
        needed = {stamp for key in self._known for stamp, _ in key}
        unused = [stamp for stamp in self._parts if stamp not in needed]
        if self._shared is None or not unused:
            return
        if len(unused) == len(self._parts):
            self._shared = None
            self._parts.clear()
            return
        for stamp in unused:
            self._shared.peft_model.delete_adapter(self._parts.pop(stamp))
        self._shared.refresh()


def _add_up(sources: Iterable[ScaledAdapter]) -> list[ScaledAdapter]:
    """Each adapter once, with all its scales; without those that come to nothing."""
    found: dict[Stamp, ScaledAdapter] = {}
    for source, scale in sources:
        found[source.stamp] = (source, scale + (found[source.stamp][1] if source.stamp in found else 0.0))
    kept = [entry for entry in found.values() if entry[1] != 0]
    return sorted(kept, key=lambda entry: (entry[0].mixes, entry[0].stamp))  # a DoRA reckons from the bare base


def _check_set(sources: Sequence[ScaledAdapter]) -> None:
    """Raise ModelError for adapters that cannot be applied together, or not with these scales."""
    unscaled = [source.adapter.name for source, scale in sources if scale != 1 and not source.scales]
    if unscaled:
        raise ModelError(
            f"{', '.join(unscaled)} has no scale: parts of it were trained whole, or its kind has none.",
            "Set its scale to 1, or leave it out.",
        )
    owners = [source.adapter.name for source, _ in sources if source.owns]
    if owners and sum(not source.is_prompt for source, _ in sources) > 1:
        raise ModelError(
            f"{_list(sources)} cannot be applied together: {', '.join(owners)} replaces tensors of the base"
            " itself (saved embeddings, biases or whole weights), and only one of them could.",
            "Use them one at a time, in panes of their own.",
        )
    prompts = [entry for entry in sources if entry[0].is_prompt]
    kinds = {source.kind for source, _ in sources if not source.is_prompt}
    if len(prompts) > 1 or len(kinds) > 1:
        raise ModelError(
            f"{_list(sources)} cannot be applied together: only LoRA adapters blend with each other,"
            " and one trained prompt or prefix may stand before them.",
            "Use them one at a time, in panes of their own.",
        )


def _list(sources: Sequence[ScaledAdapter]) -> str:
    return " and ".join(source.adapter.name for source, _ in sources)
