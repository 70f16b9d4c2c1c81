"""GRPO and RLOO: the model samples several answers to each prompt and learns from which had the higher reward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any

from workbench.training.events import KL
from workbench.training.loss_args import LossArgs
from workbench.training.objectives.objective import MethodKind, Objective, TrainerSpec

_METHODS: tuple[MethodKind, ...] = ("lora", "qlora", "full")
_CURVES = MappingProxyType(
    {
        "reward": "reward",
        "reward_std": "reward spread",
        "kl": KL,
        "completions/mean_length": "completion length",
        "completions/clipped_ratio": "cut at max tokens",
        "frac_reward_zero_std": "prompts with equal rewards",
        "entropy": "entropy",
    }
)


def _rate(parameters: int, method: MethodKind) -> float:
    """A tenth of what supervised training takes: rewards are noisier than answers."""
    usual = 2e-4 if parameters < 20e6 else 5e-5 if parameters < 300e6 else 1e-5
    return usual * (0.1 if method == "full" else 1.0)


def _take_ids(base: Any) -> Any:
    """TRL's trainer whose prompts are the ids that inference reads, instead of texts that it would tokenize itself."""

    class IdPromptTrainer(base):  # type: ignore[misc]
        """rollouts: knows the ids of a prompt by its key."""

        def __init__(self, *arguments: Any, rollouts: Any, **options: Any) -> None:
            self._rollout_source = rollouts
            super().__init__(*arguments, **options)

        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [self._rollout_source.prompt_ids(key) for key in prompts], None, {}

    return IdPromptTrainer


def _share(args: LossArgs) -> dict[str, Any]:
    """The arguments that both configs have."""
    wanted = args.rollouts
    return {
        "num_generations": wanted.num_generations,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "beta": wanted.beta,
        "num_iterations": wanted.num_iterations,
        "epsilon": wanted.epsilon,
        "remove_unused_columns": False,
    }


def _load_grpo() -> TrainerSpec:
    from trl import GRPOConfig, GRPOTrainer

    return TrainerSpec(_take_ids(GRPOTrainer), GRPOConfig, _share)


def _load_rloo() -> TrainerSpec:
    from trl import RLOOConfig, RLOOTrainer

    return TrainerSpec(_take_ids(RLOOTrainer), RLOOConfig, _share)


def _objective(name: str, summary: str, load: Callable[[], TrainerSpec]) -> Objective:
    return Objective(name, summary, "prompts", _rate, _METHODS, partial(load), curves=_CURVES, min_batch=2)


OBJECTIVES = (
    _objective(
        "grpo",
        "sampled answers, each against the mean of its prompt's, with a reward from scorers (arXiv:2402.03300)",
        _load_grpo,
    ),
    _objective(
        "rloo",
        "sampled answers, each against the mean of the others, with a reward from scorers (arXiv:2402.14740)",
        _load_rloo,
    ),
)
