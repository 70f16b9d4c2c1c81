"""The loss on documents, over all of their tokens: what perplexity is the exponential of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.training.child.encoder import EncodedRow
from workbench.training.child.training_model import TrainingModel

_BATCH_SIZE = 8


@torch.no_grad()
def mean_token_loss(loaded: TrainingModel, model: Any, sequences: Sequence[EncodedRow]) -> float | None:
    """Mean negative log-likelihood of a token, in nats; None without any that has one before it.

    Every token counts the same, however long its sequence; the first of each, which nothing predicts, does not.
    """
    total, count = 0.0, 0
    ordered = sorted(sequences, key=lambda one: len(one.ids))
    training = model.training
    model.eval()
    try:
        for first in range(0, len(ordered), _BATCH_SIZE):
            chosen = [one.ids for one in ordered[first : first + _BATCH_SIZE] if len(one.ids) > 1]
            if chosen:
                total += _sum_losses(loaded, model, chosen)
                count += sum(len(ids) - 1 for ids in chosen)
    finally:
        model.train(training)
    return total / count if count else None


def _sum_losses(loaded: TrainingModel, model: Any, chosen: Sequence[Sequence[int]]) -> float:
    width = max(map(len, chosen))
    ids = torch.zeros((len(chosen), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(chosen):
        ids[row, : len(one)] = torch.tensor(list(one))
        mask[row, : len(one)] = 1
    with torch.autocast(loaded.device.type, loaded.dtype, enabled=loaded.autocasts):
        made = model(input_ids=ids.to(loaded.device), attention_mask=mask.to(loaded.device), use_cache=False)
    logs = made.logits[:, -width:].float().log_softmax(-1).cpu()  # virtual tokens of prompt tuning stand in front
    picked = logs[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    return float(-(picked * mask[:, 1:]).sum())
