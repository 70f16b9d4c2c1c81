"""Embeddings by transformers, pooled as sentence-transformers' files in the folder say, else by the mean.

The files: modules.json lists the steps, 1_Pooling/config.json says how tokens become one vector,
config_sentence_transformers.json has the prompts that stand before queries and documents.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ModelError
from workbench.inference.embedding.protocol import TextKind
from workbench.inference.embedding.worker import too_many_tokens
from workbench.models.reference import Model

Pooling = Literal["mean", "cls", "lasttoken", "max"]
_STEPS = ("Transformer", "Pooling", "Normalize")
_BATCH = 16
_PROMPTS: dict[TextKind, tuple[str, ...]] = {"query": ("query", "s2p_query"), "document": ("document", "passage")}


class HfEmbedder:
    """A Hugging Face folder."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError."""
        from transformers import AutoModel, AutoTokenizer

        folder = model.path
        self._name = model.name
        self._pooling = read_pooling(folder)
        self._prompts = _read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
        try:
            options = {"local_files_only": True, "trust_remote_code": False}
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **options)
            self._model: Any = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"{folder} could not be loaded as an embedding model: {str(error).splitlines()[0]}",
                "Expected a folder with config.json, a tokenizer and weights in safetensors.",
            ) from error
        self._model.eval()
        self._limit = self._find_limit(folder)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        self._tokenizer.padding_side = "right"

    def embed(self, texts: tuple[str, ...], kind: TextKind) -> NDArray[np.float32]:
        prefix = next((self._prompts[name] for name in _PROMPTS[kind] if name in self._prompts), "")
        own = [prefix + text for text in texts]
        with torch.inference_mode():
            batches = [self._embed(own[start : start + _BATCH]) for start in range(0, len(own), _BATCH)]
        return torch.cat(batches).numpy()

    def _embed(self, texts: list[str]) -> torch.Tensor:
        encoded = self._tokenizer(texts, padding=True, return_tensors="pt")
        mask = encoded["attention_mask"]
        for text, length in zip(texts, mask.sum(1).tolist(), strict=True):
            if length > self._limit:
                raise too_many_tokens(self._name, text, length, self._limit)
        accepted = {name: value for name, value in encoded.items() if name in self._tokenizer.model_input_names}
        states = self._model(**accepted).last_hidden_state
        return pool(states, mask, self._pooling)

    def _find_limit(self, folder: Path) -> int:
        own = _read_json(folder / "sentence_bert_config.json").get("max_seq_length")
        trained = getattr(self._model.config, "max_position_embeddings", None)
        found = [int(one) for one in (own, trained, self._tokenizer.model_max_length) if one]
        return min(found, default=512)


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector of each text. states: shape (texts, tokens, dimensions); mask: 1 for tokens that are text, which come
    first."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[torch.arange(len(states)), mask.sum(1) - 1]
    weights = mask.unsqueeze(-1).to(states.dtype)
    if pooling == "max":
        return states.masked_fill(weights == 0, -torch.inf).amax(1)
    return (states * weights).sum(1) / weights.sum(1)


def read_pooling(folder: Path) -> Pooling:
    """How tokens become one vector. Raises ModelError for a step that is not done here."""
    modules = _read_json(folder / "modules.json")
    steps = [str(step.get("type", "")).rpartition(".")[2] for step in modules] if isinstance(modules, list) else []
    unknown = [step for step in steps if step not in _STEPS]
    if unknown:
        raise ModelError(
            f"{folder} needs the step {', '.join(unknown)}, which is not supported.",
            f"Expected a model of the steps {', '.join(_STEPS)}.",
        )
    settings = _read_json(folder / "1_Pooling" / "config.json")
    ways: dict[str, Pooling] = {"pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "lasttoken"}
    ways |= {"pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean"}
    chosen = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
    other = [name for name in chosen if name not in ways]
    if other or len(chosen) > 1:
        raise ModelError(f"{folder} pools by {', '.join(chosen)}, which is not supported.", "Choose another model.")
    return ways[chosen[0]] if chosen else "mean"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
