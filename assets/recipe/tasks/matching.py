"""Matching: find in the context what belongs to a message: an option, a described queue, an example's label, a key.

Knows nothing of the demo's own queues; its labels are words of the training pool or made of syllables.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from assets.recipe.document import ANSWER, TEXT, Document, Turn, chat, raw
from assets.recipe.world import World


@dataclass(frozen=True, slots=True)
class Subject:
    """What one label of a context stands for."""

    names: tuple[str, ...]
    about: tuple[str, ...]
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How far a query is from what the context shows.

    same, keyword: shares of queries that repeat a message word for word, or are single words.
    framed: share of contexts whose messages stand in sentence frames; made_up: share with made-up labels.
    """

    same: float
    keyword: float
    framed: float
    made_up: float


def options(world: World, rng: random.Random, size: int) -> Document:
    """Pick the name of the message's topic from a list."""
    chosen = rng.sample(world.topics, rng.randint(2, 8))
    names = [rng.choice(topic.names) for topic in chosen]
    names = [name.capitalize() for name in names] if rng.random() < 0.5 else names
    listed = rng.choice([", ", ", ", " or ", "\n", " / "]).join(rng.sample(names, len(names)))
    turns = []
    for _ in range(max(1, size // 60)):
        index = rng.randrange(len(chosen))
        turns.append(Turn(world.message(world.clause(chosen[index], rng), rng), names[index]))
    system = rng.choice(world.wordings["options_system"]).replace("{options}", listed)
    style = rng.random()
    if style < 0.6:
        return chat(system, turns)
    if style < 0.8:
        return chat("", [Turn(f"{system}\n{turns[0].question}", turns[0].answer)])
    before, between, _ = rng.choice(world.wordings["inline"])
    return raw(
        [
            (f"{system}\n{before}{turns[0].question}{between.rstrip(' ')}", TEXT),
            (_gap(between) + turns[0].answer, ANSWER),
        ]
    )


def described(world: World, rng: random.Random, size: int, difficulty: Difficulty) -> Document:
    """Queues with arbitrary names, each described; route messages by the descriptions."""
    count = rng.randint(2, 8)
    keyword = rng.random() < max(difficulty.keyword, 0.2)
    subjects = _keywords(world, rng, count) if keyword else _subjects(world, rng, count)
    labels = _labels(world, rng, count, difficulty)
    join = rng.choice([": ", ": ", ": ", " - ", " = "])
    lines = [f"{label}{join}{rng.choice(subject.about)}" for label, subject in zip(labels, subjects, strict=True)]
    if rng.random() < 0.55:
        lines = [f"{rng.choice(subject.about)}: {label}" for label, subject in zip(labels, subjects, strict=True)]
    if rng.random() < 0.1:
        lines = [f"- {line}" for line in lines]
    rng.shuffle(lines)
    turns = []
    for index in rng.sample(range(count), count):  # no topic twice: the description has to be read
        subject = subjects[index]
        same = rng.random() < difficulty.same
        turns.append(Turn(rng.choice(subject.about) if same else _say(world, rng, subject, difficulty), labels[index]))
    turns = turns[: max(1, (size - 12 * count) // 12)]
    system = rng.choice(world.wordings["described_system"]).replace("{queues}", "\n".join(lines))
    style = rng.random()
    if style < 0.7:
        return chat(system, turns)
    if style < 0.8:
        return chat("", [Turn(f"{system}\n{turns[0].question}", turns[0].answer)])
    return _inline(world, rng, turns, system)


def shots(world: World, rng: random.Random, size: int, difficulty: Difficulty) -> Document:
    """Messages with arbitrary labels that only the earlier ones of the same context define."""
    count = rng.choice([2, 3, 4, 4, 5, 6, 8] if size < 250 else [4, 5, 6, 8, 8, 8])
    subjects = _subjects(world, rng, count)
    labels = _labels(world, rng, count, difficulty)
    keyword = rng.random() < difficulty.keyword
    framed = rng.random() < difficulty.framed
    said: list[list[str]] = [[] for _ in range(count)]
    turns = []
    length = 0
    while length < size * 4:
        index = rng.randrange(count)
        if said[index] and rng.random() < difficulty.same:
            message = rng.choice(said[index])
        elif keyword:
            message = said[index][0] if said[index] else rng.choice(world.labels + world.things)
        else:
            message = _clause(world, rng, subjects[index])
            message = world.message(message, rng) if framed else message
        known = bool(said[index])
        said[index].append(message)
        turns.append(Turn(message, labels[index], ANSWER if known else 0.0))
        length += len(message) + 24
    system = rng.choice(world.wordings["shots_system"]).replace("{options}", ", ".join(rng.sample(labels, count)))
    style = rng.random()
    if style < 0.6:
        return chat(system if rng.random() < 0.8 else "", turns)
    return _inline(world, rng, turns, system if rng.random() < 0.4 else "")


def recall(world: World, rng: random.Random, size: int) -> Document:
    """Pairs of words, asked for again and again: the plainest form of looking something up."""
    count = rng.randint(2, 10)
    keys = rng.sample(world.labels + world.things, count)
    values = _labels(world, rng, count, Difficulty(0, 0, 0, 0.1))
    if rng.random() < 0.4:  # words that resemble one another are the hardest to tell apart
        values = rng.choices(world.people[rng.choice(["days", "months", "colours", "cities", "first"])], k=count)
    parts: list[tuple[str, float]] = []
    seen: set[int] = set()
    join, end = rng.choice([(":", "\n"), (" =", "\n"), (" ->", "\n"), (":", ", "), (" is", ". ")])
    for _ in range(size // 5):
        index = rng.randrange(count)
        parts += [
            (keys[index] + join, 0.0 if index not in seen else TEXT),
            (" " + values[index], ANSWER if index in seen else 0.0),
            (end, TEXT),
        ]
        seen.add(index)
    return raw(parts)


def copying(world: World, rng: random.Random, size: int) -> Document:
    """Words in no order, and the same words again."""
    people = world.people
    calendar = people["days"] + people["months"] + people["colours"]
    pool = rng.choice([world.labels, world.things, people["streets"], people["first"] + people["cities"], calendar])
    count = rng.randint(1, max(4, size // 8))
    words = [rng.choice(pool) if rng.random() < 0.85 else _made_up(world, rng) for _ in range(count)]
    words = [word.capitalize() for word in words] if rng.random() < 0.6 else words
    text = rng.choice([" ", " ", ", ", "\n"]).join(words)
    if rng.random() < 0.4:
        return chat(rng.choice(world.wordings["copy_system"]), [Turn(text, text)])
    again = "\n\n" if "\n" in text else "\n"
    return raw([(text, 0.0), *[part for _ in range(rng.randint(1, 2)) for part in ((again, TEXT), (text, ANSWER))]])


def _subjects(world: World, rng: random.Random, count: int) -> list[Subject]:
    """Topics, or kinds of thing, or kinds of thing with one trouble each: hundreds of combinations."""
    style = rng.random()
    if style < 0.75:
        return [Subject(topic.names, topic.about, topic.says) for topic in rng.sample(world.topics, count)]
    kinds = rng.sample(sorted(world.kinds), count)
    topics = [topic for topic in world.topics if sum("{thing}" in say for say in topic.says) >= 3]
    subjects = []
    for kind in kinds:
        says = tuple(say for topic in topics for say in topic.says if "{thing}" in say)
        about = tuple(f"{a}, {b}" for a, b in (rng.sample(world.kinds[kind], 2) for _ in range(3)))
        subjects.append(
            Subject(
                (kind,), (kind, *about), tuple(say.replace("{thing}", rng.choice(world.kinds[kind])) for say in says)
            )
        )
    return subjects


def _keywords(world: World, rng: random.Random, count: int) -> list[Subject]:
    """The plainest subjects: one word each, described by that word, alone or among others."""
    words = rng.sample(world.labels + world.things, 3 * count)
    subjects = []
    for index in range(count):
        first, second, third = words[3 * index : 3 * index + 3]
        subjects.append(Subject((first,), (first, f"{first}, {second}", f"{third} and {first}"), (first,)))
    return subjects


def _labels(world: World, rng: random.Random, count: int, difficulty: Difficulty) -> list[str]:
    if rng.random() < difficulty.made_up:
        labels: set[str] = set()
        while len(labels) < count:
            labels.add(_made_up(world, rng).capitalize())
        return sorted(labels, key=lambda label: rng.random())
    style = rng.random()
    if style < 0.06:
        return rng.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", count)
    words = rng.sample(world.labels if style < 0.65 else world.words, count)
    return words if style < 0.12 else [word.capitalize() for word in words]


def _made_up(world: World, rng: random.Random) -> str:
    return "".join(rng.choice(world.syllables) for _ in range(rng.randint(2, 3)))


def _clause(world: World, rng: random.Random, subject: Subject) -> str:
    return world.fill(rng.choice(subject.says), rng)


def _say(world: World, rng: random.Random, subject: Subject, difficulty: Difficulty) -> str:
    clause = _clause(world, rng, subject)
    return world.message(clause, rng) if rng.random() < difficulty.framed else clause


def _gap(between: str) -> str:
    return " " if between.endswith(" ") else ""


def _inline(world: World, rng: random.Random, turns: list[Turn], system: str) -> Document:
    before, between, after = rng.choice(world.wordings["inline"])
    parts: list[tuple[str, float]] = [(system + "\n\n", TEXT)] if system else []
    for number, turn in enumerate(turns):
        last = number == len(turns) - 1
        parts.append((f"{before}{turn.question}{between.rstrip(' ')}", TEXT))
        parts.append((_gap(between) + turn.answer, turn.weight))
        parts.append(("" if last else after, ANSWER))
    return raw(parts)
