"""Supervised fine-tuning: cross-entropy of the expected answers, and DFT's weighted form of it."""

from __future__ import annotations

from typing import Any

from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import EVERY_METHOD, Objective, TrainerSpec, supervised_rate


def _load(loss: str) -> TrainerSpec:
    from trl import SFTConfig, SFTTrainer

    def options(args: LossArgs) -> dict[str, Any]:
        return {
            "loss_type": loss,
            "packing": args.packing,
            "eval_packing": False,
            "completion_only_loss": args.completion_only_loss,
        }

    return TrainerSpec(SFTTrainer, SFTConfig, options)


OBJECTIVES = (
    Objective(
        "sft",
        "cross-entropy of the expected answers",
        "rows",
        supervised_rate,
        EVERY_METHOD,
        lambda: _load("nll"),
        packing=True,
    ),
    Objective(
        "dft",
        "the same with each token weighted by its probability, which generalizes better (arXiv:2508.05629)",
        "rows",
        supervised_rate,
        EVERY_METHOD,
        lambda: _load("dft"),
        packing=True,
    ),
)
