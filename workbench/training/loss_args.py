"""The sections of a recipe that objectives of their own kind read: preferences, and rollouts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from workbench.scoring.trust import Spec


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Preference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """preference pairs or labelled answers, for the objectives that learn from them"""

    path: Annotated[
        str, _help("a file with prompt, chosen and rejected; for kto also with prompt, completion and label")
    ] = ""
    votes: Annotated[str, _help("a run whose blind votes become the pairs, instead of a file")] = ""
    validation: Annotated[str, _help("pairs for evaluation, as path; empty: a tenth of the pairs is held out")] = ""
    beta: Annotated[
        float,
        _help(
            "strength of the penalty for moving away from the base; lower moves further; orpo: weight of the odds ratio"
        ),
    ] = 0.1
    desirable_weight: Annotated[float, _help("kto: weight of the good answers; higher where they are rarer")] = 1.0
    undesirable_weight: Annotated[float, _help("kto: weight of the bad answers; higher where they are rarer")] = 1.0


class Rollouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """answers that the model samples while it learns, and their reward; for the objectives grpo and rloo"""

    reward: Annotated[
        tuple[Spec, ...],
        _help("scorers whose weighted sum is the reward, a judge among them; empty: the first of the recipe's scorers"),
    ] = ()
    reward_weights: Annotated[
        tuple[float, ...], _help("weight of each reward, the reward model's last; empty: 1 each")
    ] = ()
    reward_model: Annotated[
        str, _help("adapter trained with objective: reward, by name or path, whose number is a reward; empty: none")
    ] = ""
    num_generations: Annotated[int, _help("answers sampled for each prompt, which are compared with each other")] = 8
    max_tokens: Annotated[int | None, _help("max tokens of a sampled answer; empty: as in evaluation")] = None
    temperature: Annotated[float, _help("sampling temperature; lower explores less")] = 1.0
    top_p: Annotated[float, _help("nucleus sampling, above 0 to 1")] = 1.0
    beta: Annotated[
        float, _help("weight of the KL divergence from the base: higher stays closer to it; 0: no reference")
    ] = 0.04
    num_iterations: Annotated[int, _help("updates on the same sampled answers, with clipped ratios")] = 1
    epsilon: Annotated[float, _help("how far the probability ratio may move before it is clipped")] = 0.2
    samples: Annotated[int, _help("sampled answers of each update that are kept in the job's folder")] = 8


class LossArgs(NamedTuple):
    """What a recipe says to its objective; a section that it leaves out has its defaults."""

    batch_size: int
    packing: bool
    completion_only_loss: bool
    preference: Preference
    rollouts: Rollouts


def find_rollout_problems(rollouts: Rollouts, batch: int) -> Iterator[str]:
    """What cannot be in this section, each with its key. batch: sampled answers of an update."""
    if rollouts.num_generations < 2:
        yield f"rollouts.num_generations: expected a number from 2, found {rollouts.num_generations}"
        return
    if batch % rollouts.num_generations:
        yield (
            f"training.batch_size: an update has {batch} sampled answers, batch_size times gradient_accumulation_steps;"
            f" expected a multiple of rollouts.num_generations ({rollouts.num_generations})"
        )
    counts = {"max_tokens": rollouts.max_tokens, "num_iterations": rollouts.num_iterations}
    yield from (
        f"rollouts.{name}: expected a number from 1, found {count}"
        for name, count in counts.items()
        if count is not None and count < 1
    )
    if not (math.isfinite(rollouts.beta) and rollouts.beta >= 0) or rollouts.samples < 0:
        yield f"rollouts: beta and samples are numbers from 0, found {rollouts.beta:g} and {rollouts.samples}"
    if rollouts.top_p > 1:
        yield f"rollouts.top_p: expected a share above 0 to 1, found {rollouts.top_p}"
    rewards = max(1, len(rollouts.reward)) if rollouts.reward or not rollouts.reward_model else 0
    rewards += bool(rollouts.reward_model)
    if rollouts.reward_weights and len(rollouts.reward_weights) != rewards:
        yield f"rollouts.reward_weights: expected {rewards}, one for each reward, found {len(rollouts.reward_weights)}"
