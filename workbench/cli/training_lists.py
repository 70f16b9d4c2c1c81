"""`workbench train --jobs` and `--fields`: the training jobs, and every field of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.units import format_duration, format_number, format_score

if TYPE_CHECKING:
    from workbench.training.job import JobInfo


def list_training_jobs(json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show
    from workbench.training.job import list_jobs

    found = list_jobs()
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    if not found:
        terminal.log("No training jobs yet.")
        return
    table = make_table(["job", "state", "update", "loss", "best", "time"], right=["update", "loss", "time"])
    for info in found:
        table.add_row(show(info.id), info.state, *_row(info))
    console().print(table)


def _row(info: JobInfo) -> tuple[str, str, str, str]:
    from workbench.training.events import is_share

    best = "–"
    if info.best:
        score = info.best.scores.get(info.best.metric)
        best = (
            f"{info.best.metric} {format_score(score, is_share(info.best.metric, info.best.free))}"
            if score is not None
            else f"loss {info.best.validation_loss or 0:.4f}"
        )
    loss = format_number(info.loss, 4)
    return f"{info.step}/{info.steps}", loss, best, format_duration(info.seconds)


def list_recipe_fields() -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.training.recipe_fields import list_fields

    table = make_table(["field", "default", "description"])
    for field in list_fields():
        default = "" if field.default in (None, "", (), {}) else str(field.default)
        choices = f" ({', '.join(filter(None, field.choices))})" if field.choices else ""
        table.add_row(
            show(field.path), show("(required)" if field.required else default), show(field.explanation + choices)
        )
    console().print(table)
