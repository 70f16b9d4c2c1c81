"""Decision: a variant that was chosen, with all that belongs to it, for the program that will serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbench.errors import ModelError, PromptError
from workbench.inference.types import Sampling
from workbench.models.reference import Applied, Model
from workbench.prompting.prompt import Example, Prompt


class Decision(NamedTuple):
    """values: of one case, for the example of a request."""

    name: str
    prompt: Prompt
    examples: Sequence[Example]
    model: Model
    adapters: Sequence[Applied]
    sampling: Sampling
    values: Mapping[str, Any]


def require_local(model: Model, program: str) -> None:
    """Raise ModelError for a model on a server."""
    if model.remote is not None:
        raise ModelError(f"{model.name} is on a server already; {program} needs its files.", "Choose --as python.")


def require_chat(given: Decision, program: str) -> None:
    """Raise PromptError for a completion."""
    if given.prompt.mode == "completion":
        raise PromptError(
            f"{given.prompt.name} is a completion, and {program} sends a conversation.",
            "Choose --as llama-server or vllm, whose request is a completion.",
        )
