"""What a scorer asks of a model before it can score, and the replies."""

from __future__ import annotations

from typing import Literal, NamedTuple

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


class RewardCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="reward"):
    """Which number a reward model gives this answer to the cell's own prompt.

    adapter: its name or path. base: the model it was trained on; "" for the one that its config names.
    """

    adapter: str
    base: str
    answer: str


class GraderReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What came of a request: the completion of a ModelCall, a likelihood for each answer of a LoglikelihoodCall, the
    number of a RewardCall.

    problem: why there is neither, in a sentence.
    """

    completion: Completion | None = None
    likelihoods: tuple[Likelihood, ...] = ()
    reward: float | None = None
    problem: str = ""


GraderRequest = ModelCall | LoglikelihoodCall | RewardCall


class GraderName(NamedTuple):
    """The model that answers a request, as a bench names it; "" where it is the cell's own, or an adapter's base."""

    model: str = ""
    adapter: str = ""


def name_grader(request: GraderRequest) -> GraderName:
    """Which model a request is for."""
    if isinstance(request, ModelCall):
        return GraderName(request.model)
    return GraderName(request.base, request.adapter) if isinstance(request, RewardCall) else GraderName()


def needs_prompt(request: GraderRequest) -> bool:
    """Whether it is about the cell's own prompt, as the cell's model was sent it."""
    return not isinstance(request, ModelCall)
