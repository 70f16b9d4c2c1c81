"""The few-shot examples that a search may choose from: those of the prompt, and rows of the train part."""

from __future__ import annotations

import random
from collections.abc import Sequence

from workbench.datasets import Case
from workbench.prompting.prompt import Example
from workbench.prompting.render import find_variables
from workbench.search.preparation import Preparation
from workbench.search.splits import identify

_LONGEST = 2000
"""characters of a row beyond which it is no few-shot example: several would fill a context"""


def draw_pool(prepared: Preparation, seed: int, size: int) -> tuple[Example, ...]:
    """The prompt's own examples, those that are switched off too, then rows of train, a row of each answer in turn.

    size: of train rows. Rows without an expected answer, or that show what an example shows already, are left out.
    """
    own = (*prepared.seed.examples, *prepared.disabled)
    taken = {identify(example) for example in own}
    names = {example.id for example in own}
    variables = find_variables(prepared.task.prompt)
    rows = []
    for case in prepared.splits.train:
        made = _make_example(case, variables, names)
        if made is not None and identify(made) not in taken:
            taken.add(identify(made))
            rows.append(made)
    random.Random(seed).shuffle(rows)
    return (*own, *interleave(rows)[:size])


def interleave(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The same examples, one of each answer in turn."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.answer.strip(), []).append(example)
    longest = max(map(len, groups.values()), default=0)
    return tuple(own[turn] for turn in range(longest) for own in groups.values() if turn < len(own))


def _make_example(case: Case, variables: Sequence[str], names: set[str]) -> Example | None:
    """A row as an example with the variables that the prompt shows; None where it can be none."""
    answer = (case.expected or "").strip()
    shown = {name: case.variables[name] for name in variables if name in case.variables}
    if not answer or len(shown) < len(variables) or sum(map(len, shown.values())) + len(answer) > _LONGEST:
        return None
    name = f"t{case.number}"
    typed = tuple(name for name in case.typed if name in shown)
    return Example(name if name not in names else f"train-{case.number}", shown, case.expected or "", typed)
