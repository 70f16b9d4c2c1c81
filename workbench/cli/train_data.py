"""The options of `workbench train --bench` that say which data and which base, as they change its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from workbench.errors import TrainingError

if TYPE_CHECKING:
    from workbench.training.recipe import Recipe

Base = Annotated[str, typer.Option(metavar="MODEL", help="With --bench: the model to train, a bench's own too.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE[=WEIGHT]", help="With --bench: train on this file instead. Repeatable."),
]
Split = Annotated[str, typer.Option(metavar="NAME", help="With --bench: the split to train on.")]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="With --bench: only rows with this value. Repeatable."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="VARIABLE=COLUMN", help="With --bench: fill a variable from this column."),
]
Expected = Annotated[str, typer.Option(metavar="COLUMN", help="With --bench: column with the expected answer.")]
Group = Annotated[str, typer.Option(metavar="COLUMN", help="With --bench: column whose rows stay in one part.")]


class DataOptions(NamedTuple):
    """As they were typed."""

    data: list[str]
    split: str
    where: list[str]
    columns: list[str]
    expected: str
    group: str

    def change(self, recipe: Recipe, base: str) -> Recipe:
        """The recipe with what was said. Raises TrainingError."""
        import msgspec

        from workbench.datasets.spec import Dataset
        from workbench.training.recipe_data import WeightedDataset, read_weighted_path
        from workbench.training.recipe_problems import check_recipe

        fields = self._read_fields()
        files = [read_weighted_path(item) for item in self.data]
        changes: dict[str, Any] = {"base": base} if base else {}
        if len(files) > 1:
            changes["datasets"] = tuple(WeightedDataset(path, **fields, weight=weight) for path, weight in files)
        elif files and files[0][1] != 1:
            raise TrainingError(f"--data {self.data[0]}: a single file needs no weight.", "Leave =WEIGHT out.")
        elif files or fields:
            changes["train"] = Dataset(files[0][0] if files else "", **fields)
        changed = msgspec.structs.replace(recipe, **changes)
        check_recipe(changed)
        return changed

    def is_empty(self, base: str) -> bool:
        return not base and not any(self)

    def _read_fields(self) -> dict[str, Any]:
        where: dict[str, Any] = {}
        for name, value in (_read_pair(item, "--where", "COLUMN=VALUE") for item in self.where):
            where[name] = (*where.get(name, ()), value)
        fields = {
            "split": self.split,
            "where": {name: values if len(values) > 1 else values[0] for name, values in where.items()},
            "columns": dict(_read_pair(item, "--column", "VARIABLE=COLUMN") for item in self.columns),
            "expected": self.expected,
            "group": self.group,
        }
        return {name: value for name, value in fields.items() if value}


def _read_pair(item: str, option: str, form: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise TrainingError(f"{option} {item} is incomplete.", f"Expected {form}.")
    return name, value
