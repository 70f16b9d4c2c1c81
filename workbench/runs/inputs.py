"""Whether the cases of a dataset reach the prompts that are to be tried on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from workbench.datasets import Case, Cases
from workbench.datasets.spec import Dataset
from workbench.datasets.turns import has_turns, list_turn_variables, read_turns
from workbench.errors import PromptError, WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables
from workbench.runs.bench import Variant
from workbench.runs.generation import examples_for, render_steps
from workbench.runs.prompt_options import describe_options

_LOOKED_AT = 200
"""cases by which it is seen what they have, and whether a prompt says the same for all"""


def list_columns(cases: Sequence[Case]) -> tuple[str, ...]:
    """The variables that the cases have, whether or not each has a value for it."""
    mapped = cases.mapper.mapped if isinstance(cases, Cases) else ()
    found = dict.fromkeys(name for case in islice(cases, _LOOKED_AT) for name in case.variables)
    own = () if mapped or not isinstance(cases, Cases) else cases.columns
    return tuple(dict.fromkeys((*mapped, *found, *own, *list_turn_variables(islice(cases, _LOOKED_AT)))))


def check_inputs(prompt: Prompt, columns: Collection[str], dataset: Dataset) -> None:
    """A default stands in for a value that a row lacks, but not for a column that the whole dataset lacks.

    Raises PromptError that names the columns there are, and the key that maps one.
    """
    asked = [name for name in find_variables(prompt) if name not in dataset.defaults]
    lacking = [name for name in asked if name not in columns and name in prompt.defaults]
    if not lacking:
        return
    mapping = ", ".join(f"{name}: {'COLUMN' if name in lacking else name}" for name in asked)
    raise PromptError(
        f"The prompt {prompt.name} asks for {', '.join(lacking)}, and the dataset has no such column."
        f" It has {', '.join(columns) or 'none'}. Map it under `dataset`: `columns: {{{mapping}}}`.",
        f"To send the prompt's default with every case, write under `dataset`: `defaults: [{', '.join(lacking)}]`.",
    )


def find_input_warnings(prompts: Iterable[tuple[Variant, Prompt]], cases: Sequence[Case]) -> Iterator[str]:
    """What keeps a comparison from saying what it seems to: a prompt that is the same for all cases, or one that asks
    for what is not done."""
    reported: set[str] = set()
    for variant, prompt in prompts:
        if variant.perturbation:
            continue
        if prompt.unsupported and prompt.name not in reported:
            reported.add(prompt.name)
            yield f"Not used of the prompt {prompt.name}: {prompt.unsupported}."
        if sets := describe_options(variant.sampling, prompt, variant.default_sampling):
            yield f"{variant.name} takes from the file of {prompt.name}: {sets}."
        if is_same_for_all(variant, prompt, cases):
            looked = len(cases) if len(cases) <= _LOOKED_AT else _LOOKED_AT
            asked = ", ".join(find_variables(prompt)) or "no variable"
            yield (
                f"{variant.name} sends the same prompt for all {looked:,} cases"
                f"{' looked at' if looked < len(cases) else ''}: {prompt.name} asks for {asked}, and the cases have "
                f"{', '.join(list_columns(cases)) or 'none'}."
            )


def is_same_for_all(variant: Variant, prompt: Prompt, cases: Sequence[Case]) -> bool:
    """Whether two or more cases are asked, and all of those looked at by the very same messages."""
    if len(cases) < 2:
        return False
    step = max(len(cases) // _LOOKED_AT, 1)
    try:
        chosen = (cases[index] for index in range(0, len(cases), step))
        asked = (read_turns(case)[0].case if has_turns(case) else case for case in chosen)
        rendered = (render_steps(prompt, case.values, examples_for(variant, prompt, case)) for case in asked)
        first = next(rendered)
        return all(other == first for other in rendered)
    except WorkbenchError:  # a cell that cannot be asked says so when its turn comes
        return False
