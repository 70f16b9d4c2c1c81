"""Parity: whether the prompts that are trained are, token by token, those that inference reads.

Knows nothing of engines other than the one whose tokenizer is loaded; the dry run compares further ones.
"""

from __future__ import annotations

from workbench.engines.prompts import Prompts
from workbench.errors import TrainingError
from workbench.training.child.learner import Learner
from workbench.training.child.lessons import Lessons

_CHECKED = 50


def check_parity(learner: Learner, lessons: Lessons) -> None:
    """Raise TrainingError for a row whose prompt would be read otherwise when it is asked."""
    prompts: Prompts = learner.encoder.prompts
    for row, one in list(zip(lessons.rows, lessons.encoded, strict=True))[:_CHECKED]:
        asked = prompts.show(learner.encoder.ask(row)).ids
        if one.ids[: one.prompt] != asked:
            raise TrainingError(
                f"The prompt of row {row.case} would be trained in other tokens than those that are asked.",
                "This is a fault of the workbench; please report it with the base and the prompt.",
            )
