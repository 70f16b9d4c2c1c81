"""`workbench sweep`: a recipe tried with other numbers, ranked on the validation split.

Knows nothing of how values are chosen or judged (training/sweep.py).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal

if TYPE_CHECKING:
    from workbench.training.sweep import Ranking, Trial


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE.recipe.yaml", help="The recipe to begin with.")],
    trials: Annotated[int, typer.Option(min=0, metavar="N", help="How often to try; 0 only shows what is known.")] = 8,
    value: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="FIELD=…", help="Values 4,8,16 or a range 1e-4..5e-3; repeat for several."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The study; else as the recipe's file.")] = "",
    minutes: Annotated[float | None, typer.Option(help="Begin no trial after so many minutes.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the ranking as JSON.")] = False,
) -> None:
    """Search for better hyperparameters.

    Trials that fall behind the others are ended early. The study is kept: calling it again goes on with it, and several
    calls at the same time share it. Trials are compared on the validation split; the test split is left alone.

    \b
      workbench sweep queues.recipe.yaml
      workbench sweep queues.recipe.yaml --trials 20 --try method.rank=4,8,16 --try training.learning_rate=1e-4..5e-3
      workbench sweep queues.recipe.yaml --trials 0

    \b
    Exit codes: 0 all went well; 2 the recipe, or a value to try, cannot be
    used; 130 interrupted, and what was tried is kept.
    """
    import msgspec

    from workbench.settings import load_settings
    from workbench.training.recipe import load_recipe
    from workbench.training.space import USUAL, read_values
    from workbench.training.sweep import Sweep
    from workbench.training.task import name_of, open_task

    recipe = load_recipe(file)
    folder = file.absolute().parent
    open_task(recipe, folder, load_settings(), name_of(file))
    space = dict(map(read_values, value)) if value else USUAL
    ranking = Sweep(recipe, folder, name or name_of(file), space).run(trials, terminal.say, minutes)
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(ranking), indent=2).decode() + "\n")
    else:
        _show(ranking)


def _show(ranking: Ranking) -> None:
    from workbench.cli.table import console, make_table, show

    if not ranking.trials:
        terminal.say("Nothing was tried yet.")
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
        terminal.say(f"Trial {ranking.best.number} leads; by the intervals {close} may be as good.")


def _score(trial: Trial) -> str:
    if trial.score is None:
        return "–"
    interval = "" if math.isnan(trial.score.low) else f" ({trial.score.low:.3f} – {trial.score.high:.3f})"
    return f"{trial.score.value:.3f}{interval}"
