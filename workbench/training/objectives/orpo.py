"""ORPO: preference pairs without a reference model; cross-entropy of the better answer and an odds ratio in one."""

from __future__ import annotations

from typing import Any

from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import WEIGHT_METHODS, Objective, TrainerSpec, supervised_rate
from workbench.training.objectives.rewards import REWARD_CURVES, REWARD_METRICS

_UNLEARNED = -100


def _load() -> TrainerSpec:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    class TokenizedOrpoTrainer(ORPOTrainer):  # type: ignore[misc]
        """TRL's trainer, with pairs that are token ids already."""

        def tokenize_row(self, feature: dict[str, list[int]], model: Any = None) -> dict[str, list[int]]:
            """The columns that TRL's own method makes of texts, from ids; what is too long loses its end."""
            prompt = feature["prompt_ids"]
            row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
            for side in ("chosen", "rejected"):
                ids = [*prompt, *feature[f"{side}_ids"]][: self.max_length]
                row[f"{side}_input_ids"] = ids
                row[f"{side}_attention_mask"] = [1] * len(ids)
                row[f"{side}_labels"] = [_UNLEARNED] * min(len(prompt), len(ids)) + ids[len(prompt) :]
            return row

    def options(args: LossArgs) -> dict[str, Any]:
        beta = args.preference.beta
        return {"beta": beta, "remove_unused_columns": False}

    return TrainerSpec(TokenizedOrpoTrainer, ORPOConfig, options)


OBJECTIVES = (
    Objective(
        "orpo",
        "preference pairs without a reference model, cross-entropy and odds ratio (arXiv:2403.07691)",
        "pairs",
        supervised_rate,
        WEIGHT_METHODS,
        _load,
        metrics=REWARD_METRICS,
        curves=REWARD_CURVES,
    ),
)
