"""Answers of the model in training, in batches: greedy ones to validation cases, sampled ones to be timed.

Tokens become text by the code of inference: an answer ends where inference ends it, without its reasoning block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.types import Chunk, GenerateRequest, fold
from workbench.training.child.encoder import EncodedRow
from workbench.training.child.training_model import TrainingModel

BATCH_SIZE = 32
GREEDY: Mapping[str, Any] = MappingProxyType({"do_sample": False})


def generate_answers(loaded: TrainingModel, model: Any, asked: Sequence[GenerateRequest]) -> list[str]:
    """The answers in the order of the requests, which have one max_tokens. Raises TemplateError."""
    prompts = [loaded.encoder.prompts.read(request)[1] for request in asked]
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    texts = [""] * len(prompts)
    for first in range(0, len(order), BATCH_SIZE):
        chosen = order[first : first + BATCH_SIZE]
        made = generate_tokens(loaded, model, [prompts[at] for at in chosen], asked[0].sampling.max_tokens)
        for at, ids in zip(chosen, made.tokens, strict=True):
            texts[at] = read_answer(loaded, asked[at], ids)
    return texts


def mean_end_logprob(loaded: TrainingModel, model: Any, rows: Sequence[EncodedRow]) -> float | None:
    """Mean log probability that the expected answers end where they do; None without rows."""
    logs: list[float] = []
    for first in range(0, len(rows), BATCH_SIZE):
        chosen = rows[first : first + BATCH_SIZE]
        made = generate_tokens(loaded, model, [row.ids[: row.end] for row in chosen], 1)
        wanted = torch.tensor([[row.ids[row.end]] for row in chosen])
        logs += made.first.log_softmax(-1).gather(-1, wanted).flatten().tolist()
    return sum(logs) / len(logs) if logs else None


class GeneratedTokens(NamedTuple):
    """tokens: of each row, with padding; first: the logits of each row's first token where one alone was wanted."""

    tokens: list[list[int]]
    first: torch.Tensor


@torch.no_grad()
def generate_tokens(
    loaded: TrainingModel,
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    options: Mapping[str, Any] = GREEDY,
) -> GeneratedTokens:
    """What stands behind each prompt. options: how transformers decodes."""
    width = max(map(len, prompts))
    pad = loaded.tokenizer.pad_token_id or 0
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    training = model.training
    model.eval()
    try:
        with torch.autocast(loaded.device.type, loaded.dtype, enabled=loaded.autocasts):
            made = model.generate(
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                max_new_tokens=max_tokens,
                **options,
                use_cache=True,
                pad_token_id=pad,
                eos_token_id=list(loaded.ends) or None,
                return_dict_in_generate=True,
                output_logits=max_tokens == 1,  # of more, they would fill the memory
            )
    finally:
        model.train(training)
    # prefix and prompt tuning put virtual tokens in front, and generate then returns the new tokens alone
    whole = made.sequences.cpu()
    start = width if whole.shape[1] >= width and bool((whole[:, :width] == ids).all()) else 0
    first = made.logits[0].float().cpu() if made.logits else torch.empty(0)
    return GeneratedTokens([list(row) for row in whole[:, start:].tolist()], first)


def read_answer(loaded: TrainingModel, request: GenerateRequest, ids: Sequence[int]) -> str:
    """The answer that tokens spell, read as an engine reads them."""
    sequence = SequenceState(loaded.encoder.prompts.begin_answer(request, 0.0))
    queue = SequenceQueue(loaded.vocabulary, 1 << 30, lambda: 0.0, lambda ended, failed: queue.running.clear())
    queue.running.append(sequence)
    events = (event for token in ids if queue.running for event in queue.write(sequence, token))
    chunks = [event for event in events if isinstance(event, Chunk)]
    return fold(chunks).text
