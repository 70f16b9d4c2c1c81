"""What a recipe's empty fields will be, as a dry run or a job says: field path -> value as one would type it."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.training.dry_run import DryRun
from workbench.training.events import JobStarted
from workbench.training.recipe import Recipe, default_eval_steps
from workbench.units import format_plural

AutoValues = Mapping[str, str]


def of_dry_run(recipe: Recipe, found: DryRun) -> dict[str, str]:
    """What a dry run worked out."""
    return {
        **_common(recipe, found.steps, found.epochs, found.learning_rate, found.device, found.dtype),
        "training.max_length": f"{found.limit:,}",
    }


def of_job(recipe: Recipe, began: JobStarted) -> dict[str, str]:
    """What a job trains with."""
    found = _common(recipe, began.steps, began.epochs, began.learning_rate, began.device, began.dtype)
    return {**found, "evaluation.eval_steps": f"{began.eval_steps:,}"}


def describe_data(recipe: Recipe, rows: int | None = None, validation_rows: int = 0) -> str:
    """Where the rows come from, and how many there are where that is known."""
    paths = [one.path or "the bench's own" for one in recipe.datasets]
    train = ", ".join(paths) or (recipe.train.path if recipe.train else "")
    named = train or (recipe.preference.path if recipe.preference else "")
    source = named or (f"{recipe.bench}, {recipe.variant}" if recipe.variant else recipe.bench) or "votes of a run"
    counted = f" · {format_plural(rows, 'row')}, {validation_rows:,} for validation" if rows is not None else ""
    return f"{source}{counted}"


def _common(recipe: Recipe, steps: int, epochs: float, rate: float, device: str, dtype: str) -> dict[str, str]:
    return {
        "training.max_steps": f"{steps:,}, by epochs" if recipe.training.max_steps is None else "",
        "training.epochs": f"{epochs:g}",
        "training.learning_rate": f"{rate:.2g}",
        "training.device": device,
        "training.dtype": dtype,
        "evaluation.eval_steps": f"{default_eval_steps(steps):,}",
    }
