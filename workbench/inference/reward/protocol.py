"""The messages between the reward models in use and the process of one."""

from __future__ import annotations

import msgspec

from workbench.inference.types import GenerateRequest
from workbench.inference.worker.frames import FrameCodec
from workbench.models.reference import Adapter, Model


class RewardRequest(msgspec.Struct, frozen=True):
    """An answer to what was asked. The first request loads the adapter and its base."""

    base: Model
    adapter: Adapter
    asked: GenerateRequest
    answer: str


class RewardReply(msgspec.Struct, frozen=True):
    """value: the answer's number. message: what went wrong, as in WorkbenchError; empty: nothing. loaded: whether the
    model could be opened, so that only this answer has no number."""

    value: float = 0.0
    message: str = ""
    hint: str = ""
    details: str = ""
    loaded: bool = True


REWARD_REPLIES: FrameCodec[RewardReply] = FrameCodec(RewardReply)
REWARD_REQUESTS: FrameCodec[RewardRequest] = FrameCodec(RewardRequest)
