"""The adapters on one model's weights: each loaded once, however many contexts apply it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.inference.llamacpp.native import LOG, native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.models.adapter_info import check_values, read_contents
from workbench.models.base_shape import BaseShape, read_base_shape
from workbench.models.compatibility import find_problems
from workbench.models.lora_to_gguf import find_gguf
from workbench.models.reference import Adapter, Applied, Model

LoraSet = tuple[tuple[int, float], ...]
"""Addresses of native adapters with their scales, in a fixed order; equal ones ask for the same computation."""


class ContextKey(NamedTuple):
    """What a context is for. deterministic: each request finds it as if it were new."""

    adapters: LoraSet = ()
    deterministic: bool = False


BASE = ContextKey()

_Stamp = tuple[str, int, int]


class LlamaAdapters:
    """Loads adapters when they are first asked for, and again when their file has changed."""

    def __init__(self, model: Model, weights: LoadedWeights) -> None:
        self._model = model
        self._weights = weights
        self._handles: dict[_Stamp, int] = {}
        self._shape: BaseShape | None = None

    def resolve(self, applied: Sequence[Applied]) -> LoraSet:
        """What a context needs to compute with these adapters; the same adapter twice counts with both scales.

        In the order of their files, not of their addresses: a sum of two is then rounded the same in every process.
        Raises ModelError that says everything that is wrong with an adapter.
        """
        scales: dict[int, float] = {}
        for one in applied:
            handle = self._find(one.adapter)
            scales[handle] = scales.get(handle, 0.0) + one.scale
        order = {handle: stamp for stamp, handle in self._handles.items()}
        ordered = sorted(scales.items(), key=lambda one: order[one[0]])
        return tuple((handle, scale) for handle, scale in ordered if scale)

    def _find(self, adapter: Adapter) -> int:
        stamp = _stamp(adapter)
        if stamp not in self._handles:
            self._handles[stamp] = self._load(adapter)
        return self._handles[stamp]

    def _load(self, adapter: Adapter) -> int:
        self._shape = self._shape or read_base_shape(self._model)
        contents = read_contents(adapter)
        problems = find_problems(adapter, contents, self._model, self._shape)
        if problems:
            raise ModelError(
                f"The adapter {adapter.name} cannot be applied to {self._model.name}:\n"
                + "\n".join(f"  {problem}" for problem in problems),
                "Choose an adapter that was trained on this model.",
            )
        check_values(adapter, contents)
        path = adapter.path if adapter.format == "gguf" else find_gguf(adapter, self._model.path)
        LOG.lines.clear()
        handle = native.llama_adapter_lora_init(self._weights.model, os.fsencode(path))
        if not handle:
            raise ModelError(
                f"llama.cpp could not load the adapter {adapter.path}.",
                "It may be made for another model; convert or train it again.",
                "\n".join(LOG.lines),
            )
        address = ctypes.cast(handle, ctypes.c_void_p).value
        assert address
        return address


def _stamp(adapter: Adapter) -> _Stamp:
    """Changes whenever the adapter's weights are written anew."""
    path = adapter.path if adapter.format == "gguf" else adapter.path / "adapter_model.safetensors"
    try:
        state = Path(path).stat()
    except OSError as error:
        raise ModelError(
            f"The adapter {adapter.name} cannot be read at {path}: {error.strerror}.",
            "It may have been moved or deleted; choose it again.",
        ) from error
    return str(path), state.st_mtime_ns, state.st_size
