"""The space of a joint search: instructions, sets of examples, their order, and whether the model reasons."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example
from workbench.units import format_plural

Order = Literal["as drawn", "reversed", "shuffled", "longest last"]
ORDERS: tuple[Order, ...] = get_args(Order)
_SIZES = (1, 2, 4, 8, 16)
_DRAWS = 2
"""sets of each size"""


class JointPoint(NamedTuple):
    """One point of the space, by what it stands for."""

    body: str
    examples: tuple[Example, ...]
    thinking: Thinking
    label: str


class ExampleSet(NamedTuple):
    """Examples, and what the set is, in words."""

    examples: tuple[Example, ...]
    label: str


class JointSpace(NamedTuple):
    """bodies: with what each is, in words. seed: of what is shuffled."""

    bodies: Sequence[tuple[str, str]]
    sets: Sequence[ExampleSet]
    thinking: Sequence[Thinking]
    seed: int

    @property
    def choices(self) -> dict[str, tuple[str | int, ...]]:
        """Each dimension's values, as a sampler takes them; a dimension of one value is left out."""
        found: dict[str, tuple[str | int, ...]] = {
            "instruction": tuple(range(len(self.bodies))),
            "examples": tuple(range(len(self.sets))),
            "order": ORDERS if any(len(one.examples) > 1 for one in self.sets) else ("as drawn",),
            "thinking": tuple(self.thinking),
        }
        return {name: values for name, values in found.items() if len(values) > 1}

    def resolve(self, chosen: dict[str, str | int]) -> JointPoint:
        """What a sampler's choice stands for."""
        body, about = self.bodies[int(chosen.get("instruction", 0))]
        drawn = self.sets[int(chosen.get("examples", 0))]
        order = str(chosen.get("order", "as drawn"))
        thinking = next(one for one in self.thinking if one == chosen.get("thinking", self.thinking[0]))
        parts = [about, drawn.label]
        if len(drawn.examples) > 1 and order != "as drawn":
            parts.append(order)
        if len(self.thinking) > 1:
            parts.append(f"thinking {thinking}")
        return JointPoint(body, arrange(drawn.examples, order, self.seed), thinking, ", ".join(parts))


def arrange(examples: Sequence[Example], order: str, seed: int) -> tuple[Example, ...]:
    """The examples in another order."""
    arranged = list(examples)
    if order == "reversed":
        arranged.reverse()
    elif order == "shuffled":
        random.Random(f"order {seed}").shuffle(arranged)
    elif order == "longest last":
        arranged.sort(key=lambda one: sum(map(len, one.variables.values())) + len(one.answer))
    return tuple(arranged)


def draw_sets(own: Sequence[Example], pool: Sequence[Example], most: int, seed: int) -> list[ExampleSet]:
    """The prompt's own examples, none, and sets drawn from a pool with as many answers as possible in each.

    most: examples in a set.
    """
    sets = [ExampleSet(tuple(own), f"its own {len(own)} examples" if own else "no examples")]
    if own:
        sets.append(ExampleSet((), "no examples"))
    for size in (one for one in _SIZES if one <= min(most, len(pool))):
        for number in range(1, _DRAWS + 1):
            drawn = draw_mixed(pool, size, random.Random(f"set {seed} {size} {number}"))
            label = f"{format_plural(size, 'example')} (set {number})"
            sets.append(ExampleSet(drawn, label))
    return sets


def draw_mixed(pool: Sequence[Example], size: int, chance: random.Random) -> tuple[Example, ...]:
    """Examples of as many different answers as possible, drawn at random."""
    shuffled = chance.sample(list(pool), len(pool))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, Example]] = []
    for at, example in enumerate(shuffled):
        turn = seen.get(example.answer, 0)
        seen[example.answer] = turn + 1
        ranked.append((turn, at, example))
    return tuple(example for _, _, example in sorted(ranked, key=lambda one: one[:2])[:size])
