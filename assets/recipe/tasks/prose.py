"""Prose: help-desk text as it might lie in a mailbox, for the model to continue.

Knows nothing of other tasks.
"""

from __future__ import annotations

import random

from assets.recipe.document import ANSWER, TEXT, Document, Turn, chat, raw
from assets.recipe.world import World

OPENERS = ["Dear {first},", "Hello {first},", "Hi {first},", "Good morning {first},"]
THANKS = [
    "thank you for your message.",
    "thanks for writing to us.",
    "we are sorry to hear this.",
    "we are glad that you wrote.",
    "thank you for telling us.",
]
ACTIONS = [
    "We will look at it on {day}.",
    "A colleague in {city} will call you on {day}.",
    "Please send us your order number.",
    "We have sent a new {thing} to you today.",
    "You will hear from us before {day}.",
    "The money will be on your card by {day}.",
    "Please try it again on {day}.",
    "Could you send us a photo of the {thing}?",
    "{first2} from our team takes care of it.",
    "Your order {order} leaves our house on {day}.",
    "We will write to you as soon as we know more.",
]
CLOSERS = ["Best wishes,\n{agent}", "Kind wishes,\n{agent}", "Yours,\n{agent}", "All the best,\n{agent}"]
ASKS = [
    "Answer the customer.",
    "Write a reply.",
    "You work at a help desk. Reply to the message.",
    "Write a kind answer.",
    "",
]


def prose(world: World, rng: random.Random, size: int) -> Document:
    """A message and a reply, a mailbox, or a list of addresses."""
    style = rng.random()
    if style < 0.4:
        first = rng.choice(world.people["first"])
        message = f"{_message(world, rng)} {first} {rng.choice(world.people['last'])}"
        if rng.random() < 0.5:
            return chat(rng.choice(ASKS), [Turn(message, _reply(world, rng, first))])
        return raw([(f"From: {first}\n{message}\n\nReply:\n", TEXT * 3), (_reply(world, rng, first), ANSWER)])
    if style < 0.7:
        return raw(
            [
                (
                    rng.choice(["\n", " ", "\n\n"]).join(_message(world, rng) for _ in range(max(1, size // 30))),
                    ANSWER * 0.5,
                )
            ]
        )
    return raw([("\n\n".join(_card(world, rng) for _ in range(max(1, size // 40))), ANSWER * 0.5)])


def _message(world: World, rng: random.Random) -> str:
    return " ".join(
        world.message(world.clause(rng.choice(world.topics), rng), rng) for _ in range(rng.choice([1, 1, 2]))
    )


def _reply(world: World, rng: random.Random, first: str) -> str:
    actions = " ".join(rng.sample(ACTIONS, rng.randint(1, 2)))
    text = f"{rng.choice(OPENERS)}\n{rng.choice(THANKS)} {actions}\n{rng.choice(CLOSERS)}"
    return world.fill(
        text, rng, first=first, first2=rng.choice(world.people["first"]), agent=rng.choice(world.people["first"])
    )


def _card(world: World, rng: random.Random) -> str:
    people = world.people
    street = f"{rng.choice(people['streets'])} {rng.choice(people['street_kinds'])}"
    style = rng.random()
    if style < 0.4:
        return world.fill(f"{{first}} {{last}}\n{street} {rng.randint(1, 99)}\n{{city}}", rng)
    if style < 0.7:
        return world.fill(f"{street} {rng.randint(1, 99)}, {{city}}: {{first}} {{last}}", rng)
    return world.fill(
        f"{rng.choice(people['streets'])}, {{city}}. Our shop at {rng.randint(1, 99)} {street} opens on {{day}}.", rng
    )
