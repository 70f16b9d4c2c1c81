"""ImportPlan: what an import would make, described before it is written, and its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workbench import files
from workbench.datasets.case import Case
from workbench.errors import BenchError
from workbench.interop.loss import LossList
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, save_bench
from workbench.units import format_plural

_SHOWN = 20
"""kinds of losses that are shown"""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What a person says of an import. files: in one bench. folder: where it is made; None: the working folder.
    name: of the bench; "": as the first file. model: for all variants; "": as the files say, else the first found.
    judge: the model of assertions that a model grades."""

    files: tuple[Path, ...]
    folder: Path | None = None
    name: str = ""
    model: str = ""
    judge: str = ""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would be written, nothing of which is there yet. files: each path with its text, the bench left out.
    kinds: what each file was read as."""

    path: Path
    bench: Bench
    files: dict[Path, str]
    prompts: tuple[Prompt, ...]
    cases: tuple[Case, ...]
    losses: LossList
    notes: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that will be made, the bench last."""
        return (*self.files, self.path)


def describe_plan(plan: ImportPlan) -> list[str]:
    """What was read, and what is lost, in lines."""
    bench = plan.bench
    scorers = ", ".join(one if isinstance(one, str) else next(iter(one)) for one in bench.scorers)
    counts = ", ".join(
        format_plural(len(found), noun)
        for found, noun in ((plan.prompts, "prompt"), (plan.cases, "case"), (bench.variants, "variant"))
    )
    losses = plan.losses.lines()
    more = [f"! and {len(losses) - _SHOWN} more kinds of losses"] if len(losses) > _SHOWN else []
    shown = [f"! {line}" for line in losses[:_SHOWN]] or ["Nothing is lost."]
    return [*plan.kinds, f"{counts}; scorers: {scorers}.", *plan.notes, *shown, *more]


def check_free(plan: ImportPlan) -> None:
    """Raise BenchError where a file is in the way."""
    taken = [path for path in plan.paths if os.path.lexists(path)]
    if taken:
        raise BenchError(
            f"Nothing was made, since {'these exist' if len(taken) > 1 else 'this exists'} already: "
            + ", ".join(map(str, taken[:5])),
            "Choose another name with --name, or another folder with --out.",
        )


def write_import(plan: ImportPlan) -> tuple[Path, ...]:
    """Write the files, the bench last. Never overwrites: raises BenchError or FileError, and then leaves nothing."""
    check_free(plan)
    made: list[Path] = []
    try:
        for path, text in plan.files.items():
            files.write_text(path, text, "")
            made.append(path)
        save_bench(plan.path, plan.bench, "")
    except BaseException:
        for path in made:
            files.remove(path)
        raise
    return plan.paths
