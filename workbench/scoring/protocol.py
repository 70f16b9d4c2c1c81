"""The messages between a bench's scorers and their worker process.

A user's function may say as much as it likes: what it says is cut before it is sent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.inference.worker.frames import MAX_DETAILS_CHARS, FrameCodec, shorten
from workbench.scoring.local_code import LocalCode
from workbench.scoring.scorer import Score, ScoringInput

MAX_SCORE_BYTES = 1024 * 1024
MAX_PARTS = 200


class ScorerSetup(msgspec.Struct, frozen=True, tag="setup"):
    """The first message: the bench's scorers, the folder their paths are resolved from, the code that was agreed to,
    and whether it may use the network."""

    specs: tuple[Any, ...]
    folder: str
    codes: tuple[LocalCode, ...] = ()
    network: bool = False


class ScoreRequest(msgspec.Struct, frozen=True, tag="score"):
    """Let the scorer at an index of the bench's list score; answered by a ScoreReply."""

    scorer: int
    scoring_input: ScoringInput


class WorkerReady(msgspec.Struct, frozen=True, tag="ready"):
    """The first reply: from now on the time of an answer is its scorer's."""


class ScoreReply(msgspec.Struct, frozen=True, tag="score"):
    """The score that was asked for."""

    score: Score


ScoringMessage = ScorerSetup | ScoreRequest
ScoringReply = WorkerReady | ScoreReply

SCORING_REPLIES: FrameCodec[ScoringReply] = FrameCodec(ScoringReply, MAX_SCORE_BYTES)
"""This side's: packs messages, reads replies."""

SCORING_MESSAGES: FrameCodec[ScoringMessage] = FrameCodec(ScoringMessage)
"""The worker's side."""


def bound_score(score: Score) -> Score:
    """The score with texts as long as a person reads, each cut one saying so."""
    parts = score.parts
    if len(parts) > MAX_PARTS or any(len(name) > MAX_PARTS for name in parts):
        parts = {name[:MAX_PARTS]: parts[name] for name in list(parts)[:MAX_PARTS]}
    return msgspec.structs.replace(
        score,
        extracted=shorten(score.extracted),
        explanation=shorten(score.explanation),
        details=shorten(score.details, MAX_DETAILS_CHARS),
        parts=parts,
    )
