"""The messages that pass between a supervisor and its engine's worker.

What an engine says of a failure is cut where it is long: libraries quote the files that they cannot read.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from workbench.inference.types import EngineStatus, Failure, GenerateRequest, LoglikelihoodRequest, Outcome, Tokenized
from workbench.inference.worker.frames import MAX_DETAILS_CHARS, FrameCodec, shorten
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.context_fit import Budget


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything that is sent."""


class LoadModel(_Frame, frozen=True, tag="load"):
    """The first command: load this model. threads 0 leaves the number to the engine."""

    model: Model
    threads: int = 0
    max_context_tokens: int = 8192
    prompt_cache_bytes: int = -1
    """memory for prefixes that nobody needs just now; below 0 leaves it to the engine"""
    step_seconds: float = 0.0
    """what a step may take while someone looks on; 0 leaves it to the engine"""


class SubmitGenerate(_Frame, frozen=True, tag="submit"):
    """Answer a request; its events come under its own id."""

    request: GenerateRequest


class CancelRequest(_Frame, frozen=True, tag="cancel"):
    """End a request; unknown ids are ignored."""

    request: int


class FitPrompt(_Frame, frozen=True, tag="fit"):
    """Tell how a request's prompt would divide over the context; answered by PromptFitted or CommandFailed."""

    call_id: int
    request: GenerateRequest


class Tokenize(_Frame, frozen=True, tag="tokenize"):
    """Show a request as the model would see it; answered by TokenizeResult or CommandFailed."""

    call_id: int
    request: GenerateRequest


class SubmitLoglikelihood(_Frame, frozen=True, tag="loglikelihood"):
    """Score answers; the result comes among the events, under the request's own id."""

    request: LoglikelihoodRequest


Command = LoadModel | SubmitGenerate | CancelRequest | FitPrompt | Tokenize | SubmitLoglikelihood


class LoadingProgress(_Frame, frozen=True, tag="loading"):
    """How far the load is, from 0 to 1; None where that is not known. note: what it waits for, in words."""

    fraction: float | None = None
    note: str = ""


class ModelLoaded(_Frame, frozen=True, tag="loaded"):
    """The model is loaded."""

    info: ModelInfo


class EngineEvents(_Frame, frozen=True, tag="events"):
    """What one step brought."""

    events: tuple[Outcome, ...]


class PromptFitted(_Frame, frozen=True, tag="fitted"):
    """How a request's prompt divides over the context; the budget is over where it does not fit."""

    call_id: int
    budget: Budget


class TokenizeResult(_Frame, frozen=True, tag="shown"):
    """A request as the model would see it."""

    call_id: int
    tokenized: Tokenized


class CommandFailed(_Frame, frozen=True, tag="refused"):
    """A command failed; ticket None means that the model could not be loaded."""

    call_id: int | None
    message: str
    hint: str = ""
    details: str = ""


class StatusReport(_Frame, frozen=True, tag="status"):
    """What the engine is doing; unasked, a few times a second at most."""

    status: EngineStatus


Reply = StatusReport | LoadingProgress | ModelLoaded | EngineEvents | PromptFitted | TokenizeResult | CommandFailed

M = TypeVar("M", CommandFailed, Failure)


def _bound(frame: Reply) -> Reply:
    """The frame with every sentence about a failure as long as a person reads."""
    match frame:
        case CommandFailed():
            return _shorten(frame)
        case EngineEvents(events) if any(isinstance(event, Failure) for event in events):
            return EngineEvents(tuple(_shorten(event) if isinstance(event, Failure) else event for event in events))
    return frame


def _shorten(failed: M) -> M:
    message, hint, details = shorten(failed.message), shorten(failed.hint), shorten(failed.details, MAX_DETAILS_CHARS)
    return msgspec.structs.replace(failed, message=message, hint=hint, details=details)


ENGINE_REPLIES: FrameCodec[Reply] = FrameCodec(Reply)
"""This side's: packs commands, reads replies."""

ENGINE_COMMANDS: FrameCodec[Command] = FrameCodec(Command, prepare=_bound)
"""The engine's side: packs replies, reads commands."""
