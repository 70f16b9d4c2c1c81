"""Fields: take named values out of a message and write them as JSON.

Knows nothing of the demo's sentence frames.
"""

from __future__ import annotations

import json
import random

from assets.recipe.document import Document, Turn, chat
from assets.recipe.world import World

NAMES = {
    "name": ["name", "name", "customer", "person"],
    "product": ["product", "product", "item", "thing"],
    "city": ["city", "city", "town", "place"],
    "day": ["day", "day", "weekday"],
    "order": ["order", "order_number"],
    "price": ["price", "amount"],
    "colour": ["colour"],
    "street": ["street", "address"],
}


def fields(world: World, rng: random.Random, size: int) -> Document:
    """One or more messages, each with the asked-for values as JSON."""
    whole = rng.random() < 0.5
    known = (
        ["name", "product", "city", "day"] if whole else rng.sample(sorted(world.fields["pieces"]), rng.randint(2, 5))
    )
    asked = list(known) if rng.random() < 0.5 else rng.sample(known, rng.randint(1, len(known)))
    if rng.random() < 0.5:
        rng.shuffle(asked)
    keys = {field: rng.choice(NAMES[field]) for field in asked}
    turns = []
    for _ in range(max(1, size // 85)):
        values = draw_values(world, rng)
        template = _template(world, rng, known, whole)
        message = template
        for field, value in values.items():
            message = message.replace(f"{{{field}}}", str(value))
        turns.append(Turn(message, json.dumps({keys[field]: values[field] for field in asked})))
    listed = (
        ", ".join(keys.values())
        if rng.random() < 0.6
        else " and ".join(
            [", ".join(list(keys.values())[:-1]), list(keys.values())[-1]] if len(keys) > 1 else list(keys.values())
        )
    )
    system = rng.choice(world.wordings["fields_system"]).replace("{names}", listed)
    if rng.random() < 0.25:
        return chat("", [Turn(f"{system}\n{turns[0].question}", turns[0].answer)])
    return chat(system, turns)


def _template(world: World, rng: random.Random, known: list[str], whole: bool) -> str:
    """A message that says the known fields: a whole one, or pieces in any order, with words around that say none."""
    if whole and rng.random() < 0.6:
        sentences = [rng.choice(world.fields["wholes"]["messages"])]
    else:
        sentences = [rng.choice(world.fields["pieces"][field]) for field in rng.sample(known, len(known))]
    for _ in range(rng.choice([0, 0, 1, 2])):
        sentences.insert(rng.randint(0, len(sentences)), rng.choice(world.fields["asides"]["messages"]))
    text = rng.choice([" ", " ", " ", "\n"]).join(sentences)
    if rng.random() < 0.2:
        text = text.replace(". ", ", ", 1)
    return text


def draw_values(world: World, rng: random.Random) -> dict[str, str | int]:
    people = world.people
    return {
        "name": f"{rng.choice(people['first'])} {rng.choice(people['last'])}"
        if rng.random() < 0.8
        else rng.choice(people["first"]),
        "product": rng.choice(world.things),
        "city": rng.choice(people["cities"]),
        "day": rng.choice(people["days"]),
        "order": rng.randint(100, 99999),
        "price": rng.randint(2, 300),
        "colour": rng.choice(people["colours"]),
        "street": f"{rng.choice(people['streets'])} {rng.choice(people['street_kinds'])} {rng.randint(1, 99)}",
    }
