"""What a recipe asks for that cannot be, each with the key it is under."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.errors import TrainingError
from workbench.training.loss_args import find_rollout_problems
from workbench.training.method import find_method_problems
from workbench.training.optimizer_args import find_optimizer_problems
from workbench.training.recipe import Recipe, find_objective, find_rollouts
from workbench.training.recipe_data import find_data_problems


def check_recipe(recipe: Recipe, where: str = "The recipe") -> None:
    """Raise TrainingError with everything in the values that cannot be."""
    problems = list(find_value_problems(recipe))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise TrainingError(f"{where} cannot be trained:\n{lines}", "Correct these values.")


def find_value_problems(recipe: Recipe) -> Iterator[str]:
    """What a recipe asks for that cannot be, each with the key it is under."""
    training, evaluation = recipe.training, recipe.evaluation
    if not recipe.base.strip():
        yield "base: expected the name or path of a model, found nothing"
    bare = recipe.dataset_type == "prompt" or not (recipe.train or recipe.preference)
    if bare and not recipe.bench and not recipe.prompt:
        yield "prompt: expected a prompt of the library, or a bench; found neither"
    if not recipe.bench and not recipe.train and not recipe.datasets and not recipe.preference:
        yield "train: expected a dataset, or a bench; found neither"
    counts = {
        "training.batch_size": training.batch_size,
        "training.gradient_accumulation_steps": training.gradient_accumulation_steps,
        "training.max_steps": training.max_steps,
        "training.max_length": training.max_length,
        "evaluation.eval_steps": evaluation.eval_steps,
        "evaluation.max_tokens": evaluation.max_tokens,
    }
    yield from (
        f"{name}: expected a number from 1, found {count}"
        for name, count in counts.items()
        if count is not None and count < 1
    )
    for name in ("cases", "samples", "early_stopping_patience"):
        if getattr(evaluation, name) < 0:
            yield f"evaluation.{name}: expected a number from 0, found {getattr(evaluation, name)}"
    yield from find_data_problems(
        recipe.train, recipe.validation, recipe.datasets, recipe.auto_split, bool(recipe.bench)
    )
    yield from _find_bad_amounts(recipe)
    yield from find_method_problems(recipe.method)
    yield from find_optimizer_problems(recipe.optimizer, recipe.method)
    yield from _find_bad_objective(recipe)


def _find_bad_amounts(recipe: Recipe) -> Iterator[str]:
    training = recipe.training
    positive = {
        "training.epochs": training.epochs,
        "training.learning_rate": training.learning_rate,
        "training.max_grad_norm": training.max_grad_norm,
        "budget.minutes": recipe.budget.minutes,
        **_list_weights(recipe),
    }
    for name, value in positive.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            yield f"{name}: expected a number above 0, found {value}"
    if not 0 <= training.warmup_ratio < 1:
        yield f"training.warmup_ratio: expected a share from 0 to below 1, found {training.warmup_ratio}"
    if not (math.isfinite(training.weight_decay) and training.weight_decay >= 0):
        yield f"training.weight_decay: expected a number from 0, found {training.weight_decay}"


def _list_weights(recipe: Recipe) -> dict[str, float]:
    """The amounts of the sections for preferences and rollouts that must be above 0."""
    preference, rollouts = recipe.preference, recipe.rollouts
    names = ("beta", "desirable_weight", "undesirable_weight")
    found = {f"preference.{name}": getattr(preference, name) for name in names} if preference else {}
    if rollouts:
        found |= {f"rollouts.{name}": getattr(rollouts, name) for name in ("temperature", "top_p", "epsilon")}
    return found


def _find_bad_objective(recipe: Recipe) -> Iterator[str]:
    objective, preference = find_objective(recipe), recipe.preference
    learns = objective.data in ("pairs", "labelled")
    if learns and preference is None:
        yield f"preference: {objective.name} learns from preference pairs; name a file or a run with votes"
    if not learns and preference is not None:
        yield f"preference: {objective.name} does not learn from preference pairs; leave them out, or objective: dpo"
    if recipe.training.batch_size < objective.min_batch:
        yield (
            f"training.batch_size: {objective.name} compares the answers of a batch, expected {objective.min_batch} or"
            f" more, found {recipe.training.batch_size}"
        )
    if objective.scores and recipe.parent:
        yield f"parent: {objective.name} begins with a head of its own, and cannot continue an adapter; leave it out"
    if objective.data == "prompts":
        batch = recipe.training.batch_size * recipe.training.gradient_accumulation_steps
        yield from find_rollout_problems(find_rollouts(recipe), batch)
    elif recipe.rollouts is not None:
        yield f"rollouts: {objective.name} samples no answers; leave them out, or objective: grpo"
    if preference is not None and bool(preference.path) == bool(preference.votes):
        yield "preference: expected either path, a file of pairs, or votes, a run"
    if recipe.training.packing and not objective.packing:
        yield f"training.packing: {objective.name} cannot pack rows"
    if recipe.method.changes_base and objective.data != "rows":
        yield (
            f"method.init_lora_weights: {recipe.method.init_lora_weights} changes the base, which {objective.name}"
            " compares with; leave it out"
        )
    if recipe.method.kind not in objective.methods:
        known = ", ".join(objective.methods)
        yield f"method.kind: {objective.name} is trained by {known}, not by {recipe.method.kind}"
