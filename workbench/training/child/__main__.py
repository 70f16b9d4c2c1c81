"""The process that trains: `python -m workbench.training.child JOB_FOLDER_OR_RECIPE`.

`accelerate launch -m workbench.training.child my.recipe.yaml` trains the same recipe on several devices or machines.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from workbench import yaml_document
from workbench.errors import WorkbenchError
from workbench.training.child.environment import lower_priority
from workbench.training.job_dir import JobDir, JobMeta, create_job_dir
from workbench.training.recipe_file import load_recipe
from workbench.training.task import recipe_name


def main() -> int:
    """Run the job folder or recipe in the one argument; the exit code."""
    arguments = sys.argv[1:]
    os.umask(0o077)  # checkpoints and events contain rows of the data
    if len(arguments) != 1:
        print("expected one argument: a job's folder, or a recipe", file=sys.stderr)  # noqa: T201
        return 2
    leads = int(os.environ.get("RANK", "0")) == 0
    try:
        job_dir = _find_job_dir(Path(arguments[0]), leads)
        with contextlib.closing(lower_priority()) as cpu_budget:
            if leads:
                job_dir.acquire()
            from workbench.training.child.run import run_job

            ended = run_job(job_dir, leads, cpu_budget)
    except WorkbenchError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    if leads:
        print(f"{ended.outcome}: {ended.reason} {ended.hint} {ended.adapter}".strip(), file=sys.stderr)  # noqa: T201
        if ended.details:
            print(ended.details, file=sys.stderr)  # noqa: T201
    return 0 if ended.outcome != "failed" else 1


def _find_job_dir(path: Path, leads: bool) -> JobDir:
    """The job that is meant; a new one for a recipe, of which only the leading process keeps anything."""
    if path.is_dir():
        return JobDir(path)
    recipe = load_recipe(path)
    name = recipe.name or recipe_name(path)
    text = yaml_document.encode(recipe)
    if leads:
        return create_job_dir(name, text, path.absolute().parent, datetime.now(), str(path.absolute()))
    job_dir = JobDir(Path(tempfile.mkdtemp(prefix="workbench-")))
    job_dir.write_meta(JobMeta(job_dir.folder.name, name, text, str(path.absolute().parent), 0.0, str(path.absolute())))
    return job_dir


if __name__ == "__main__":
    sys.exit(main())
