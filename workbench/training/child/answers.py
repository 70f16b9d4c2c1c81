"""Answers: what the model in training says to validation cases, greedily, in batches.

Knows nothing of scores. What the tokens spell is read by the engines' own code: an answer ends where inference ends
it, and a reasoning block before it is no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from workbench.engines.engine import Chunk, Request, fold
from workbench.engines.rows import Row, Rows
from workbench.training.child.learner import Learner
from workbench.training.encoding import Encoded

AT_ONCE = 32


def write_answers(learner: Learner, model: Any, asked: Sequence[Request]) -> list[str]:
    """The answers in the order of the requests, which have one max_tokens. Raises TemplateError."""
    prompts = [learner.encoder.prompts.read(request)[1] for request in asked]
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    texts = [""] * len(prompts)
    for first in range(0, len(order), AT_ONCE):
        chosen = order[first : first + AT_ONCE]
        made = _generate(learner, model, [prompts[at] for at in chosen], asked[0].sampling.max_tokens)
        for at, ids in zip(chosen, made.tokens, strict=True):
            texts[at] = _read(learner, asked[at], ids)
    return texts


def measure_ends(learner: Learner, model: Any, rows: Sequence[Encoded]) -> float | None:
    """The mean natural logarithm of the probability that an answer which is told ends where it does; None for no
    rows."""
    logs: list[float] = []
    for first in range(0, len(rows), AT_ONCE):
        chosen = rows[first : first + AT_ONCE]
        made = _generate(learner, model, [row.ids[: row.end] for row in chosen], 1)
        wanted = torch.tensor([[row.ids[row.end]] for row in chosen])
        logs += made.first.log_softmax(-1).gather(-1, wanted).flatten().tolist()
    return sum(logs) / len(logs) if logs else None


class _Made(NamedTuple):
    """What was written. tokens: of each row, what pads them included; first: the logits of each row's first one."""

    tokens: list[list[int]]
    first: torch.Tensor


@torch.no_grad()
def _generate(learner: Learner, model: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> _Made:
    width = max(map(len, prompts))
    pad = learner.tokenizer.pad_token_id or 0
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    training = model.training
    model.eval()
    try:
        with torch.autocast(learner.device.type, learner.dtype, enabled=learner.autocasts):
            made = model.generate(
                input_ids=ids.to(learner.device),
                attention_mask=mask.to(learner.device),
                max_new_tokens=max_tokens,
                do_sample=False,
                use_cache=True,
                pad_token_id=pad,
                eos_token_id=list(learner.ends) or None,
                return_dict_in_generate=True,
                output_logits=max_tokens == 1,  # of more, they would fill the memory
            )
    finally:
        model.train(training)
    # a model whose prompt is laid in front as embeddings gives the new tokens alone
    whole = made.sequences.cpu()
    start = width if whole.shape[1] >= width and bool((whole[:, :width] == ids).all()) else 0
    first = made.logits[0].float().cpu() if made.logits else torch.empty(0)
    return _Made([list(row) for row in whole[:, start:].tolist()], first)


def _read(learner: Learner, request: Request, ids: Sequence[int]) -> str:
    """The answer that tokens spell, read as an engine reads them."""
    row = Row(learner.encoder.prompts.begin_answer(request, 0.0))
    rows = Rows[Row](learner.vocabulary, 1 << 30, lambda: 0.0, lambda row, failed: rows.running.clear())
    rows.running.append(row)
    chunks = [event for token in ids if rows.running for event in rows.write(row, token) if isinstance(event, Chunk)]
    return fold(chunks).text
