"""What a scorer asks of a model before it can score, and the replies."""

from __future__ import annotations

from typing import Literal

import msgspec

from workbench.inference.types import Completion, Likelihood, Sampling
from workbench.prompting.prompt import Message, Mode


class ModelCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="model_call"):
    """Let a model answer a conversation.

    model: a key of the bench's `models`, or a name or path that models/reference.py resolves.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    mode: Mode = "chat"


class LoglikelihoodCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="loglikelihood"):
    """How likely the cell's own variant finds each of these answers after the cell's own prompt."""

    answers: tuple[str, ...]
    context: Literal["prompt"] = "prompt"


class GraderReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What came of a request: the completion of a ModelCall, or a likelihood for each answer of a LoglikelihoodCall.

    problem: why there is neither, in a sentence.
    """

    completion: Completion | None = None
    likelihoods: tuple[Likelihood, ...] = ()
    problem: str = ""


GraderRequest = ModelCall | LoglikelihoodCall
