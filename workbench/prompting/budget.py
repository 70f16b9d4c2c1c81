"""Budget: how a prompt's tokens divide over the model's context, and what to do when they do not fit.

Knows which conversations have to be counted; not how they are counted: a model's own tokenizer does that
elsewhere, and its counts come back in the order of `Measure.drafts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from workbench.errors import BudgetError, TemplateError
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.render import Values, find_variables, place_turns, render, render_turns
from workbench.prompting.values import Blank

Strategy = Literal["refuse", "drop"]

_NAMED = 4
"""Examples that are named one by one."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Token counts. system + examples + input is what would be sent; output is reserved for the answer.

    system: the prompt's fixed text and that of the chat template. input: what the case's variables add.
    per_example: id -> tokens. Those of the examples that are sent add up to `examples`; for one that is
        switched off it is what it would add.
    dropped: ids of the examples that are left out to fit; the counts are those without them.
    """

    system: int
    examples: int
    input: int
    output: int
    limit: int
    per_example: dict[str, int]
    dropped: tuple[str, ...] = ()

    @property
    def used(self) -> int:
        return self.system + self.examples + self.input + self.output

    @property
    def over(self) -> bool:
        return self.used > self.limit


class Measure:
    """The conversations to count for one prompt, one case and the examples that are switched on.

    drafts: first with empty variables and no examples; then with the first 0, 1, … all examples; then, for
    each of the prompt's examples that is switched off, all and that one.
    Raises what `render` raises.
    """

    def __init__(self, prompt: Prompt, variables: Values, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)
        on = {example.id for example in examples}
        self.others = tuple(example for example in prompt.examples if example.id not in on)
        bare = render(prompt, variables)
        sets = [self.examples[:count] for count in range(1, len(self.examples) + 1)]
        sets += [(*self.examples, other) for other in self.others]
        self.drafts: tuple[tuple[Message, ...], ...] = (
            _render_blank(prompt, bare),
            bare,
            *_draft(prompt, variables, bare, sets),
        )

    def budget(self, counts: Sequence[int], output: int, limit: int, kept: Sequence[Example] | None = None) -> Budget:
        """The budget, from the token count of each draft. output: tokens reserved for the answer.

        kept: what `fit` sends of the examples; None: all of them.
        """
        if len(counts) != len(self.drafts):
            raise ValueError(f"{len(self.drafts)} counts expected, one for each draft; found {len(counts)}")
        frame, bare = min(counts[0], counts[1]), counts[1]
        steps = counts[1 : len(self.examples) + 2]
        costs = [more - less for less, more in pairwise(steps)]
        costs += [count - steps[-1] for count in counts[len(self.examples) + 2 :]]
        ids = [example.id for example in (*self.examples, *self.others)]
        return Budget(
            system=frame,
            examples=steps[-1 if kept is None else len(kept)] - bare,
            input=bare - frame,
            output=output,
            limit=limit,
            per_example=dict(zip(ids, costs, strict=True)),
            dropped=() if kept is None else self.dropped(kept),
        )

    def dropped(self, kept: Sequence[Example]) -> tuple[str, ...]:
        """The ids of the examples that `fit` left out."""
        ids = {example.id for example in kept}
        return tuple(example.id for example in self.examples if example.id not in ids)


def fit(measure: Measure, counts: Sequence[int], output: int, limit: int, strategy: Strategy) -> tuple[Example, ...]:
    """The examples to send so that prompt and reserved output stay within `limit`.

    `refuse` raises BudgetError when the prompt is too long; `drop` leaves out the last examples until it
    fits, and raises when it does not fit even without any.
    """
    steps = counts[1 : len(measure.examples) + 2]
    if steps[-1] + output <= limit:
        return measure.examples
    if strategy == "drop":
        for kept in range(len(measure.examples) - 1, -1, -1):
            if steps[kept] + output <= limit:
                return measure.examples[:kept]
    raise _too_long(measure.budget(counts, output, limit), strategy)


def _render_blank(prompt: Prompt, bare: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt's fixed text; all of it where the template cannot do without values, such as one that rounds them."""
    try:
        return render(prompt, dict.fromkeys(find_variables(prompt), Blank()))
    except TemplateError:
        return bare


def describe_dropped(measure: Measure, kept: Sequence[Example]) -> tuple[str, ...]:
    """What a person has to know of the examples that `fit` left out, in one sentence; none where it kept all."""
    ids = measure.dropped(kept)
    if not ids:
        return ()
    named = ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
    return (f"{len(ids)} of {len(measure.examples)} examples are left out to fit the context: {named}.",)


def _draft(
    prompt: Prompt,
    variables: Values,
    bare: tuple[Message, ...],
    sets: Sequence[tuple[Example, ...]],
) -> list[tuple[Message, ...]]:
    if prompt.placement == "inline":
        return [render(prompt, variables, examples) for examples in sets]
    every = list({example.id: example for examples in sets for example in examples}.values())
    turns = dict(zip((example.id for example in every), render_turns(prompt, every), strict=False))
    return [place_turns(bare, [turns[example.id] for example in examples if turns]) for examples in sets]


def _too_long(budget: Budget, strategy: Strategy) -> BudgetError:
    prompt = budget.used - budget.output
    least = " even without examples" if strategy == "drop" and budget.examples else ""
    return BudgetError(
        f"The prompt does not fit{least}: {prompt} tokens (system {budget.system}, examples {budget.examples}"
        f", input {budget.input}) and {budget.output} reserved for the answer make {budget.used},"
        f" and the model's context holds {budget.limit}.",
        "Switch examples off, shorten the prompt, lower max_tokens, or choose the strategy `drop`."
        if strategy == "refuse"
        else "Shorten the prompt or lower max_tokens.",
    )
