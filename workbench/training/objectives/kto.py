"""KTO: answers that are good or bad, each for itself, against the mean movement of the model."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from workbench.training.events import KL
from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import WEIGHT_METHODS, Objective, TrainerSpec, preference_rate
from workbench.training.objectives.rewards import REWARD_CURVES, REWARD_METRICS


def _load() -> TrainerSpec:
    from trl import KTOConfig, KTOTrainer

    class TokenizedKtoTrainer(KTOTrainer):  # type: ignore[misc]
        """TRL's trainer, with rows that are token ids already, mismatched answers for the KL term included."""

        def _prepare_dataset(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
            return dataset

    def options(args: LossArgs) -> dict[str, Any]:
        preference = args.preference
        return {
            "beta": preference.beta,
            "desirable_weight": preference.desirable_weight,
            "undesirable_weight": preference.undesirable_weight,
            # an evaluation's KL term is made of the same blocks of rows as that of an update
            "per_device_eval_batch_size": args.batch_size,
        }

    return TrainerSpec(TokenizedKtoTrainer, KTOConfig, options)


OBJECTIVES = (
    Objective(
        "kto",
        "answers labelled good or bad, which need not come in pairs (arXiv:2402.01306)",
        "labelled",
        preference_rate,
        WEIGHT_METHODS,
        _load,
        metrics=MappingProxyType({"eval_rewards/margins": REWARD_METRICS["eval_rewards/margins"], "eval_kl": KL}),
        curves=MappingProxyType({**REWARD_CURVES, "kl": KL}),
        min_batch=2,
    ),
)
