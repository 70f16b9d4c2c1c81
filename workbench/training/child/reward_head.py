"""A reward model: a base with a head that gives a number to a conversation, to be trained or to score answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import peft
import torch
import transformers

from workbench.errors import ModelError, TrainingError
from workbench.inference.transformers.checkpoint import LoadedCheckpoint, load_checkpoint
from workbench.models.adapter_config import find_weights
from workbench.models.reference import Adapter, Model
from workbench.models.safetensors_header import read_tensors
from workbench.training.child.encoder import Encoder
from workbench.training.rows import TrainingRow

_BATCH = 32
HEAD = "score"


def add_head(checkpoint: LoadedCheckpoint, seed: int) -> Any:
    """The checkpoint's model with a new head of one number instead of its own. Raises TrainingError."""
    from accelerate import init_empty_weights

    config = checkpoint.model.config
    config.num_labels = 1
    config.get_text_config().pad_token_id = checkpoint.tokenizer.pad_token_id
    try:
        with init_empty_weights():
            model = transformers.AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise TrainingError(
            f"A {config.model_type} cannot be a reward model: transformers has no classification head for it.",
            "Choose another base, or train by preference pairs directly: objective: dpo.",
            str(error),
        ) from error
    setattr(model, model.base_model_prefix, checkpoint.model.base_model)
    weight = next(checkpoint.model.parameters())
    head = getattr(model, HEAD)
    torch.manual_seed(seed)
    numbers = torch.empty(head.weight.shape).normal_(0.0, config.get_text_config().initializer_range)
    head.weight = torch.nn.Parameter(numbers.to(weight.device), requires_grad=False)
    return model.eval()


class RewardModel:
    """Gives numbers to answers.

    adapter: trained with the objective `reward` on this base; encoder: of the policy, whose base and chat template are
    the same. Raises ModelError.
    """

    def __init__(
        self, adapter: Adapter, base: Model, dtype: torch.dtype, device: torch.device, encoder: Encoder
    ) -> None:
        names = read_tensors(find_weights(adapter.path)).tensors
        if not any(f".{HEAD}." in name for name in names):
            raise ModelError(
                f"{adapter.name} is not a reward model: it has no head that scores answers.",
                "Name an adapter that was trained with objective: reward.",
            )
        checkpoint = load_checkpoint(base, dtype, device, lambda _: True)
        if checkpoint.tokenizer.pad_token is None:
            tokenizer = checkpoint.tokenizer
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        self._pad = int(checkpoint.tokenizer.pad_token_id)
        self._device, self._encoder = device, encoder
        self._model = peft.PeftModel.from_pretrained(add_head(checkpoint, 0), str(adapter.path)).eval()
        self.name = adapter.name

    @torch.no_grad()
    def score(self, rows: Sequence[TrainingRow], answers: Sequence[str]) -> list[float]:
        """The number of each answer to its row's prompt; any real number, higher is better."""
        encoded = [self._encoder.join(row, answer).ids for row, answer in zip(rows, answers, strict=True)]
        found: list[float] = []
        for first in range(0, len(encoded), _BATCH):
            chosen = encoded[first : first + _BATCH]
            width = max(map(len, chosen))
            ids = torch.full((len(chosen), width), self._pad)
            mask = torch.zeros_like(ids)
            for row, one in enumerate(chosen):
                ids[row, : len(one)] = torch.tensor(one)
                mask[row, : len(one)] = 1
            logits = self._model(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).logits
            found += logits[:, 0].float().cpu().tolist()
        return found
