"""Curve: the same training on fewer rows, to see how many it takes.

Knows nothing of what the adapters score (contest.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from workbench.errors import TrainingError
from workbench.evaluation.bench import load_bench
from workbench.training.job import Job, start
from workbench.training.manifest import Manifest
from workbench.training.place import Header, Place, jobs_folder
from workbench.training.progress import JobEnded
from workbench.training.recipe import Recipe, parse_recipe
from workbench.training.registry import Registry

_LEAST_UPDATES = 60
"""A few rows are read as often as it takes; otherwise the curve would show too few updates, not too few rows."""


def read_counts(text: str) -> tuple[int, ...]:
    """Numbers of rows such as `10,25,50`. Raises TrainingError for anything else."""
    try:
        counts = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        counts = (0,)
    if any(count < 1 for count in counts):
        raise TrainingError(f"Curve: expected numbers of rows, found {text!r}.", "Such as 10,25,50,100")
    return counts


def train_on_fewer(
    manifest: Manifest,
    counts: Sequence[int],
    say: Callable[[str], None],
    begun: Callable[[Job], None] = lambda _: None,
) -> Mapping[int, str]:
    """Adapters like this one that learned so many rows, and this one by the number of its own; one after the other.

    begun: is told each job, so that somebody can end it. Raises TrainingError when a training fails or is ended, or
    when the adapter's recipe is no longer known.
    """
    header = _find_header(manifest)
    recipe = parse_recipe(manifest.recipe, manifest.name)
    own = next(trace.rows for trace in manifest.data if trace.role != "validation")
    registry = Registry()
    made = {}
    for count in sorted(set(counts)):
        if count < own:
            say(f"Training on {count} of {own} rows.")
            fewer = _shrink(recipe, count, Path(header.folder))
            fewer = msgspec.structs.replace(fewer, name=f"{manifest.name}-{count}-rows")
            made[count] = _train(fewer, Path(header.folder), begun)
            name = Path(made[count]).name
            registry.tag(name, add=("curve",))
            registry.retire(name)
    return {**made, own: str(registry.find(manifest.name).path)}


def _find_header(manifest: Manifest) -> Header:
    try:
        return Place(jobs_folder() / manifest.job).header
    except TrainingError as error:
        raise TrainingError(
            f"The job that made {manifest.name} is no longer there, so it cannot be made again with fewer rows.",
            "Train it again first.",
        ) from error


def _shrink(recipe: Recipe, count: int, folder: Path) -> Recipe:
    """The recipe on so many rows, drawn by its seed."""
    from workbench import paths

    train = recipe.train
    if train is None:
        dataset = load_bench(paths.find_input(recipe.bench, folder)).dataset
        if dataset is None:
            raise TrainingError("The bench has no dataset any more.", "Put it back.")
        near = paths.find_input(recipe.bench, folder).parent
        path = str(paths.find_input(dataset.path, near))
        train = msgspec.structs.replace(dataset, path=path, split="train", limit=None)
    fewer = msgspec.structs.replace(train, sample=count, seed=recipe.training.seed)
    school = recipe.training
    batch = min(school.batch, count)
    updates = max(_LEAST_UPDATES, round(count / batch * school.epochs))
    validation = recipe.validation or msgspec.structs.replace(train, split="validation", sample=None)
    return msgspec.structs.replace(
        recipe,
        train=fewer,
        validation=validation,
        training=msgspec.structs.replace(school, steps=updates, batch=batch),
    )


def _train(recipe: Recipe, folder: Path, begun: Callable[[Job], None]) -> str:
    """The folder of the adapter. Raises TrainingError."""
    job = start(recipe, folder)
    begun(job)
    ended: JobEnded | None = None
    for event in job.events():
        ended = event if isinstance(event, JobEnded) else ended
    if ended is None or not ended.adapter:
        reason = ended.reason if ended else "its process was killed"
        raise TrainingError(f"The job {job.id} made no adapter: {reason}", ended.hint if ended else "Start it again.")
    return ended.adapter
