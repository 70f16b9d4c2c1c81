"""World: the topics, things, people and wordings that the text is made of, read from `world/*.toml`.

Knows nothing of tasks or of tokens; every choice is made by the caller's random generator.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "world"
QUESTIONS = frozenset({"how", "when", "where", "what", "is", "does", "do", "can", "may", "who", "which", "are"})
REQUESTS = frozenset({"please", "stop", "take", "remove", "great", "thanks"})
COMPOSED = 0.7
"""share of the messages whose frame is put together"""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message can be about: names a desk may give it, descriptions, and clauses a customer says."""

    key: str
    names: tuple[str, ...]
    about: tuple[str, ...]
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that can be mentioned."""

    topics: tuple[Topic, ...]
    kinds: dict[str, tuple[str, ...]]
    things: tuple[str, ...]
    labels: tuple[str, ...]
    syllables: tuple[str, ...]
    people: dict[str, tuple[str, ...]]
    frames: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]
    """what more frames are put together from: sentences before, leads and tails of the clause, sentences after"""
    fields: dict[str, dict[str, tuple[str, ...]]]
    sums: dict[str, tuple[str, ...]]
    wordings: dict[str, list[Any]]
    demo: dict[str, Any]
    words: tuple[str, ...]
    """whatever else can stand as a name: things, people, cities, and the longer words that customers use"""

    def topic(self, key: str) -> Topic:
        return next(topic for topic in self.topics if topic.key == key)

    def fill(self, template: str, rng: random.Random, **given: str) -> str:
        """The template with each {slot} filled; the same slot gets the same value throughout."""
        values = {name: rng.choice(choices) for name, choices in self._slots() if f"{{{name}}}" in template}
        if "{order}" in template:
            values["order"] = str(rng.randint(1000, 99999))
        values.update(given)
        for name, value in values.items():
            template = template.replace(f"{{{name}}}", value)
        return template

    def clause(self, topic: Topic, rng: random.Random) -> str:
        return self.fill(rng.choice(topic.says), rng)

    def message(self, clause: str, rng: random.Random, frames: tuple[str, ...] | None = None) -> str:
        """The clause inside a sentence frame; a question or a request stands as a sentence of its own.

        The frame is one of those given, or else one of the world's, or put together from its parts.
        """
        opener = clause.split(" ", 1)[0]
        alone = opener in QUESTIONS or opener in REQUESTS
        if frames is None and rng.random() < COMPOSED:
            frame = self._compose(rng, alone)
        else:
            frames = frames or self.frames
            frame = rng.choice([frame for frame in frames if "{Say}." in frame] if alone else frames)
        if opener in QUESTIONS:
            frame = frame.replace("{Say}.", "{Say}?")
        return self.fill(frame, rng, say=clause, Say=clause[0].upper() + clause[1:])

    def _compose(self, rng: random.Random, alone: bool) -> str:
        core = "{Say}." if alone else rng.choice(self.parts[rng.choice(["leads", "tails"])])
        core = "{Say}" + core.removeprefix("{say}") if core.startswith("{say}") else core
        before = rng.sample(self.parts["before"], rng.choice([0, 0, 1, 1, 2]))
        after = rng.sample(self.parts["after"], rng.choice([0, 0, 1, 1, 2]))
        return rng.choice([" ", " ", " ", "\n"]).join([*before, core, *after])

    def _slots(self) -> list[tuple[str, tuple[str, ...]]]:
        people = self.people
        return [
            ("thing", self.things),
            ("first", people["first"]),
            ("last", people["last"]),
            ("city", people["cities"]),
            ("street", people["streets"]),
            ("day", people["days"]),
            ("month", people["months"]),
            ("colour", people["colours"]),
        ]


@cache
def load_world() -> World:
    """The world as the files describe it."""
    topics = tuple(
        Topic(key, tuple(entry["names"]), tuple(entry["about"]), tuple(entry["says"]))
        for key, entry in _read("topics").items()
    )
    kinds = {kind: tuple(things) for kind, things in _read("things").items()}
    labels = _read("labels")
    frames = _read("frames")
    people = {name: tuple(words.split()) for name, words in _read("people").items()}
    return World(
        topics=topics,
        kinds=kinds,
        things=tuple(thing for things in kinds.values() for thing in things),
        labels=tuple(labels["words"].split()),
        syllables=tuple(labels["syllables"].split()),
        people=people,
        frames=tuple(frames.pop("messages")),
        parts=_tuples(frames),
        fields={name: _tuples(texts) for name, texts in _read("fields").items()},
        sums=_tuples(_read("sums")),
        wordings=_read("wordings"),
        demo=_read("demo"),
        words=_words(topics, kinds, people),
    )


def _words(
    topics: tuple[Topic, ...], kinds: dict[str, tuple[str, ...]], people: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    said = {word for topic in topics for text in topic.says for word in re.findall(r"[a-z]{4,}", text)}
    things = {thing for things in kinds.values() for thing in things}
    return tuple(sorted(said | things | {*people["first"], *people["last"], *people["cities"]}))


def _tuples(texts: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(lines) for name, lines in texts.items()}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
