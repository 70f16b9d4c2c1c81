"""Flattery: scores that are too good because a prompt shows answers to the very cases it is tried on.

Knows nothing of how near two texts are (leaks.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from workbench.evaluation.bench import Variant
from workbench.evaluation.datasets import Case
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.leaks import find_leaks
from workbench.prompting.prompt import Example, Prompt

_SHOWN = 3  # leaks named one by one


def tell_leaks(prompts: Iterable[tuple[Variant, Prompt]], cases: Sequence[Case]) -> Iterator[str]:
    """Which variants show examples that stand in the cases as well; each set of examples is told once."""
    told: list[tuple[Example, ...]] = []
    for variant, prompt in prompts:
        examples = enabled_examples(variant, prompt)
        if not examples or examples in told or variant.perturbation:
            continue
        told.append(examples)
        leaks = find_leaks(examples, cases)
        if leaks:
            shown = ", ".join(f"{leak.example} is case {leak.case} ({leak.kind})" for leak in leaks[:_SHOWN])
            more = f", and {len(leaks) - _SHOWN:,} more" if len(leaks) > _SHOWN else ""
            yield f"{variant.name} shows examples that stand in the test cases: {shown}{more}. Its score flatters."
