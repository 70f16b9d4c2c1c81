"""The figures that people watch while a preference is learned, by TRL's names and by ours."""

from __future__ import annotations

from types import MappingProxyType

from workbench.training.events import REWARD_MARGIN

REWARD_METRICS = MappingProxyType({"eval_rewards/margins": REWARD_MARGIN, "eval_rewards/accuracies": "reward accuracy"})
"""Of an evaluation of pairs. An implicit reward is beta times the log-ratio to the reference (arXiv:2305.18290)."""

REWARD_CURVES = MappingProxyType(
    {
        "rewards/chosen": "reward of chosen",
        "rewards/rejected": "reward of rejected",
        "rewards/margins": REWARD_MARGIN,
        "rewards/accuracies": "reward accuracy",
    }
)
"""Of each update."""
