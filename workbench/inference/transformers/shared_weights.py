"""The base's tensors, which every adapter's module computes with and none may write.

peft loads an adapter's file into a module by name, and a file may bear names of the base's own tensors: saved
embeddings, `base_layer.weight`, biases. Such a module gets copies of its own of them first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

_SAMPLED = 65_536
"""Numbers of a tensor that its digest looks at, evenly spread."""


class SharedWeights:
    """The tensors of a model that lies in memory once."""

    def __init__(self, model: Any) -> None:
        self._tensors = _named_tensors(model)
        self._ids = {id(tensor) for tensor in self._tensors.values()}
        self._digests = {name: _digest(tensor) for name, tensor in self._tensors.items()}

    def guard(self, module: Any) -> None:
        """Let a module that computes with these tensors own each one that is loaded into it by name."""
        load = type(module).load_state_dict

        def load_into_copies(state: Mapping[str, Any], *given: Any, **named: Any) -> Any:
            self._own(module, state)
            return load(module, state, *given, **named)

        module.load_state_dict = load_into_copies

    def find_changed(self) -> tuple[str, ...]:
        """The names of the tensors that are no longer what they were."""
        return tuple(name for name, tensor in self._tensors.items() if _digest(tensor) != self._digests[name])

    @torch.no_grad()
    def restore(self, reloaded: Any) -> None:
        """Take the numbers of a model that was loaded anew."""
        for name, tensor in _named_tensors(reloaded).items():
            if name in self._tensors:
                self._tensors[name].copy_(tensor)

    def _own(self, module: Any, state: Mapping[str, Any]) -> None:
        owners = _find_owners(module)
        written = (_read(*owners[name]) for name in state if name in owners)
        copies = {id(tensor): _copy(tensor) for tensor in written if id(tensor) in self._ids}
        for part, key in owners.values():  # a tied head follows its embedding
            if (copy := copies.get(id(_read(part, key)))) is not None:
                _write(part, key, copy)


def _named_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Parameters and buffers, each once, under its first name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _find_owners(module: Any) -> dict[str, tuple[Any, str]]:
    """Where each parameter and buffer of a module is kept, tied ones under each of their names."""
    return {
        f"{prefix}.{key}" if prefix else key: (part, key)
        for prefix, part in module.named_modules(remove_duplicate=False)
        for key, tensor in (*part._parameters.items(), *part._buffers.items())
        if tensor is not None
    }


def _read(part: Any, key: str) -> torch.Tensor:
    found: torch.Tensor = part._parameters.get(key) if key in part._parameters else part._buffers[key]
    return found


def _write(part: Any, key: str, tensor: torch.Tensor) -> None:
    (part._parameters if key in part._parameters else part._buffers)[key] = tensor


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        copy = tensor.detach().clone()
    return torch.nn.Parameter(copy, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else copy


def _digest(tensor: torch.Tensor) -> bytes:
    """A fingerprint of a tensor's bytes: all of a small one, evenly spread ones of a large one."""
    with torch.no_grad():
        flat = tensor.detach().reshape(-1)
        stride = max(1, flat.numel() // _SAMPLED)
        numbers = flat[::stride].contiguous().cpu().view(torch.uint8).numpy()
    state = hashlib.blake2b(repr((tuple(tensor.shape), str(tensor.dtype))).encode(), digest_size=16)
    state.update(numbers.tobytes())
    return state.digest()
