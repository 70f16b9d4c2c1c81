"""The weights of a Hugging Face folder as transformers would load them: which files count, and which head is the
model's own.

Knows nothing of GGUF. It loads torch: run it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.errors import ModelError
from workbench.models.architectures import find_architecture
from workbench.models.folder import find_weights
from workbench.models.tensors import Tensor, read_tensors

Array = npt.NDArray[Any]

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class Weights(NamedTuple):
    """Every tensor's file and header, by name."""

    files: dict[str, Path]
    headers: dict[str, Tensor]

    @classmethod
    def open(cls, folder: Path) -> Weights:
        """What transformers reads: model.safetensors, or the parts that its index names. Raises ModelError."""
        problems: list[str] = []
        paths = find_weights(folder, problems)
        if problems:
            raise ModelError(
                f"{folder} cannot be converted: {'; '.join(problems)}.",
                "Fetch it again, or save it with safetensors, the default of transformers.",
            )
        files: dict[str, Path] = {}
        headers: dict[str, Tensor] = {}
        for path in paths:
            for name, tensor in read_tensors(path).tensors.items():
                files[name], headers[name] = path, tensor
        return cls(files, headers)

    def problems(self, config: dict[str, Any]) -> Iterator[str]:
        """What keeps the tensors from being the model that the config describes, as parts of a sentence."""
        kind = find_architecture(config)
        if kind is None:
            return
        tied = bool(config.get("tie_word_embeddings"))
        embedding, head = self.headers.get(EMBEDDING), self.headers.get(HEAD)
        if head is None and not tied:
            yield "its output head is missing (lm_head.weight), and its config does not say that it is the embedding"
        if embedding is None and not (tied and head):
            yield f"its token embedding is missing ({EMBEDDING})"
        wanted = (config["vocab_size"], config["hidden_size"])
        for name, tensor in ((EMBEDDING, embedding), (HEAD, head)):
            if tensor and tensor.shape != wanted:
                yield f"{name} has the shape {tensor.shape}, and its config says {wanted}"
        if kind.always_tied and self._has_own_head(config):
            yield f"its output head is another than its token embedding, which {kind.name} has no place for"

    def tensors(self, config: dict[str, Any]) -> Iterator[tuple[str, Array]]:
        """Every tensor that makes a difference, in 32 bits. A head that equals a tied embedding is left out."""
        from safetensors import safe_open

        own = self._has_own_head(config)
        renamed = {HEAD: EMBEDDING} if EMBEDDING not in self.headers else {}
        for path in dict.fromkeys(self.files.values()):
            with safe_open(path, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - the handle is not a mapping
                    if name != HEAD or own or renamed:
                        yield renamed.get(name, name), _read(opened, name)

    def _has_own_head(self, config: dict[str, Any]) -> bool:
        """Whether the output head is no copy of the token embedding: transformers ties only what is equal."""
        if HEAD not in self.headers or EMBEDDING not in self.headers:
            return False
        if not config.get("tie_word_embeddings"):
            return True
        return not np.array_equal(self._value(HEAD), self._value(EMBEDDING), equal_nan=True)

    def _value(self, name: str) -> Array:
        from safetensors import safe_open

        with safe_open(self.files[name], framework="pt") as opened:
            return _read(opened, name)


def _read(opened: Any, name: str) -> Array:
    import torch

    values: Array = opened.get_tensor(name).to(torch.float32).numpy()
    return values
