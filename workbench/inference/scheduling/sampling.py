"""The next tokens of all sequences of a step at once."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from workbench.errors import EngineError
from workbench.inference.constraints import compute_masks
from workbench.inference.logprobs import Logits, token_logprob
from workbench.inference.sampler import not_finite
from workbench.inference.scheduling.backend import Outputs
from workbench.inference.scheduling.sequences import SequenceState, is_free
from workbench.inference.vocabulary import Vocabulary

SamplingRow = tuple[SequenceState, int]
"""A sequence that needs a token, and the index of its run in the batch."""


def choose_tokens(rows: Sequence[SamplingRow], outputs: Outputs, vocabulary: Vocabulary) -> list[int | EngineError]:
    """The next token of each row, or why there is none. Those that are plain greedy need no look at all logits."""
    prepare_masks([sequence for sequence, _ in rows])
    plain = [at for at, (sequence, _) in enumerate(rows) if sequence.sampler.plain]
    best, finite = outputs.likeliest([rows[at][1] for at in plain])
    chosen: list[int | EngineError] = [0] * len(rows)
    for at, likeliest, sound in zip(plain, best, finite, strict=True):
        chosen[at] = likeliest if sound else not_finite()
    for at, (sequence, index) in enumerate(rows):
        if not sequence.sampler.plain:
            chosen[at] = choose_token(sequence, outputs.last(index), vocabulary)
        token = chosen[at]
        count = sequence.chunks.request.top_logprobs
        if count and isinstance(token, int):
            sequence.chunks.note(token_logprob(outputs.last(index), token, count, vocabulary.token_to_bytes))
    return chosen


def prepare_masks(sequences: Sequence[SequenceState]) -> None:
    """Compute the masks of all constrained answers of a step at once; see constraints.py."""
    constraints = [sequence.sampler.constraint for sequence in sequences if not sequence.chunks.reasons]
    compute_masks([constraint for constraint in constraints if constraint is not None])


def choose_token(sequence: SequenceState, logits: Logits, vocabulary: Vocabulary) -> int | EngineError:
    """The next token of one sequence, or why there is none. Reasoning that has used up its budget is closed."""
    if closing := sequence.chunks.take_forced_closing():
        sequence.sampler.force(vocabulary.continue_text(closing, special=True))
    try:
        free = functools.partial(is_free, sequence.chunks, vocabulary) if sequence.chunks.framing else None
        return sequence.sampler.choose(logits, free)
    except EngineError as error:
        return error
