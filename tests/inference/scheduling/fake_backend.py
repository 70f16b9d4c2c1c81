"""A backend without a model: it keeps count of every token in its KV cache, and its logits follow from what a slot has
seen. It fails or is aborted when it is told to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from workbench.errors import EngineError
from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.logprobs import Logits
from workbench.inference.sampler import Sampler
from workbench.inference.scheduling.backend import ArrayOutputs, Limits, Outputs, SavedState, TokenRun
from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.loglikelihood import Continuation, Continuations, LoglikelihoodSequence
from workbench.inference.scheduling.preemption import Preemption, StepAborted
from workbench.inference.scheduling.prefill_budget import PrefillBudget
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.stats import EngineStats
from workbench.inference.scheduling.step import Resources
from workbench.inference.types import Chunk, GenerateRequest, Outcome, Sampling, fold

END, VOCABULARY = 0, 12
CONTEXT = 40
CHUNK, OUTPUTS = 8, 24
"""Prompt tokens of a step, and tokens whose logits may be wanted."""


class FakeOutputs(ArrayOutputs):
    """The logits of each run: of its last token, or of all."""

    def __init__(self, rows: Sequence[list[Logits]]) -> None:
        super().__init__([each[-1] if each else np.empty(0, np.float32) for each in rows])
        self._each = rows

    def all(self, index: int) -> Logits:
        return np.stack(self._each[index])


class PickedOutputs:
    """The tokens that a device picked; nothing else may be asked."""

    has_logits = False

    def __init__(self, outputs: Outputs) -> None:
        self.likeliest = outputs.likeliest


class FakeBackend:
    """Fails the moment a slot is evaluated out of order, or the KV cache is full.

    evaluated: tokens so far. batches: as they came. faults: what the next batches end with, one each, and how many
    tokens an aborted one has written by then. look: called with each batch. shift: moves the logits, as adapters do.
    picks: gives no logits where all runs are greedy, as a device does. picked: tokens that it chose.
    """

    def __init__(self, limits: Limits, shift: int = 0) -> None:
        self.limits = limits
        self.shift = shift
        self.evaluated = 0
        self.picks = False
        self.picked = 0
        self.batches: list[list[TokenRun]] = []
        self.faults: list[tuple[Exception, int]] = []
        self.look: Callable[[Sequence[TokenRun]], None] = lambda _: None
        self._slots: dict[int, dict[int, tuple[int, object]]] = {}

    @property
    def used(self) -> int:
        return len({id(cell) for places in self._slots.values() for _, cell in places.values()})

    def evaluate(self, runs: Sequence[TokenRun], threads: int) -> Outputs:
        self.batches.append(list(runs))
        self.look(runs)
        if self.faults:
            fault, part = self.faults.pop(0)
            if isinstance(fault, StepAborted) or self.limits.prefix_cache:
                self._write_part(runs, part)
            raise fault
        found = [self._evaluate(run) for run in runs]
        assert self.used <= self.limits.kv_tokens, "more tokens than the KV cache holds"
        outputs = FakeOutputs(found)
        wanted = [run for run in runs if run.outputs]
        if self.picks and wanted and all(run.greedy for run in wanted):
            self.picked += len(wanted)
            return PickedOutputs(outputs)  # type: ignore[return-value]
        return outputs

    def _evaluate(self, run: TokenRun) -> list[Logits]:
        places = self._slots.setdefault(run.slot, {})
        found: list[Logits] = []
        for offset, token in enumerate(run.tokens):
            assert sorted(places) == list(range(run.position + offset)), "evaluated out of order"
            places[run.position + offset] = (token, object())
            if run.logits == "all" or (run.logits == "last" and offset == len(run.tokens) - 1):
                found.append(self.logits([places[place][0] for place in range(len(places))]))
        self.evaluated += len(run.tokens)
        return found

    def logits(self, tokens: Sequence[int]) -> Logits:
        return np.roll(logits_behind(tokens), self.shift)

    def _write_part(self, runs: Sequence[TokenRun], count: int) -> None:
        """The first tokens of a batch, as a step leaves them that is aborted, or that fails in the middle."""
        for run in runs:
            places = self._slots.setdefault(run.slot, {})
            for offset, token in enumerate(run.tokens[:count]):
                places[run.position + offset] = (token, object())
            count -= min(count, len(run.tokens))

    def start(self, slot: int, adapters: Any, pictures: Any = ()) -> int:
        if not self.limits.prefix_cache and self.limits.running == 1:
            self._slots.clear()
        assert not self._slots.get(slot)
        return 0

    def group(self, adapters: Any) -> Hashable:
        return adapters

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        taken = self._slots[source].items()
        found = {place: cell for place, cell in taken if place >= start and (end < 0 or place < end)}
        places = self._slots.setdefault(target, {})
        assert places.keys().isdisjoint(found)
        places.update(found)

    def cut(self, slot: int, start: int, end: int = -1) -> None:
        places = self._slots.get(slot, {})
        for place in [place for place in places if place >= start and (end < 0 or place < end)]:
            del places[place]

    def free(self, slot: int, spoiled: bool = False) -> None:
        self._slots.pop(slot, None)

    def save(self, slot: int, start: int, end: int) -> SavedState | None:
        places = self._slots.get(slot, {})
        assert len(places) == end and (self.limits.partial_states or start == 0)
        tokens = [places[place][0] for place in range(start, end)]
        return SavedState((self.shift, tokens), 8 * len(tokens))

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> bool:
        shift, tokens = state.data
        assert shift == self.shift, "a state of another set of adapters"
        places = self._slots.setdefault(slot, {})
        assert sorted(places) == list(range(position))
        if not self.limits.partial_states:
            assert skip == 0
            assert self.used + len(tokens) <= self.limits.kv_tokens, "more tokens than the KV cache holds"
        for place, token in enumerate(tokens[skip : skip + count]):
            places[position + place] = (token, object())
        assert len(places) == position + count
        return True


class FakeVocabulary:
    """Tokens that are letters."""

    size = VOCABULARY

    def ends(self, token: int) -> bool:
        return token == END

    def control_text(self, token: int) -> str:
        return ""

    def piece(self, token: int) -> bytes:
        return bytes([ord("a") + token])

    token_to_bytes = piece


class FakeEngine:
    """A scheduler over a fake backend."""

    def __init__(
        self,
        kv_tokens: int = 400,
        running: int = 4,
        prefix_cache: bool = True,
        cached: int = 60,
        host_bytes: int = 10**6,
        partial: bool = False,
        swaps: bool = False,
    ) -> None:
        limits = Limits(
            running,
            0 if swaps else 2,
            running + (0 if swaps else 2 + 6),
            kv_tokens,
            CONTEXT,
            cached,
            OUTPUTS,
            prefix_cache=prefix_cache,
            partial_states=partial,
            offloads="all" if partial else "interactive",
            swaps=swaps,
        )
        self.backend = FakeBackend(limits)
        self.host = HostCache(host_bytes)
        self.preemption = Preemption()
        ticks = itertools.count()
        self.resources = Resources(
            FakeVocabulary(),  # type: ignore[arg-type]
            lambda: float(next(ticks)),
            PrefillBudget(CHUNK, CHUNK, fixed=True),
            self.host,
            EngineStats(),
            self.preemption,
            lambda _: 1,
        )
        self.scheduler = Scheduler(self.backend, self.resources)
        self.events: list[Outcome] = []
        self.prompts: dict[int, list[int]] = {}

    def ask(self, prompt: Sequence[int], most: int = 5, priority: int = 0, adapters: object = None) -> int:
        number = len(self.prompts)
        self.prompts[number] = list(prompt)
        self.scheduler.add(make_sequence(number, prompt, most, priority, adapters))
        return number

    def score(self, prompt: Sequence[int], answers: Sequence[Sequence[int]], priority: int = 0) -> int:
        number = len(self.prompts)
        self.prompts[number] = list(prompt)
        self.scheduler.add(make_loglikelihood(number, prompt, answers, priority))
        return number

    def step(self) -> None:
        self.events += self.scheduler.step()

    def drain(self) -> None:
        steps = 0
        while self.scheduler.busy:
            self.step()
            steps += 1
            assert steps < 5000, "it does not come to an end"

    def text(self, number: int) -> str:
        return fold(self.chunks(number)).text

    def chunks(self, number: int) -> list[Chunk]:
        return [event for event in self.events if isinstance(event, Chunk) and event.request == number]

    def end(self, number: int) -> str | None:
        return fold(self.chunks(number)).stop_reason

    @property
    def running(self) -> list[SequenceState]:
        return self.scheduler._queue.running

    def check_room(self) -> None:
        """Whatever is still there belongs to what is cached."""
        check_room(self.scheduler, self.backend)


def check_room(scheduler: Scheduler, backend: FakeBackend) -> None:
    slots, tree = scheduler._slots, scheduler._prefixes.tree
    assert backend.used == tree.size == tree.own(slots.cached)
    assert slots.free_tokens == backend.limits.kv_tokens - backend.used
    assert len(slots._free) + len(slots.cached) == backend.limits.slots
    assert sorted([*slots._free, *slots.cached]) == list(range(backend.limits.slots))


def make_sequence(
    number: int, prompt: Sequence[int], most: int, priority: int, adapters: object = None, key: Hashable = None
) -> SequenceState:
    sampling = Sampling(max_tokens=most)
    chunks = ChunkBuilder(GenerateRequest(number, (), sampling, priority=priority), list(prompt), 0.0, (), None)
    return SequenceState(chunks, Sampler(sampling, prompt=prompt), adapters, adapters if key is None else key)


def make_loglikelihood(
    number: int, prompt: Sequence[int], answers: Sequence[Sequence[int]], priority: int, key: Hashable = None
) -> LoglikelihoodSequence:
    continuations = Continuations.__new__(Continuations)
    continuations.request = GenerateRequest(number, (), priority=priority)
    continuations.shared = list(prompt)
    continuations.all = [Continuation(list(answer), 0, len(answer)) for answer in answers]
    chunks = ChunkBuilder(continuations.request, list(prompt), 0.0, (), None)
    return LoglikelihoodSequence(chunks, continuations, key=key)


def code(number: int) -> Exception:
    """What a batch ends with: 2 is an abort, anything else a failure."""
    return StepAborted() if number == 2 else EngineError(f"The batch failed (code {number}).", "Run again.")


def logits_behind(tokens: Sequence[int]) -> Logits:
    """The logits behind some tokens, always the same."""
    return np.random.default_rng([len(tokens), *tokens]).standard_normal(VOCABULARY).astype(np.float32)


def expect(prompt: Sequence[int], most: int, shift: int = 0) -> str:
    """What is written behind a prompt."""
    seen, text = list(prompt), ""
    while len(text) < most and (token := int(np.argmax(np.roll(logits_behind(seen), shift)))) != END:
        seen.append(token)
        text += chr(ord("a") + token)
    return text


def define(prompt: Sequence[int], answer: Sequence[int], shift: int = 0) -> float:
    """The log-probability of a continuation, token by token."""
    total, seen = 0.0, list(prompt)
    for token in answer:
        row = np.roll(logits_behind(seen), shift).astype(np.float64)
        total += float(row[token] - np.log(np.exp(row).sum()))
        seen.append(token)
    return total


def count_prefixes(prompts: Iterable[Sequence[int]]) -> int:
    """Tokens in the tree of some prompts."""
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
