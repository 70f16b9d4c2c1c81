"""The data of a recipe: one dataset or several with weights, and the automatic split, with what cannot be in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from workbench.datasets.spec import AutoSplit, Dataset


class WeightedDataset(Dataset, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several datasets to train on. weight: how often each of its rows is drawn; 2: twice, 0.5: a seeded half of
    them once."""

    weight: float = 1.0


def read_weighted_path(item: str) -> tuple[str, float]:
    """`FILE` or `FILE=WEIGHT`: the file and its weight; what follows a `=` and is no number belongs to the name."""
    path, separator, weight = item.rpartition("=")
    try:
        return (path, float(weight)) if separator and path else (item, 1.0)
    except ValueError:
        return item, 1.0


def find_data_problems(
    train: Dataset | None,
    validation: Dataset | None,
    datasets: Sequence[WeightedDataset],
    auto_split: AutoSplit | None,
    has_bench: bool,
) -> Iterator[str]:
    """What a recipe says of its data that cannot be, each with the key it is under."""
    if train is not None and datasets:
        yield "datasets: expected either train, one dataset, or datasets, several; found both"
    named = [("train", train), *((f"datasets[{at}]", one) for at, one in enumerate(datasets))]
    for where, dataset in named:
        if dataset is not None and not dataset.path and not has_bench:
            yield f"{where}.path: expected a file or a folder; it may be empty, for the bench's own, only with a bench"
    if validation is not None and not validation.path:
        yield "validation.path: expected a file or a folder, found nothing"
    for at, one in enumerate(datasets):
        if not (math.isfinite(one.weight) and 0 < one.weight <= 100):
            yield f"datasets[{at}].weight: expected a number above 0 and up to 100, found {one.weight}"
    if auto_split is not None:
        shares = {"validation": auto_split.validation, "test": auto_split.test}
        for name, share in shares.items():
            if not 0 <= share < 1:
                yield f"auto_split.{name}: expected a share from 0 to below 1, found {share}"
        if sum(shares.values()) >= 1:
            yield "auto_split: validation and test leave no rows to train on; lower them"
