"""The process of a reward model: answers from its parent, numbers to it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.inference.reward.protocol import REWARD_REQUESTS, RewardReply, RewardRequest
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import MAX_DETAILS_CHARS, shorten

if TYPE_CHECKING:
    from workbench.inference.transformers.reward_model import RewardModel


def main() -> None:
    """Answer until the parent ends."""
    channel: ParentChannel[RewardRequest] = ParentChannel(REWARD_REQUESTS)
    channel.listen()
    model: RewardModel | None = None
    while (request := channel.receive()) is not None:
        try:
            model = model or _open(request)
            reply = RewardReply(model.score([request.asked], [request.answer])[0])
        except WorkbenchError as error:
            details = error.details[:MAX_DETAILS_CHARS]
            reply = RewardReply(0.0, shorten(error.message), shorten(error.hint), details, model is not None)
        except Exception as error:  # noqa: BLE001  whatever a foreign file does to a library, a person gets a message
            message = f"{request.adapter.name} could not score: {type(error).__name__}: {error}."
            details = shorten(traceback.format_exc(), MAX_DETAILS_CHARS)
            hint = "Choose another reward model."
            reply = RewardReply(0.0, shorten(message), hint, details, model is not None)
        channel.send(reply)


def _open(request: RewardRequest) -> RewardModel:
    from workbench.inference.transformers.reward_model import open_reward_model

    return open_reward_model(request.adapter, request.base)
