"""Batch: documents packed into rows of tokens with a loss weight for each.

Knows nothing of the model.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerFast

from assets.recipe.document import Document
from assets.recipe.mix import Stage, draw
from assets.recipe.world import World


class Batch(NamedTuple):
    """rows x length: token ids, the ids to be predicted, and what each counts."""

    tokens: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def encode(tokenizer: PreTrainedTokenizerFast, document: Document) -> tuple[list[int], list[float]]:
    """Token ids, and the weight of the part in which each token ends."""
    ends = list(accumulate(len(part) for part, _ in document.parts))
    encoding = tokenizer.backend_tokenizer.encode(document.text)
    weights = [document.parts[bisect_right(ends, end - 1)][1] for _, end in encoding.offsets]
    return encoding.ids, weights


def draw_batch(
    world: World, tokenizer: PreTrainedTokenizerFast, rng: random.Random, stage: Stage, rows: int, length: int
) -> Batch:
    """Rows filled with documents, each beginning with a whole one; what does not fit is cut off at the end."""
    tokens, weights = [], []
    for _ in range(rows):
        row: list[int] = []
        row_weights: list[float] = []
        while len(row) <= length:
            _, document = draw(world, rng, stage, int(length * rng.uniform(0.25, 1.0)))
            ids, counts = encode(tokenizer, document)
            row += ids
            row_weights += counts
        tokens.append(row[: length + 1])
        weights.append(row_weights[: length + 1])
    ids_tensor, weight_tensor = torch.tensor(tokens), torch.tensor(weights)
    return Batch(ids_tensor[:, :-1], ids_tensor[:, 1:], weight_tensor[:, 1:])
