"""A learning curve: the same training on fewer rows, to see how many it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from workbench import paths
from workbench.errors import TrainingError
from workbench.runs.bench import load_bench
from workbench.runs.data_splits import find_data_splits
from workbench.training.events import JobEnded
from workbench.training.job import TrainingJob, start_job
from workbench.training.job_dir import JobDir, JobMeta, jobs_folder
from workbench.training.manifest import Manifest
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import parse_stored_recipe
from workbench.training.registry import Registry

_MIN_UPDATES = 60
"""With few rows more epochs are trained; otherwise the curve would show too few updates, not too few rows."""


def parse_counts(text: str) -> tuple[int, ...]:
    """Numbers of rows such as `10,25,50`. Raises TrainingError for anything else."""
    try:
        counts = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        counts = (0,)
    if any(count < 1 for count in counts):
        raise TrainingError(f"Curve: expected numbers of rows, found {text!r}.", "Such as 10,25,50,100")
    return counts


def train_on_subsets(
    manifest: Manifest,
    counts: Sequence[int],
    log: Callable[[str], None],
    begun: Callable[[TrainingJob], None] = lambda _: None,
) -> Mapping[int, str]:
    """Train the adapter again on each number of rows, one after the other; number of rows -> adapter, its own included.

    begun: called with each job, so that it can be stopped. Raises TrainingError when a training fails or is stopped, or
    when the adapter's job is missing.
    """
    meta = _find_job_meta(manifest)
    recipe = parse_stored_recipe(manifest.recipe, manifest.name)
    own = next(trace.rows for trace in manifest.data if trace.role != "validation")
    registry = Registry()
    made = {}
    for count in sorted(set(counts)):
        if count < own:
            log(f"Training on {count} of {own} rows.")
            fewer = _with_rows(recipe, count, Path(meta.folder))
            fewer = msgspec.structs.replace(fewer, name=f"{manifest.name}-{count}-rows")
            made[count] = _train(fewer, Path(meta.folder), begun)
            name = Path(made[count]).name
            registry.tag(name, add=("curve",))
            registry.retire(name)
    return {**made, own: str(registry.find(manifest.name).path)}


def _find_job_meta(manifest: Manifest) -> JobMeta:
    try:
        return JobDir(jobs_folder() / manifest.job).meta
    except TrainingError as error:
        raise TrainingError(
            f"The job of {manifest.name} is missing, so it cannot be trained again on fewer rows.",
            "Train it again first.",
        ) from error


def _with_rows(recipe: Recipe, count: int, folder: Path) -> Recipe:
    """The recipe on so many rows, drawn by its seed."""
    train, validation = recipe.train, recipe.validation
    if recipe.datasets:
        raise TrainingError(
            f"{recipe.name or 'The adapter'} was trained on several datasets, and a learning curve needs one.",
            "Leave the learning curve out.",
        )
    if train is None:
        bench = paths.find_input(recipe.bench, folder)
        dataset = load_bench(bench).dataset
        if dataset is None:
            raise TrainingError("The bench has no dataset any more.", "Restore it.")
        dataset = msgspec.structs.replace(dataset, path=str(paths.find_input(dataset.path, bench.parent)), limit=None)
        parts = find_data_splits(dataset, bench.parent, None, recipe.auto_split).parts
        train, validation = parts["train"], validation or parts.get("validation")
    fewer = msgspec.structs.replace(train, sample=count, seed=recipe.training.seed)
    batch_size = min(recipe.training.batch_size, count)
    updates = max(_MIN_UPDATES, round(count / batch_size * recipe.training.epochs))
    validation = validation or msgspec.structs.replace(train, split="validation", sample=None)
    return msgspec.structs.replace(
        recipe,
        train=fewer,
        validation=validation,
        training=msgspec.structs.replace(recipe.training, max_steps=updates, batch_size=batch_size),
    )


def _train(recipe: Recipe, folder: Path, begun: Callable[[TrainingJob], None]) -> str:
    """The folder of the adapter. Raises TrainingError."""
    job = start_job(recipe, folder)
    begun(job)
    ended: JobEnded | None = None
    for event in job.events():
        ended = event if isinstance(event, JobEnded) else ended
    if ended is None or not ended.adapter:
        reason = ended.reason if ended else "its process was killed"
        raise TrainingError(
            f"The job {job.id} ended without an adapter: {reason}", ended.hint if ended else "Start it again."
        )
    return ended.adapter
