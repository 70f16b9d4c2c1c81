"""Questions: what a scorer has to ask of a model before it can judge, and the replies.

Knows nothing of how a question is carried out: the run sends it through the pool.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from workbench.engines.engine import Completion, Likelihood, Sampling
from workbench.prompting.prompt import Message, Mode


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ask"):
    """Let a model answer a conversation.

    model: a key of the bench's `models`, or a name or path that models/reference.py resolves.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    mode: Mode = "chat"


class Weigh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="weigh"):
    """How likely the cell's own variant finds each of these answers after the cell's own prompt."""

    answers: tuple[str, ...]
    context: Literal["prompt"] = "prompt"


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What became of a question: the completion of an Ask, or a likelihood for each answer of a Weigh.

    problem: why there is neither, in a sentence.
    """

    completion: Completion | None = None
    likelihoods: tuple[Likelihood, ...] = ()
    problem: str = ""


Question = Ask | Weigh
