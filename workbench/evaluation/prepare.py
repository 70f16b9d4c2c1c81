"""Prepared: a variant, its prompt and a case, made into what an engine is asked.

The screen and the command line share it. Knows nothing of engines, tokens or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from workbench.engines.engine import Sampling
from workbench.evaluation.bench import Variant
from workbench.evaluation.dataset import Case
from workbench.prompting.prompt import Example, Message, Mode, Prompt
from workbench.prompting.render import render


class Prepared(msgspec.Struct, frozen=True):
    """Ready for an engine. examples: those that were used, in order."""

    messages: tuple[Message, ...]
    mode: Mode
    sampling: Sampling
    examples: tuple[Example, ...] = ()


def prepare(
    variant: Variant,
    prompt: Prompt,
    case: Case,
    inputs: Mapping[str, str] | None = None,
    examples: Sequence[Example] | None = None,
) -> Prepared:
    """Fill in the prompt of a variant for a case.

    inputs: variables that a person typed over the case's own. examples: the ones to show instead of all that
    are switched on, for a prompt that must be shortened.
    Raises PromptError: a template that does not render, or every variable that is missing.
    """
    chosen = enabled_examples(variant, prompt) if examples is None else tuple(examples)
    messages = render(prompt, overlay(case, inputs or {}).variables, chosen)
    return Prepared(messages, prompt.mode, variant.sampling, chosen)


def overlay(case: Case, inputs: Mapping[str, str]) -> Case:
    """The case with what a person typed over it; `expected` overrides the expected answer."""
    typed = {name: text for name, text in inputs.items() if name != "expected"}
    return msgspec.structs.replace(
        case, variables={**case.variables, **typed}, expected=inputs.get("expected", case.expected)
    )


def enabled_examples(variant: Variant, prompt: Prompt) -> tuple[Example, ...]:
    """The prompt's examples that the variant has not switched off; none where the prompt places none."""
    if prompt.placement == "none":
        return ()
    return tuple(example for example in prompt.examples if example.id not in variant.examples_off)
