"""`python -m workbench.training.child JOB`, or a recipe: the process that trains.

`accelerate launch -m workbench.training.child my.recipe.yaml` trains the same recipe on several devices or machines.
Knows nothing of how training goes (run.py).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.evaluation import document
from workbench.training.child.resources import step_back
from workbench.training.place import Header, Place, make_place
from workbench.training.recipe import load_recipe
from workbench.training.task import name_of


def main() -> int:
    """Carry out a job's folder or a recipe, the one argument; the exit code."""
    arguments = sys.argv[1:]
    os.umask(0o077)  # checkpoints and journals are the user's own affair, and hold rows of the data
    if len(arguments) != 1:
        print("expected one argument: a job's folder, or a recipe", file=sys.stderr)  # noqa: T201
        return 2
    leads = int(os.environ.get("RANK", "0")) == 0
    try:
        place = _find_place(Path(arguments[0]), leads)
        with contextlib.closing(step_back()) as lease:
            if leads:
                place.claim()
            from workbench.training.child.run import carry_out

            ended = carry_out(place, leads, lease)
    except WorkbenchError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    if leads:
        print(f"{ended.outcome}: {ended.reason} {ended.hint} {ended.adapter}".strip(), file=sys.stderr)  # noqa: T201
        if ended.details:
            print(ended.details, file=sys.stderr)  # noqa: T201
    return 0 if ended.outcome != "failed" else 1


def _find_place(path: Path, leads: bool) -> Place:
    """The job that is meant; a new one for a recipe, of which only the leading process keeps anything."""
    if path.is_dir():
        return Place(path)
    recipe = load_recipe(path)
    name = recipe.name or name_of(path)
    text = document.encode(recipe)
    if leads:
        return make_place(name, text, path.absolute().parent, datetime.now(), str(path.absolute()))
    place = Place(Path(tempfile.mkdtemp(prefix="workbench-")))
    place.write_header(Header(place.folder.name, name, text, str(path.absolute().parent), 0.0, str(path.absolute())))
    return place


if __name__ == "__main__":
    sys.exit(main())
