"""Answers: what the model in training says to validation cases, greedily, in batches.

Knows nothing of scores. An answer ends where inference ends it: at an end token, at a stop string, at its length; a
reasoning block before it is no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.engines.stop import StopFilter
from workbench.engines.thinking import PLAIN_FORMAT, ThinkingFilter
from workbench.training.child.learner import Learner

AT_ONCE = 32


def write_answers(
    learner: Learner, model: Any, prompts: Sequence[Sequence[int]], max_tokens: int, stops: Sequence[str]
) -> list[str]:
    """The answers in the order of the prompts."""
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    texts = [""] * len(prompts)
    training = model.training
    model.eval()
    try:
        for first in range(0, len(order), AT_ONCE):
            chosen = order[first : first + AT_ONCE]
            for at, ids in zip(
                chosen, _generate(learner, model, [prompts[at] for at in chosen], max_tokens), strict=True
            ):
                texts[at] = _read(learner, prompts[at], ids, stops)
    finally:
        model.train(training)
    return texts


@torch.no_grad()
def _generate(learner: Learner, model: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    width = max(map(len, prompts))
    pad = learner.tokenizer.pad_token_id or 0
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    with torch.autocast(learner.device.type, learner.dtype, enabled=learner.autocasts):
        made = model.generate(
            input_ids=ids.to(learner.device),
            attention_mask=mask.to(learner.device),
            max_new_tokens=max_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=pad,
            eos_token_id=list(learner.ends) or None,
        )
    # a model whose prompt is laid in front as embeddings gives the new tokens alone
    start = width if made.shape[1] >= width and bool((made[:, :width].cpu() == ids).all()) else 0
    return [list(row) for row in made[:, start:].tolist()]


def _read(learner: Learner, prompt: Sequence[int], ids: Sequence[int], stops: Sequence[str]) -> str:
    spelled, ended = b"", False
    for token in ids:
        if learner.vocabulary.ends(token):
            ended = True
            break
        spelled += learner.vocabulary.piece(token)
    tail = b"".join(map(learner.vocabulary.spell, prompt[-16:])).decode("utf-8", "replace")
    thinking = ThinkingFilter(PLAIN_FORMAT.find_open(tail))
    pieces = [*thinking.feed(spelled.decode("utf-8", "replace")), *thinking.flush()]
    stopping = StopFilter(stops)
    unclosed = ended and thinking.open  # as in the engines: what ended by itself inside reasoning is the answer
    text = "".join(piece.text for piece in pieces if unclosed or not piece.thinking)
    return stopping.feed(text) + stopping.flush()
