"""Arithmetic: sums, products and small word problems, with the steps written out or with the number alone.

Knows nothing of the demo's questions.
"""

from __future__ import annotations

import random

from assets.recipe.demo import draw_purchase, plural
from assets.recipe.document import ANSWER, Document, Turn, chat, raw
from assets.recipe.world import World


def arithmetic(world: World, rng: random.Random, size: int) -> Document:
    """Several problems put in one way."""
    style = rng.random()
    if style < 0.2:
        return _facts(rng, size)
    worked = style < 0.8
    system = rng.choice(world.wordings["steps" if worked else "direct"])
    turns = [_problem(world, rng, worked) for _ in range(max(1, size // (60 if worked else 40)))]
    if rng.random() < 0.25:
        return chat("", [Turn(f"{turns[0].question} {system}", turns[0].answer)])
    return chat(system, turns)


def work_change(count: int, price: int, paid: int) -> str:
    """The steps of a change problem, ending in its answer."""
    total = count * price
    return f"{count} x {price} = {total}. {paid} - {total} = {paid - total}. Answer: {paid - total}"


def _change(world: World, rng: random.Random) -> str:
    """A question about change: a whole one, or put together from what is known, in any order."""
    sums = world.sums
    if rng.random() < 0.5:
        return rng.choice(sums["change"])
    pieces = [rng.choice(sums[name]) for name in rng.sample(["count", "price", "paid"], 3)]
    text = " ".join([*pieces, rng.choice(sums["question"])])
    if rng.random() < 0.5:  # two of the sentences run into one
        text = text.replace(". ", rng.choice([", ", " and ", "; ", ", and "]), 1)
    return text


def _problem(world: World, rng: random.Random, worked: bool) -> Turn:
    count, price, paid = draw_purchase(rng)
    thing, total = rng.choice(world.things), count * price
    kind = rng.random()
    if kind < 0.6:
        template, steps, answer = _change(world, rng), work_change(count, price, paid), paid - total
    elif kind < 0.75:
        template, steps, answer = (
            rng.choice(world.sums["total"]),
            f"{count} x {price} = {total}. Answer: {total}",
            total,
        )
    elif kind < 0.9:
        template, steps, answer = (
            rng.choice(world.sums["left"]),
            f"{paid} - {total} = {paid - total}. Answer: {paid - total}",
            paid - total,
        )
    else:
        a, b = rng.randint(2, 60), rng.randint(2, 39)
        template, steps, answer = (
            rng.choice(world.sums["sum"]).replace("{a}", str(a)).replace("{b}", str(b)),
            f"{a} + {b} = {a + b}. Answer: {a + b}",
            a + b,
        )
    question = world.fill(
        template,
        rng,
        n=str(count),
        p=str(price),
        paid=str(paid),
        total=str(total),
        thing=thing,
        things=plural(thing),
        thing2=rng.choice(world.things),
    )
    return Turn(question, steps if worked else str(answer))


def _facts(rng: random.Random, size: int) -> Document:
    """Bare equations: the table that the steps look up."""
    parts: list[tuple[str, float]] = []
    for _ in range(size // 11):
        count, price, paid = draw_purchase(rng)
        kind = rng.random()
        if kind < 0.45:
            left, right = f"{count} x {price} =", count * price
        elif kind < 0.9:
            left, right = f"{paid} - {count * price} =", paid - count * price
        else:
            left, right = f"{count * price} + {price} =", count * price + price
        parts += [(left, 0.0), (f" {right}", ANSWER), ("\n", 0.0)]
    return raw(parts[:-1])
