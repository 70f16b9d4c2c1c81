"""The demo task `handbook`: a corpus of short documents, and questions that one statement of it each answers.

Statements and questions are those of tasks/passages.py: the model was trained to answer them from a text. What the
documents say was drawn anew, so that no answer is known without them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

from assets.recipe.tasks.passages import FACTS, draw_value
from assets.recipe.world import World

DOCUMENTS = (
    ("shops/hours.md", "Opening hours", "When does the shop in"),
    ("products/prices.md", "Prices", "How much does"),
    ("products/colours.md", "Colours", "What colour"),
    ("products/storage.md", "Storage", "Where is the"),
    ("products/streets.md", "Showrooms", "In which street"),
)
"""A document's path, its title, and how the questions that it answers begin, which tells its statements among FACTS:
those that the model answers from a text."""

NOTES = (
    "{first} asked how much the {thing} costs.",
    "{first} wants to know what colour the {thing} is.",
    "{first} asked where the {thing} is kept.",
    "Nobody could tell {first} in which street the {thing} is.",
)
"""Sentences that hold the words of a question and not its answer: what a search by words falls for."""

CITIES, THINGS = 28, 44
"""statements of each document on shops, and on products"""

PER_PARAGRAPH = 2
SPLITS = {"test": 150, "validation": 50}


class _Statement(NamedTuple):
    text: str
    question: str
    answer: str


def write_handbook(folder: Path, world: World, seed: int = 7) -> None:
    """Write the corpus and the questions below `folder`; the same seed writes the same bytes."""
    rng = random.Random(f"{seed} handbook")
    rows = []
    for name, title, asked in DOCUMENTS:
        statements = _draw(world, rng, next(fact for fact in FACTS if fact[2].startswith(asked)))
        text, spans = _lay_out(title, statements)
        _write(folder / "corpus" / name, text)
        rows += [
            {"question": one.question, "relevant": f"{name}:{start}-{end}", "expected": one.answer}
            for one, (start, end) in zip(statements, spans, strict=True)
        ]
    rng.shuffle(rows)
    _write(folder / "corpus" / "people" / "notes.md", _lay_out("Notes", _draw_notes(world, rng, rows))[0])
    for split, count in SPLITS.items():
        own, rows = rows[:count], rows[count:]
        lines = [json.dumps({"id": f"{split}-{number}", **row}) + "\n" for number, row in enumerate(own, 1)]
        _write(folder / f"{split}.jsonl", "".join(lines))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _draw_notes(world: World, rng: random.Random, rows: list[dict[str, str]]) -> list[_Statement]:
    """Notes on half of the products that are asked about."""
    words = {word for row in rows for word in row["question"].rstrip("?").split()}
    things = [thing for thing in world.things if thing in words]
    chosen = rng.sample(things, len(things) // 2)
    return [_Statement(world.fill(rng.choice(NOTES), rng, thing=thing), "", "") for thing in chosen for _ in range(2)]


def _draw(world: World, rng: random.Random, fact: tuple[str, str, str, str]) -> list[_Statement]:
    """Statements on different subjects."""
    slot, statement, question, kind = fact
    subjects: dict[str, None] = {}
    while len(subjects) < (CITIES if slot == "{city}" else THINGS):
        subjects[world.fill(slot, rng)] = None
    found = []
    for subject in subjects:
        answer = draw_value(world, rng, kind)
        text = statement.replace("{subject}", subject).replace("{value}", answer)
        found.append(_Statement(text, question.replace("{subject}", subject), answer))
    return found


def _lay_out(title: str, statements: list[_Statement]) -> tuple[str, list[tuple[int, int]]]:
    """The document's text, and where each statement stands in it."""
    text, spans = f"# {title}\n", []
    for number, one in enumerate(statements):
        text += "\n" if number % PER_PARAGRAPH == 0 else " "
        spans.append((len(text), len(text) + len(one.text)))
        text += one.text + ("\n" if number % PER_PARAGRAPH == PER_PARAGRAPH - 1 else "")
    return text, spans
