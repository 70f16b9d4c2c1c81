"""Fields: take named values out of a message and write them as JSON.

Knows nothing of the demo's sentence frames.
"""

from __future__ import annotations

import json
import random

from assets.recipe.document import Document, Turn, chat
from assets.recipe.world import World

PIECES = {
    "name": [
        "I am {name}.",
        "My name is {name}.",
        "{name} here.",
        "This is {name}.",
        "Regards, {name}.",
        "{name} writes to you.",
        "It is for {name}.",
        "Ask for {name}.",
    ],
    "product": [
        "I ordered a {product}.",
        "It is about a {product}.",
        "The {product} is broken.",
        "My {product} has a fault.",
        "I need a new {product}.",
        "I bought the {product}.",
        "One {product}, please.",
    ],
    "city": [
        "I live in {city}.",
        "The shop is in {city}.",
        "Send it to {city}.",
        "I am writing from {city}.",
        "We are in {city}.",
        "It was in {city}.",
    ],
    "day": [
        "It was on {day}.",
        "Please come on {day}.",
        "I called on {day}.",
        "It came on {day}.",
        "By {day} please.",
        "On {day} I saw it.",
    ],
    "order": ["Order {order}.", "My order number is {order}.", "The order is {order}.", "See order {order}."],
    "price": ["It cost {price} euros.", "I paid {price} euros.", "The price was {price} euros."],
    "colour": ["It is {colour}.", "I want it in {colour}.", "The colour is {colour}."],
    "street": ["I live at {street}.", "My address is {street}.", "Bring it to {street}."],
}
WHOLES = [
    "I am {name} from {city} and my {product} is broken since {day}.",
    "{name} from {city} ordered a {product} on {day}.",
    "Please send a {product} to {name} in {city} before {day}.",
    "On {day}, {name} bought a {product} in {city}.",
    "Hello, {name} here, {city}. Where is my {product} from {day}?",
    "The {product} for {name} went to {city} on {day}.",
    "{name} ({city}): {product}, {day}.",
    "In {city} on {day} a {product} was sold to {name}.",
    "{day}: {product} for {name}, {city}.",
    "A {product}, {city}, {day}. Thanks, {name}.",
]
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
    known = ["name", "product", "city", "day"] if whole else rng.sample(sorted(PIECES), rng.randint(2, 5))
    asked = list(known) if rng.random() < 0.5 else rng.sample(known, rng.randint(1, len(known)))
    if rng.random() < 0.5:
        rng.shuffle(asked)
    keys = {field: rng.choice(NAMES[field]) for field in asked}
    turns = []
    for _ in range(max(1, size // 85)):
        values = draw_values(world, rng)
        template = (
            rng.choice(WHOLES)
            if whole
            else " ".join(rng.choice(PIECES[field]) for field in rng.sample(known, len(known)))
        )
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
