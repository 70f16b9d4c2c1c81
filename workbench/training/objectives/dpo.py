"""Direct preference optimization: pairs of a better and a worse answer, by three losses."""

from __future__ import annotations

from functools import partial
from typing import Any

from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import WEIGHT_METHODS, Objective, TrainerSpec, preference_rate
from workbench.training.objectives.rewards import REWARD_CURVES, REWARD_METRICS

_LOSSES = {
    "dpo": ("sigmoid", "preference pairs, logistic loss (arXiv:2305.18290)"),
    "ipo": ("ipo", "preference pairs, squared loss, which overfits less (arXiv:2310.12036)"),
    "hinge": ("hinge", "preference pairs, hinge loss, which leaves pairs alone that are far apart (arXiv:2305.10425)"),
}


def _load(loss: str) -> TrainerSpec:
    from trl import DPOConfig, DPOTrainer

    class TokenizedDpoTrainer(DPOTrainer):  # type: ignore[misc]
        """TRL's trainer, with pairs that are token ids already."""

        def _prepare_dataset(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
            return dataset

    def options(args: LossArgs) -> dict[str, Any]:
        return {"loss_type": [loss], "beta": args.preference.beta}

    return TrainerSpec(TokenizedDpoTrainer, DPOConfig, options)


OBJECTIVES = tuple(
    Objective(
        name,
        summary,
        "pairs",
        preference_rate,
        WEIGHT_METHODS,
        partial(_load, loss),
        metrics=REWARD_METRICS,
        curves=REWARD_CURVES,
    )
    for name, (loss, summary) in _LOSSES.items()
)
