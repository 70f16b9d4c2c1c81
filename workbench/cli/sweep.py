"""`workbench sweep`: a hyper-parameter search over a recipe, ranked on the validation split."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, Ray

if TYPE_CHECKING:
    from workbench.training.sweep import Ranking, Trial


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE.recipe.yaml", help="The recipe to start from.")],
    trials: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of trials; 0 only shows the results so far.")
    ] = 8,
    value: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="FIELD=…", help="Values 4,8,16 or a range 1e-4..5e-3. Repeatable."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the study. Default: the recipe's file name.")] = "",
    minutes: Annotated[float | None, typer.Option(metavar="N", help="Start no trial after this many minutes.")] = None,
    ray: Ray = "",
    json: Json = False,
) -> None:
    """Search for better hyper-parameters.

    Trials that fall behind are stopped early. The study is stored: calling it again continues it, and several calls at
    the same time share it. Trials are compared on the validation split; the test split is not used.
    With --ray each graphics card of a cluster, or each node without one, trains a trial at a time; the recipe's files
    must be at the same paths on every node.

    \b
      workbench sweep queues.recipe.yaml
      workbench sweep queues.recipe.yaml --trials 20 --try method.rank=4,8,16 --try training.learning_rate=1e-4..5e-3
      workbench sweep queues.recipe.yaml --trials 20 --ray head-node:6379
      workbench sweep queues.recipe.yaml --trials 0

    \b
    Exit codes: 0 success; 2 the recipe, or a value to try, cannot be used; 130
    interrupted, finished trials are kept.
    """
    import msgspec

    from workbench.settings import load_settings
    from workbench.training.recipe_file import load_recipe
    from workbench.training.search_space import DEFAULT_SPACE, parse_values
    from workbench.training.sweep import Sweep
    from workbench.training.task import open_task, recipe_name

    recipe = load_recipe(file)
    folder = file.absolute().parent
    task = open_task(recipe, folder, load_settings(), recipe_name(file))
    space = dict(map(parse_values, value)) if value else DEFAULT_SPACE
    study = name or recipe_name(file)
    if ray and trials:
        from workbench.cli.cluster import run_sweep

        ranking = run_sweep(ray, task, study, space, trials, minutes)
    else:
        ranking = Sweep(recipe, folder, study, space).run(trials, terminal.log, minutes)
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(ranking), indent=2).decode() + "\n")
    else:
        _show(ranking)


def _show(ranking: Ranking) -> None:
    from workbench.cli.table import console, make_table, show

    if not ranking.trials:
        terminal.log("No trials yet.")
        return
    fields = list(dict.fromkeys(key for trial in ranking.trials for key in trial.values))
    table = make_table(["trial", *fields, ranking.metric or "score", "state", "job"], right=["trial"])
    for trial in ranking.trials:
        values = [
            show(f"{held:.3g}" if isinstance(held := trial.values.get(key, "–"), float) else str(held))
            for key in fields
        ]
        table.add_row(str(trial.number), *values, _score(trial), trial.outcome, show(trial.job))
    console().print(table)
    if ranking.best and ranking.close:
        close = ", ".join(map(str, ranking.close))
        terminal.log(f"Trial {ranking.best.number} is best; within the intervals, {close} may be as good.")


def _score(trial: Trial) -> str:
    if trial.score is None:
        return "–"
    interval = "" if math.isnan(trial.score.low) else f" ({trial.score.low:.3f} – {trial.score.high:.3f})"
    return f"{trial.score.value:.3f}{interval}"
