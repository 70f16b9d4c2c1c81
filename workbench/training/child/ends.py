"""Which tokens a base has never learned: their rows in the embedding or the head are as training began, or were added.

Knows nothing of recipes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_SMALL = 0.1
"""The share of the usual length below which a row has not been trained."""

_SAME = 0.9995
"""The cosine from which on two rows are one: tokens that were never seen stay where they began together, and tokens
that are added later begin at the mean of the others."""


def find_untrained(model: Any, tokens: Iterable[int]) -> tuple[int, ...]:
    """Of these tokens those that the base has never learned to read or to write; none where its numbers are packed."""
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    weights = [layer.weight for layer in layers if layer is not None and layer.weight.is_floating_point()]
    return tuple(token for token in sorted(set(tokens)) if any(_is_untrained(weight, token) for weight in weights))


@torch.no_grad()
def _is_untrained(weight: torch.Tensor, token: int) -> bool:
    if token >= weight.shape[0]:
        return False
    row = weight[token].float()
    lengths = weight.norm(dim=1).float()
    if row.norm() <= _SMALL * lengths.median():
        return True
    products = (weight @ weight[token]).float() / (lengths * row.norm()).clamp_min(1e-12)
    products[token] = 0.0
    mean = weight.mean(dim=0).float()
    near_mean = torch.nn.functional.cosine_similarity(row, mean, dim=0) > _SAME
    return bool(near_mean) or bool((products > _SAME).any())
