"""`workbench train --samples`: the answers that a job sampled for an update, and how reward and scorers moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.errors import TrainingError
from workbench.units import format_number

if TYPE_CHECKING:
    from workbench.training.reward_movement import Movement
    from workbench.training.sampled_answers import SampledAnswer


def show_samples(name: str, step: int | None, json: bool) -> None:
    """Show those of a job, of its last update or another. Raises TrainingError where there are none."""
    import msgspec

    from workbench.training.job import find_job
    from workbench.training.reward_movement import list_movements
    from workbench.training.sampled_answers import read_answers

    job = find_job(name)
    every = read_answers(job.job_dir.folder)
    if not every:
        raise TrainingError(
            f"Job {job.id} has sampled no answers.", "Only objective: grpo and objective: rloo sample answers."
        )
    wanted = step if step is not None else every[-1].step
    chosen = [one for one in every if one.step == wanted]
    if not chosen:
        raise TrainingError(
            f"Job {job.id} has no samples of update {wanted}.", f"It has those of 1 to {every[-1].step}."
        )
    movements = list_movements(tuple(job.events(follow=False)))
    if json:
        shown = {"step": wanted, "samples": chosen, "movements": [one._asdict() for one in movements]}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
        return
    _print(chosen, movements)


def _print(chosen: Sequence[SampledAnswer], movements: Sequence[Movement]) -> None:
    from workbench.cli.table import console, make_table, show

    numbers = ["first updates", "last updates", "validation before", "validation now"]
    table = make_table(["figure", *numbers], right=numbers)
    for one in movements:
        values = [format_number(value, 3) for value in (one.first, one.last, one.base, one.held_out)]
        table.add_row(show(one.name), *values)
    console().print(table)
    samples = make_table(["case", "reward", "expected", "sampled answer"], right=["case", "reward"])
    for sample in chosen:
        samples.add_row(
            str(sample.case), format_number(sample.reward, 3), show(sample.expected), show(sample.answer or "(empty)")
        )
    console().print(f"Samples of update {chosen[0].step}:")
    console().print(samples)
