"""A reward model: a base with a head that gives a number to a conversation, to be trained or to score answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import peft
import torch
import transformers

from workbench.errors import ModelError
from workbench.inference.answer_encoder import AnswerEncoder
from workbench.inference.transformers.checkpoint import LoadedCheckpoint, choose_device, choose_dtype, load_checkpoint
from workbench.inference.transformers.vocabulary import TransformersVocabulary
from workbench.inference.types import GenerateRequest
from workbench.models.adapter_config import find_weights
from workbench.models.hf_folder import inspect_folder
from workbench.models.reference import Adapter, Model
from workbench.models.safetensors_header import read_tensors

_BATCH = 32
HEAD = "score"


def add_head(checkpoint: LoadedCheckpoint, seed: int) -> Any:
    """The checkpoint's model with a new head of one number instead of its own. Raises ModelError."""
    from accelerate import init_empty_weights

    config = checkpoint.model.config
    config.num_labels = 1
    config.get_text_config().pad_token_id = checkpoint.tokenizer.pad_token_id
    try:
        with init_empty_weights():
            model = transformers.AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise ModelError(
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
    """Gives numbers to answers. Made by load_reward_model; encoder: of the base's chat template."""

    def __init__(self, name: str, model: Any, pad: int, device: torch.device, encoder: AnswerEncoder) -> None:
        self.name = name
        self._model, self._pad, self._device, self._encoder = model, pad, device, encoder

    @torch.no_grad()
    def score(self, asked: Sequence[GenerateRequest], answers: Sequence[str]) -> list[float]:
        """The number of each answer to what was asked; any real number, higher is better. Raises TemplateError."""
        encoded = [self._encoder.finish(each, answer).ids for each, answer in zip(asked, answers, strict=True)]
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


def load_reward_model(
    adapter: Adapter, base: Model, dtype: torch.dtype, device: torch.device, encoder: AnswerEncoder | None = None
) -> RewardModel:
    """An adapter that was trained with the objective `reward` on this base.

    encoder: of a policy with the same base and chat template, which is training. Raises ModelError.
    """
    names = read_tensors(find_weights(adapter.path)).tensors
    if not any(f".{HEAD}." in name for name in names):
        raise ModelError(
            f"{adapter.name} is not a reward model: it has no head that scores answers.",
            "Name an adapter that was trained with objective: reward.",
        )
    checkpoint = load_checkpoint(base, dtype, device, lambda _: True)
    tokenizer = checkpoint.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    if encoder is None:
        vocabulary = TransformersVocabulary(tokenizer, inspect_folder(base.path).vocabulary, checkpoint.ends)
        encoder = AnswerEncoder(vocabulary, base.chat_template or checkpoint.chat_template, completes_template=False)
    headed = add_head(checkpoint, 0)
    try:
        model = peft.PeftModel.from_pretrained(headed, str(adapter.path)).eval()
    except RuntimeError as error:
        raise ModelError(
            f"The reward model {adapter.name} was not trained on {base.name}: its weights have other shapes.",
            "Name the base that it was trained on.",
            str(error),
        ) from error
    return RewardModel(adapter.name, model, int(tokenizer.pad_token_id), device, encoder)


def open_reward_model(adapter: Adapter, base: Model) -> RewardModel:
    """The same where nothing is in memory yet, on the device and in the precision that inference chooses."""
    if base.format != "hf" or adapter.format != "peft":
        raise ModelError(
            f"The reward model {adapter.name} needs a Hugging Face folder as its base, and {base.name} is a"
            f" {'GGUF file' if base.format == 'gguf' else base.format} model.",
            "Name the folder that it was trained on as `base`.",
        )
    device = choose_device(base.device_map if base.device_map != "auto" else "")
    dtype = choose_dtype(inspect_folder(base.path).quantization, device, base.dtype)
    return load_reward_model(adapter, base, dtype, device)
