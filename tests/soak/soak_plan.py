"""What a soak asks for: requests and weighings of random lengths, adapters, samplings, priorities and cancels.

The same seed asks for the same. Knows nothing of who answers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.inference.types import GenerateRequest, LoglikelihoodRequest, Sampling
from workbench.models.reference import Applied
from workbench.prompting.prompt import Message

QUEUES = ("Harbour", "Meadow", "Willow", "Lantern", "Abacus")
SCHEMA = {"type": "object", "properties": {"queue": {"enum": list(QUEUES)}}, "required": ["queue"]}
SYSTEMS = (
    "Sort the message into a queue.",
    "Sort the message into a queue: Harbour for damage, Meadow for appointments, Willow for contracts.",
    "",
)
PATIENCE = 40
"""Steps after which a request is called off at the latest, where it is at all."""


class SoakRequest(NamedTuple):
    """wish: with an id of its own. cancel_after: steps behind its submit; None lets it end. interrupts: also in a step.

    pause: steps before the next one is asked. lull: whether everything is let end before that.
    """

    wish: GenerateRequest | LoglikelihoodRequest
    cancel_after: int | None = None
    interrupts: bool = False
    pause: int = 0
    lull: bool = False


def read_messages(path: Path) -> list[tuple[str, str]]:
    """Messages with their queues."""
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [(line["message"], line["expected"]) for line in lines]


class Material(NamedTuple):
    """sets: of adapters. known: messages with their queues. ends: tokens that end an answer."""

    sets: Sequence[tuple[Applied, ...]]
    known: Sequence[tuple[str, str]]
    ends: Sequence[int]


def plan(count: int, seed: int, material: Material) -> list[SoakRequest]:
    """So many wishes."""
    chance = random.Random(seed)
    return [_ask(chance, number, material) for number in range(1, count + 1)]


def _ask(chance: random.Random, number: int, material: Material) -> SoakRequest:
    messages = _converse(chance, material.known)
    adapters = material.sets[min(int(chance.expovariate(0.35)), len(material.sets) - 1)]
    live = chance.random() < 0.3
    deterministic = chance.random() < 0.04
    if chance.random() < 0.12:
        wish: GenerateRequest | LoglikelihoodRequest = LoglikelihoodRequest(
            number, messages, _answers(chance), "chat", adapters, 0 if live else 1, deterministic
        )
    else:
        top_logprobs = chance.choice((0, 0, 0, 1, 5))
        sampling = _sample(chance, {f"id:{token}": -1000.0 for token in material.ends})
        wish = GenerateRequest(
            number, messages, sampling, "chat", adapters, top_logprobs, 0 if live else 1, deterministic
        )
    called_off = chance.randrange(PATIENCE) if chance.random() < 0.15 else None
    pause = chance.choice((0, 0, 0, 0, 1, 2, 6))
    return SoakRequest(wish, called_off, chance.random() < 0.5, pause, chance.random() < 0.004)


def _converse(chance: random.Random, known: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    """A prompt that begins as many others do, from a few tokens to most of the context."""
    system, examples = chance.choice(SYSTEMS), chance.choice((0, 0, 2, 4, 6))
    messages = [Message("system", system)] if system else []
    for message, queue in known[:examples]:
        messages += [Message("user", message), Message("assistant", queue)]
    text = known[chance.randrange(len(known))][0]
    if chance.random() < 0.1:
        text = " ".join(known[chance.randrange(len(known))][0] for _ in range(chance.randint(2, 5)))
    return (*messages, Message("user", text[: chance.choice((3, 40, 900, 900))]))


def _sample(chance: random.Random, endless: dict[str, float]) -> Sampling:
    most = min(60, 1 + int(chance.expovariate(0.08)))
    return chance.choices(
        (
            Sampling(max_tokens=most),
            Sampling(max_tokens=most, logit_bias=endless),
            Sampling(max_tokens=most, logit_bias=endless, frequency_penalty=0.4, presence_penalty=0.3),
            Sampling(max_tokens=most, temperature=0.8, top_p=0.95, seed=chance.randrange(1000)),
            Sampling(max_tokens=most, temperature=1.1, top_k=20, min_p=0.05, seed=chance.randrange(1000)),
            Sampling(max_tokens=max(30, most), json_schema=SCHEMA),
            Sampling(max_tokens=most, stop=("a", "\n")),
        ),
        (40, 20, 10, 8, 8, 6, 8),
    )[0]


def _answers(chance: random.Random) -> tuple[str, ...]:
    longer = ("Sorry for the trouble, we are on it.", "", "Harbour, please.", "The queue is Meadow, I think. " * 4)
    return (*QUEUES[: chance.randint(1, 5)], *longer[: chance.randint(0, 4)])
