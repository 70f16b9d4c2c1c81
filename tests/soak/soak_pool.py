"""A soak through the pool and its process: what a person's screen does, cancels and weighings among it.

Knows nothing of what happens inside the engine.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.inference.listener import Handle, loglikelihood, submit
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Event, Failure, GenerateRequest, Likelihood, LoglikelihoodRequest
from workbench.models.reference import Model

from .soak_compare import distance
from .soak_plan import SoakRequest

PATIENCE = 120.0
"""Seconds for which nothing ends, after which it is given up."""
SIDE_BY_SIDE = 60


@dataclass
class Story:
    """What came of a wish."""

    text: str = ""
    ends: list[str] = field(default_factory=list)
    likelihoods: tuple[Likelihood, ...] = ()
    done: threading.Event = field(default_factory=threading.Event)

    def take(self, event: Event) -> None:
        if isinstance(event, Chunk):
            self.text += event.text
            self._end(event.stop_reason)
        elif isinstance(event, Failure):
            self._end(f"failed: {event.message}")

    def settle(self, future: Future[tuple[Likelihood, ...]]) -> None:
        try:
            self.likelihoods = future.result()
            self._end("weighed")
        except WorkbenchError as error:
            self._end(f"failed: {error.message}")

    def _end(self, reason: str | None) -> None:
        if reason:
            self.ends.append(reason)
            self.done.set()


@dataclass
class Account:
    """What a soak found. apart: requests whose text is another one than the deterministic; weighed: see distance.

    memory: of the engine's process, before and after.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    apart: list[tuple[GenerateRequest, str, str]] = field(default_factory=list)
    weighed: float = 0.0
    memory: list[int] = field(default_factory=list)


def soak_pool(asked: Sequence[SoakRequest], pool: Pool, model: Model) -> Account:
    """Ask for all of a plan, and again reproducibly for all that was not called off."""
    account = Account()
    _run(asked[: len(asked) // 4], pool, model)
    account.memory.append(_memory(pool))
    stories = _run(asked, pool, model)
    account.memory.append(_memory(pool))
    left = []
    for one, story in zip(asked, stories, strict=True):
        account.reasons[story.ends[0]] += 1
        usual = story.ends[0] in {"eos", "stop", "length", "context", "weighed"}
        called_off = one.cancel_after is not None and ("cancelled" in story.ends[0] or "called off" in story.ends[0])
        if len(story.ends) != 1 or not (usual or called_off):
            account.odd.append(f"{one.wish.id}: {story.ends}")
        if usual:
            left.append((one, story))
    alone = [SoakRequest(replace(one.wish, deterministic=True, priority=1)) for one, _ in left]
    for (one, story), again in zip(left, _run(alone, pool, model), strict=True):
        if isinstance(one.wish, LoglikelihoodRequest):
            account.weighed = max(account.weighed, distance(story.likelihoods, again.likelihoods))
        elif story.text != again.text:
            account.apart.append((one.wish, again.text, story.text))
    return account


def _run(asked: Sequence[SoakRequest], pool: Pool, model: Model) -> list[Story]:
    """Every story, when all have ended. A request is called off when so many others have been asked behind it."""
    stories: list[Story] = []
    handles: dict[int, list[Handle]] = {}
    for place, one in enumerate(asked):
        if place >= SIDE_BY_SIDE:
            _wait(stories[place - SIDE_BY_SIDE])
        story = Story()
        stories.append(story)
        handle = _ask(one.wish, pool, model, story)
        if one.cancel_after is not None:
            handles.setdefault(place + one.cancel_after, []).append(handle)
        for other in handles.pop(place, ()):
            other.cancel()
    for handle in (handle for late in handles.values() for handle in late):
        handle.cancel()
    for story in stories:
        _wait(story)
    return stories


def _ask(wish: GenerateRequest | LoglikelihoodRequest, pool: Pool, model: Model, story: Story) -> Handle:
    more = {"adapters": wish.adapters, "priority": wish.priority, "deterministic": wish.deterministic}
    if isinstance(wish, LoglikelihoodRequest):
        weighing = loglikelihood(pool, model, wish.messages, wish.answers, wish.mode, **more)
        weighing.likelihoods.add_done_callback(story.settle)
        return weighing.handle
    return submit(
        pool, model, wish.messages, wish.sampling, wish.mode, story.take, top_logprobs=wish.top_logprobs, **more
    )


def _wait(story: Story) -> None:
    assert story.done.wait(PATIENCE), "it does not come to an end"


def _memory(pool: Pool) -> int:
    return max((resident.memory_bytes for resident in pool.loaded_models()), default=math.inf)
