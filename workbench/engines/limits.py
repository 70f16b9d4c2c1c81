"""What sampling settings may be, whichever engine they go to.

Knows nothing of engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from workbench.engines.engine import Sampling
from workbench.errors import EngineError
from workbench.models.reference import Model

_DEFAULTS = Sampling()

LARGEST_BIAS = 1e6
"""Beyond every logit; infinities would turn into numbers that are not numbers."""


def check_sampling(sampling: Sampling, unsupported: Sequence[str] = ()) -> None:
    """Raise EngineError that names every setting out of its range, all at once.

    unsupported: fields that the engine cannot honour; one that is set is refused.
    """
    ranges = (
        ("temperature", sampling.temperature >= 0, "0 or more"),
        ("top_p", 0 < sampling.top_p <= 1, "above 0, and 1 at most"),
        ("top_k", sampling.top_k >= 0, "0 or more"),
        ("min_p", 0 <= sampling.min_p <= 1, "between 0 and 1"),
        ("max_tokens", sampling.max_tokens >= 1, "1 or more"),
        ("repetition_penalty", sampling.repetition_penalty > 0, "above 0"),
        ("frequency_penalty", math.isfinite(sampling.frequency_penalty), "a number"),
        ("presence_penalty", math.isfinite(sampling.presence_penalty), "a number"),
        ("logit_bias", not any(map(math.isnan, sampling.logit_bias.values())), "numbers"),
    )
    wrong = [
        f"{name} is {getattr(sampling, name)!r}, expected {expected}" for name, holds, expected in ranges if not holds
    ]
    if not math.isfinite(sampling.temperature):
        wrong.append(f"temperature is {sampling.temperature!r}, expected a number")
    wrong += [
        f"{name} is set, which this engine cannot honour"
        for name in unsupported
        if getattr(sampling, name) != getattr(_DEFAULTS, name)
    ]
    if sampling.grammar and sampling.json_schema is not None:
        wrong.append("it has both a grammar and a json_schema, expected one of them at most")
    if wrong:
        raise EngineError(f"The sampling cannot be used: {'; '.join(wrong)}.", "Correct the pane's settings.")


def loosen(sampling: Sampling, model: Model) -> Sampling:
    """A judge's sampling for its model: without the form of the reply where the engine cannot hold it to one.

    A judge is asked for that form in words as well, and its reply is read with care. A person's own grammar or schema
    is refused instead; see `check_sampling`.
    """
    if model.format == "gguf":
        return sampling
    return msgspec.structs.replace(sampling, grammar="", json_schema=None)


def check_length(prompt_tokens: int, context_tokens: int) -> None:
    """Raise EngineError for a prompt that is empty, or leaves no room for an answer."""
    if not prompt_tokens:
        raise EngineError("The request is empty.", "Write something into the prompt.")
    if prompt_tokens >= context_tokens:
        raise EngineError(
            f"The prompt has {prompt_tokens:,} tokens, and the context holds {context_tokens:,}.",
            "Shorten the prompt, switch examples off, or give the model a larger context.",
        )


def find_biases(sampling: Sampling, tokenize: Callable[[str], list[int]], vocabulary: int) -> dict[int, float]:
    """Token id -> what is added to its logit. Raises EngineError that names ids beyond the vocabulary."""
    biases: dict[int, float] = {}
    for key, value in sampling.logit_bias.items():
        by_id = key.isascii() and key.isdigit()
        for token in [int(key)] if by_id else tokenize(key):
            biases[token] = min(max(value, -LARGEST_BIAS), LARGEST_BIAS)
    unknown = [str(token) for token in biases if token >= vocabulary]
    if unknown:
        raise EngineError(
            f"logit_bias names tokens that the model does not have: {', '.join(unknown)}.",
            f"Token ids are below {vocabulary:,}; other keys are text.",
        )
    return biases
