"""What sampling settings may be, whichever engine they go to."""

from __future__ import annotations

import msgspec

from workbench.errors import EngineError
from workbench.inference.types import Sampling
from workbench.models.reference import ModelInfo

CONSTRAINTS = ("grammar", "regex", "json_schema")
"""Fields of Sampling that constrain the answer; one of them at most."""


def loosen(sampling: Sampling, info: ModelInfo) -> Sampling:
    """A judge's sampling for its model: without the form of the reply where the engine cannot hold it to one.

    A judge is asked for that form in words as well, and its reply is read with care. A person's own grammar or schema
    is refused instead; see `check_sampling`.
    """
    usual = {"grammar": "", "regex": "", "json_schema": None}
    return msgspec.structs.replace(
        sampling, **{name: usual[name] for name in CONSTRAINTS if name in info.unsupported_sampling}
    )


def check_length(prompt_tokens: int, context_tokens: int) -> None:
    """Raise EngineError for a prompt that is empty, or leaves no room for an answer."""
    if not prompt_tokens:
        raise EngineError("The request is empty.", "Write something into the prompt.")
    if prompt_tokens >= context_tokens:
        raise EngineError(
            f"The prompt has {prompt_tokens:,} tokens, and the context holds {context_tokens:,}.",
            "Shorten the prompt, switch examples off, or give the model a larger context.",
        )
