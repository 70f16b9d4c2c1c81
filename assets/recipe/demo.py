"""The demo tasks' data: queues, fields and change, each in train, validation and test splits.

Knows nothing of the model or of its training text, with which it shares no sentence frame and no label.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from assets.recipe.world import World

SPLITS = {"train": 400, "validation": 100, "test": 200}
PROMPTS = Path(__file__).parent.parent.parent / "prompts"
Row = dict[str, str]


def write_demo(folder: Path, world: World, seed: int = 7) -> None:
    """Write every task's splits as JSON Lines below `folder`; the same seed writes the same bytes.

    What the shipped prompts show as examples is left out.
    """
    for task, draw in {"queues": draw_queues, "fields": draw_fields, "change": draw_change}.items():
        rows = _distinct(draw, world, random.Random(f"{seed} {task}"), read_examples(task))
        for split, count in SPLITS.items():
            numbered = ({"id": f"{split}-{number}", **next(rows)} for number in range(1, count + 1))
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in numbered)
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def draw_queues(world: World, rng: random.Random) -> Row:
    """A message and the queue of a fictional company that it belongs to."""
    queue = rng.choice(world.demo["queues"])
    clause = world.clause(world.topic(queue["topic"]), rng)
    return {"message": world.message(clause, rng, tuple(world.demo["frames"])), "expected": queue["name"]}


def draw_fields(world: World, rng: random.Random) -> Row:
    """A message and what it says, as a JSON object."""
    values = {
        "name": f"{rng.choice(world.people['first'])} {rng.choice(world.people['last'])}",
        "product": rng.choice(world.things),
        "city": rng.choice(world.people["cities"]),
        "day": rng.choice(world.people["days"]),
    }
    first, last = values["name"].split()
    message = world.fill(
        rng.choice(world.demo["fields"]["frames"]),
        rng,
        first=first,
        last=last,
        thing=values["product"],
        city=values["city"],
        day=values["day"],
    )
    return {"message": message, "expected": json.dumps(values)}


def draw_change(world: World, rng: random.Random) -> Row:
    """A two-step word problem about change, and the number that answers it."""
    count, price, paid = draw_purchase(rng)
    thing = rng.choice(world.things)
    question = world.fill(
        rng.choice(world.demo["change"]["questions"]),
        rng,
        n=str(count),
        p=str(price),
        paid=str(paid),
        thing=thing,
        things=plural(thing),
    )
    return {"question": question, "expected": str(paid - count * price)}


def draw_purchase(rng: random.Random) -> tuple[int, int, int]:
    """How many, at what price, and the note it is paid with."""
    count, price = rng.randint(2, 9), rng.randint(2, 12)
    notes = [note for note in (20, 50, 100, 200) if note > count * price]
    return count, price, notes[0] if rng.random() < 0.7 else rng.choice(notes)


def draw_topics(world: World, rng: random.Random, count: int) -> Iterator[tuple[str, str, str]]:
    """Instructions that list five topics by name, messages in the demo's frames, and the right names."""
    for _ in range(count):
        topics = rng.sample(world.topics, 5)
        topic = rng.choice(topics)
        system = f"Choose one of these topics for the message: {', '.join(topic.names[0] for topic in topics)}."
        yield system, world.message(world.clause(topic, rng), rng, tuple(world.demo["frames"])), topic.names[0]


def plural(thing: str) -> str:
    if thing.endswith("s"):
        return thing
    if thing.endswith("f"):
        return f"{thing[:-1]}ves"
    return f"{thing}es" if thing.endswith(("x", "ch", "sh")) else f"{thing}s"


def read_examples(task: str) -> list[Row]:
    """The examples of the task's shipped prompts, if it has any."""
    path = PROMPTS / task / "examples.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _distinct(
    draw: Callable[[World, random.Random], Row], world: World, rng: random.Random, taken: list[Row]
) -> Iterator[Row]:
    seen = {row["message"] for row in taken}
    while True:
        row = draw(world, rng)
        text = next(iter(row.values()))
        if text not in seen:
            seen.add(text)
            yield row
