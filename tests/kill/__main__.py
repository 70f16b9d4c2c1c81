"""`python -m tests.kill [evaluation|app|training …] [--kills 100] [--seed 1] [--first 0] [--pause 60]`

Evaluations, sessions of the app and trainings, one process of each killed at a random moment: with SIGKILL, SIGTERM,
SIGHUP, with SIGSTOP for a while, or by its terminal's end. Nothing that was saved may be lost or torn, the results must
equal those of an undisturbed run, and nothing may be left behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from gguf_fixture import write_gguf

from . import app, evaluation, training
from .trial import Kill

Turn = Callable[[int, Path], Kill]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(_KINDS), metavar="KIND")
    parser.add_argument("--kills", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pause", type=float, default=1, help="seconds that SIGSTOP lasts")
    chosen = parser.parse_args()
    if unknown := set(chosen.kinds) - set(_KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; expected {', '.join(_KINDS)}")
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
        for kind in chosen.kinds:
            turn = _KINDS[kind](Path(scratch) / kind, chosen.seed, chosen.pause)
            for number in range(chosen.first, chosen.first + chosen.kills):
                kills.append(turn(number, Path(scratch) / kind / str(number)))
                print(f"{number}: {_describe(kills[-1])}", flush=True)
    print("\n".join(_tabulate(kills)))
    return int(any(kill.faults for kill in kills))


def _prepare_evaluation(folder: Path, seed: int, pause: float) -> Turn:
    project = folder / "project"
    evaluation.write_project(project, write_gguf(folder.with_suffix(".gguf")))
    expected = evaluation.EvaluationTrial(project, folder / "undisturbed").run_undisturbed()
    draw = evaluation.draw_kill
    return lambda number, home: evaluation.EvaluationTrial(project, home).run_with(draw(number, seed, pause), expected)


def _prepare_app(folder: Path, seed: int, pause: float) -> Turn:
    project = folder / "project"
    app.write_project(project)
    expected = app.AppTrial(project, folder / "undisturbed").run_undisturbed()
    return lambda number, home: app.AppTrial(project, home).run_with(app.draw_kill(number, seed, pause), expected)


def _prepare_training(folder: Path, seed: int, pause: float) -> Turn:
    from hf_fixture import write_hf

    project = folder / "project"
    training.write_project(project, write_hf(folder.with_suffix(".base")))
    expected = training.TrainingTrial(project, folder / "undisturbed").run_undisturbed()
    draw = training.draw_kill
    return lambda number, home: training.TrainingTrial(project, home).run_with(draw(number, seed, pause), expected)


_KINDS = {"evaluation": _prepare_evaluation, "app": _prepare_app, "training": _prepare_training}


def _describe(kill: Kill) -> str:
    told = "; ".join(kill.faults[:5]) or "survived"
    return f"{kill.kind}: {kill.signal} to the {kill.victim} at {kill.after}: {told}"


def _tabulate(kills: list[Kill]) -> list[str]:
    """What was killed, how, how often, and with how many of them something had not survived."""
    tried = Counter((kill.kind, kill.victim, kill.signal) for kill in kills)
    faulty = Counter((kill.kind, kill.victim, kill.signal) for kill in kills if kill.faults)
    rows = [f"| {' | '.join(key)} | {count} | {faulty[key]} |" for key, count in sorted(tried.items())]
    head = ["| kind | killed | signal | kills | with faults |", "|---|---|---|---|---|"]
    return [*head, *rows, f"{len(kills)} kills, {sum(faulty.values())} with faults"]


if __name__ == "__main__":
    sys.exit(main())
