"""How long a training will take, from updates and sampled answers that are timed and thrown away."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch

from workbench.datasets import Case
from workbench.scoring.factory import make_scorers
from workbench.training.child.generation import BATCH_SIZE, generate_tokens
from workbench.training.child.rollouts import find_answer_limit
from workbench.training.child.training_data import TrainingData
from workbench.training.child.training_model import TrainingModel
from workbench.training.dry_run import SamplingTime
from workbench.training.recipe import find_rollouts
from workbench.training.task import Task

_MAX_SECONDS = 20.0
"""Time after which the sampled answers are cut off: long ones on a slow machine would take minutes."""

_REFERENCE_SHARE = 1 / 3
"""A reference model's forward pass, of an update's forward and backward pass, which costs about twice as much."""


class RolloutTime(NamedTuple):
    """What it takes to sample the answers of an update.

    answers: sampled; tokens: theirs together, with their ends; seconds: for all of them. cut: they were cut off, and
    `seconds` are for answers of the most tokens.
    """

    answers: int
    tokens: int
    seconds: float
    tokens_per_second: float
    cut: bool = False


def time_rollouts(loaded: TrainingModel, model: Any, data: TrainingData, task: Task) -> RolloutTime | None:
    """Sample the answers of one update, as the training will, by the model before training; None without prompts."""
    training, wanted = task.recipe.training, find_rollouts(task.recipe)
    answers = training.batch_size * training.gradient_accumulation_steps
    rows = data.train.answered
    count = min(len(rows), max(1, answers // wanted.num_generations))
    if not count:
        return None
    chosen = [rows[at * len(rows) // count] for at in range(count)]  # from all over the file, whose rows may be sorted
    prompts = [loaded.encoder.prompts.read(loaded.encoder.ask(row))[1] for row in chosen]
    limit = find_answer_limit(task, data.train)
    options = {
        "do_sample": True,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "max_time": _MAX_SECONDS,
    }
    batch = [prompt for prompt in prompts for _ in range(wanted.num_generations)]
    began = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        made = generate_tokens(loaded, model, batch, limit, options).tokens
    taken = max(time.monotonic() - began, 1e-6)
    tokens = sum(_count_tokens(loaded, ids) for ids in made)
    width = max(1, max(map(len, made), default=0))
    cut = width < limit and taken >= _MAX_SECONDS
    scale = answers / len(batch) * (limit / width if cut else 1.0)
    return RolloutTime(answers, tokens, taken * scale, tokens / taken, cut)


def _count_tokens(loaded: TrainingModel, ids: list[int]) -> int:
    """Tokens of an answer, its end among them, without the padding behind it."""
    end = next((at for at, token in enumerate(ids) if token in loaded.ends), len(ids) - 1)
    return end + 1


def sum_sampling(task: Task, rollouts: RolloutTime, steps: int) -> SamplingTime:
    """What sampling takes of so many updates."""
    wanted = find_rollouts(task.recipe)
    rewarding = make_scorers(wanted.reward or (() if wanted.reward_model else task.scorers[:1]), task.folder)
    return SamplingTime(
        steps * rollouts.seconds / wanted.num_iterations,
        rollouts.answers,
        rollouts.tokens_per_second,
        rollouts.cut,
        tuple(scorer.name for scorer in rewarding if scorer.grader_requests("x", Case(1, {}, "x"))),
    )


def estimate_seconds(
    task: Task, data: TrainingData, steps: int, step_seconds: float, rollouts: RolloutTime | None = None
) -> float:
    """Of all updates and evaluations. step_seconds: of an update, without its sampled answers."""
    evaluation, held = task.recipe.evaluation, len(data.rendered_validation.rows)
    evaluations = 11 if evaluation.eval_steps is None else steps // evaluation.eval_steps + 1
    answered = min(evaluation.cases, held)
    if rollouts is not None:
        wanted = find_rollouts(task.recipe)
        update = step_seconds * (1 + _REFERENCE_SHARE * (wanted.beta > 0)) + rollouts.seconds / wanted.num_iterations
        return steps * update + evaluations * answered * rollouts.seconds / rollouts.answers
    # greedy answers to a batch of cases take about as long as two updates, a forward pass half as long as one
    answers = answered / BATCH_SIZE * step_seconds * 2
    loss_pass = held / task.recipe.training.batch_size * step_seconds / 2
    return steps * step_seconds + evaluations * (answers + loss_pass)
