"""Passages: a short text, questions on it, and "unknown" where it does not say.

Knows nothing of other tasks.
"""

from __future__ import annotations

import random

from assets.recipe.document import Document, Turn, chat
from assets.recipe.world import World

# subject slot, statement, question; the answer is {value}
FACTS = [
    ("{city}", "The shop in {subject} opens at {value}.", "When does the shop in {subject} open?", "hour"),
    ("{thing}", "The {subject} costs {value} euros.", "How much does the {subject} cost?", "number"),
    ("{first}", "{subject} lives in {value}.", "Where does {subject} live?", "city"),
    ("{thing}", "The {subject} is {value}.", "What colour is the {subject}?", "colour"),
    ("{first}", "{subject} comes on {value}.", "When does {subject} come?", "day"),
    ("{first}", "{subject} ordered a {value}.", "What did {subject} order?", "thing"),
    ("{city}", "In {subject} you can ask for {value}.", "Whom can one ask in {subject}?", "first"),
    ("{thing}", "The {subject} is kept in {value}.", "Where is the {subject} kept?", "city"),
    ("{first}", "The house of {subject} is called {value}.", "What is the house of {subject} called?", "street"),
    ("{thing}", "You find the {subject} in {value} Street.", "In which street is the {subject}?", "street"),
    ("{city}", "Our shop in {subject} has the name {value}.", "Which name has the shop in {subject}?", "street"),
]


def passage(world: World, rng: random.Random, size: int) -> Document:
    """Three to six statements and some questions, a third of them without an answer."""
    facts = []
    for _ in range(rng.randint(3, 6)):
        slot, statement, question, kind = rng.choice(FACTS)
        facts.append((world.fill(slot, rng), statement, question, draw_value(world, rng, kind)))
    facts = list(
        {
            (subject, statement): (subject, statement, question, value) for subject, statement, question, value in facts
        }.values()
    )
    text = " ".join(
        statement.replace("{subject}", subject).replace("{value}", value) for subject, statement, _, value in facts
    )
    turns = []
    for _ in range(max(1, (size - len(text) // 4) // 20)):
        if rng.random() < 0.65:
            subject, _, question, value = rng.choice(facts)
            turns.append(Turn(question.replace("{subject}", subject), value))
        else:
            slot, statement, question, _ = rng.choice(FACTS)
            subject = world.fill(slot, rng)
            if (subject, statement) not in {(known, said) for known, said, _, _ in facts}:
                turns.append(Turn(question.replace("{subject}", subject), "unknown"))
    turns = turns or [Turn(facts[0][2].replace("{subject}", facts[0][0]), facts[0][3])]
    system = rng.choice(world.wordings["passage_system"])
    if rng.random() < 0.5:
        return chat(f"{system}\n{text}", turns)
    return chat(system, [Turn(f"{text}\n{turns[0].question}", turns[0].answer)])


def draw_value(world: World, rng: random.Random, kind: str) -> str:
    if kind == "hour":
        return str(rng.randint(6, 12))
    if kind == "number":
        return str(rng.randint(2, 99))
    return world.fill(f"{{{kind}}}", rng)
