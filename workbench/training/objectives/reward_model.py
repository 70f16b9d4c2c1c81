"""The reward model: a head that gives an answer a number, higher for the better one of each pair (Bradley-Terry)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from workbench.training.events import REWARD_MARGIN
from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import MethodKind, Objective, TrainerSpec, supervised_rate

_METHODS: tuple[MethodKind, ...] = ("lora",)
"""Its head is saved with the adapter, which the others do not do."""


def _load() -> TrainerSpec:
    from trl import RewardConfig, RewardTrainer

    def options(args: LossArgs) -> dict[str, Any]:
        return {}

    return TrainerSpec(RewardTrainer, RewardConfig, options)


OBJECTIVES = (
    Objective(
        "reward",
        "preference pairs train a reward model, which scores answers and generates none (arXiv:2203.02155)",
        "pairs",
        supervised_rate,
        _METHODS,
        _load,
        metrics=MappingProxyType({"eval_margin": REWARD_MARGIN, "eval_accuracy": "reward accuracy"}),
        curves=MappingProxyType({"margin": REWARD_MARGIN, "accuracy": "reward accuracy", "mean_reward": "mean reward"}),
        scores=True,
    ),
)
