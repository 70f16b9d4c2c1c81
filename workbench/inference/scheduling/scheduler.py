"""Continuous batching over the slots of one backend: who enters and leaves, what is shared, evaluated and sampled.

The decisions are made elsewhere: who gets a slot in slots.py, what a batch holds in batch.py, what need not be
evaluated in prefix_cache.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

from workbench.errors import EngineError
from workbench.inference.logprobs import Logits
from workbench.inference.scheduling.backend import ArrayOutputs, Backend, Outputs
from workbench.inference.scheduling.batch import Part, by_priority, plan
from workbench.inference.scheduling.loglikelihood import LoglikelihoodSequence
from workbench.inference.scheduling.placements import Placements
from workbench.inference.scheduling.preemption import StepAborted
from workbench.inference.scheduling.prefix_cache import PrefixCache
from workbench.inference.scheduling.sampling import SamplingRow, choose_tokens
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.scheduling.slots import SlotAllocator
from workbench.inference.scheduling.step import Resources, Result, run_step
from workbench.inference.scheduling.turns import Turns
from workbench.inference.types import Outcome, Progress, State


class Scheduler:
    """The sequences of one backend."""

    def __init__(self, backend: Backend, resources: Resources) -> None:
        self._backend = backend
        self._resources = resources
        self._orders = itertools.count()
        self._prefixes = PrefixCache(backend, resources.host, resources.stats)
        self._slots = SlotAllocator(backend, self._prefixes)
        self._placements = Placements(backend, self._slots)
        context_tokens = backend.limits.context_tokens
        self._queue = SequenceQueue(resources.vocabulary, context_tokens, resources.clock, self._release)
        self._turns = Turns(self._group)

    @property
    def busy(self) -> bool:
        return self._queue.busy or self._slots.needs_eviction

    @property
    def interactive(self) -> bool:
        """Whether an interactive sequence runs."""
        return self._queue.interactive

    @property
    def sizes(self) -> tuple[int, int]:
        """How many sequences run, and how many wait."""
        return self._queue.sizes

    @property
    def used_tokens(self) -> int:
        """KV cache that is taken, or will be when the prompts are prefilled."""
        decoded = sum(one.seen - len(one.prompt) for one in self._queue.running if one.decoding)
        return self._prefixes.tree.size + decoded

    @property
    def adapters(self) -> list[object]:
        """What the requests under way run on."""
        return [sequence.adapters for sequence in self._queue.all]

    def add(self, sequence: SequenceState) -> None:
        """Queue a sequence; it starts as soon as there is a slot and enough KV cache for all it may become."""
        sequence.order = next(self._orders)
        self._queue.waiting.append(sequence)

    def cancel(self, request_id: int) -> None:
        self._queue.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        """One batch. A sequence that fails ends with a Failure; the others go on.

        What is known before anything is computed comes first, such as the end of what was cancelled.
        """
        return self.settle() or self.advance()

    def settle(self) -> list[Outcome]:
        """End what was cancelled, and start what waits; computes nothing."""
        return [*self._queue.end_cancelled(), *self._admit(), *self._announce()]

    def advance(self) -> list[Outcome]:
        """Evaluate one batch."""
        events, parts = self.prepare()
        return [*events, *run_step([(self, parts)], self._resources, self._resources.threads(parts))]

    def prepare(self) -> tuple[list[Outcome], list[Part]]:
        """What the next batch holds; sequences share what others have seen for that, which may be all they need."""
        self._slots.evict()
        events: list[Outcome] = []
        active = self._active()
        for sequence in active:
            if not sequence.started and (logits := self._prefixes.extend(sequence)) is not None:
                events += self._begin(sequence, logits)
        active = self._active() if events else active
        for sequence in active:
            if isinstance(sequence, LoglikelihoodSequence):
                self._placements.assign(sequence)
        tokens, limits, tree = self._chunk(active), self._backend.limits, self._prefixes.tree
        parts = plan(active, tree, tokens, limits)
        if not parts and active:  # what they wait for is in slots of others that wait for them
            group = self._group(active[0])
            running = [one for one in self._ready() if self._group(one) == group]
            parts = plan(running, tree, tokens, limits)
        if parts:
            self._turns.advance()
        return events, parts

    def compute(self, parts: Sequence[Part], threads: int) -> Result:
        """Evaluate a batch; may run in any thread."""
        try:
            return self._backend.evaluate([part.run for part in parts], threads)
        except (StepAborted, EngineError) as stopped:
            return stopped

    def accept(self, parts: Sequence[Part], result: Result) -> list[Outcome]:
        """What comes of a batch."""
        if isinstance(result, (StepAborted, EngineError)):
            for part in parts:
                self._backend.cut(part.run.slot, part.run.position)
            return [] if isinstance(result, StepAborted) else self._isolate(parts, result)
        events: list[Outcome] = []
        rows: list[SamplingRow] = []
        for index, part in enumerate(parts):
            sequence, run = part.sequence, part.run
            if part.placement is not None:
                events += self._accept_continuation(part, result.all(index))
                continue
            decoding = sequence.decoding
            sequence.advance(len(run.tokens))
            if not decoding:
                self._prefixes.tree.advance(sequence.slot, sequence.seen)
            if run.logits == "none":
                continue
            if not decoding and result.has_logits:
                self._prefixes.record(sequence, result.last(index))
            if isinstance(sequence, LoglikelihoodSequence):
                events += self._begin(sequence, result.last(index))
            else:
                sequence.started = True
                rows.append((sequence, index))
        return [*events, *self._write(rows, result)]

    def close(self) -> None:
        self._queue.clear()
        self._prefixes.clear()

    def _ready(self) -> list[SequenceState]:
        """Running sequences of which none is about to be cancelled."""
        aborted = self._resources.preemption.aborted
        running = self._queue.running
        return [sequence for sequence in running if sequence.id not in aborted] if aborted else running

    def _active(self) -> list[SequenceState]:
        """The sequences that are computed in the next step."""
        return self._turns.select(by_priority(self._ready()))

    def _group(self, sequence: SequenceState) -> Hashable:
        """What the sequences that one batch can hold have in common."""
        if sequence.deterministic or self._backend.limits.whole_prompts:
            return sequence.order
        return self._backend.group(sequence.adapters), ()

    def _chunk(self, active: Sequence[SequenceState]) -> int:
        """Prompt tokens of the next step."""
        if any(sequence.deterministic for sequence in active):
            return self._resources.budget.fixed_chunk
        decoding = [sequence for sequence in active if sequence.decoding]
        return self._resources.budget.next_chunk(bool(decoding), any(one.interactive for one in decoding))

    def _admit(self) -> list[Outcome]:
        events: list[Outcome] = []
        waiting = self._queue.waiting
        while sequence := self._slots.choose(waiting):
            if not self._slots.allocate(sequence, min(one.order for one in waiting)):
                if self._swap_out_for(sequence, events):
                    continue
                break
            waiting.remove(sequence)
            self._queue.running.append(sequence)
            events += self._start(sequence)
        return events

    def _start(self, sequence: SequenceState) -> list[Outcome]:
        """A sequence has a slot: begin it with what its adapters put in front and what is cached, or as it was."""
        shared = self._prefixes.known(sequence)
        if sequence.swapped is not None:
            state, sequence.swapped = sequence.swapped, None
            self._prefixes.insert(sequence)
            if sequence.position and not self._backend.load(sequence.slot, 0, state, 0, sequence.position):
                return list(self._queue.fail(sequence, _no_memory()))
            self._prefixes.tree.advance(sequence.slot, max(0, min(sequence.seen, len(sequence.prompt))))
            return []
        try:
            sequence.position = sequence.offset = self._backend.start(
                sequence.slot, sequence.adapters, sequence.pictures
            )
        except EngineError as error:
            return list(self._queue.fail(sequence, error))
        self._prefixes.insert(sequence)
        self._prefixes.restore(sequence, shared, self._slots.free_tokens)
        return []

    def _swap_out_for(self, sequence: SequenceState, events: list[Outcome]) -> bool:
        """Let the batch sequence that came last leave its slot to an interactive one; False where none can."""
        limits = self._backend.limits
        batch = [one for one in self._queue.running if one.priority > sequence.priority and not one.deterministic]
        if not limits.swaps or not batch:
            return False
        victim = max(batch, key=lambda one: one.order)
        self._placements.drop(victim)
        state = self._backend.save(victim.slot, 0, victim.position) if victim.position else None
        if state is None and victim.position:
            return False
        self._queue.running.remove(victim)
        self._slots.release(victim, keep=False)
        victim.swapped = state
        self._queue.waiting.appendleft(victim)
        events += _set_state(victim, "queued")
        return True

    def _announce(self) -> list[Outcome]:
        """Say of each sequence whether it runs or waits for its turn, where that is new."""
        active = set(map(id, self._active()))
        events: list[Outcome] = []
        for sequence in self._queue.running:
            state: State = "running" if id(sequence) in active else "queued"
            if state != sequence.state:
                events += _set_state(sequence, state)
        return events

    def _begin(self, sequence: SequenceState, logits: Logits) -> list[Outcome]:
        """A sequence has the logits behind its prompt."""
        sequence.started = True
        if isinstance(sequence, LoglikelihoodSequence):
            sequence.continuations.begin(logits)
            return [] if sequence.continuations.left else self._finish(sequence)
        return self._write([(sequence, 0)], ArrayOutputs([logits]))

    def _write(self, rows: Sequence[SamplingRow], outputs: Outputs) -> list[Outcome]:
        events: list[Outcome] = []
        for (sequence, _), token in zip(rows, choose_tokens(rows, outputs, self._resources.vocabulary), strict=True):
            if isinstance(token, EngineError):
                events += self._queue.fail(sequence, token)
            else:
                events += self._queue.write(sequence, token)
        return events

    def _isolate(self, parts: Sequence[Part], error: EngineError) -> list[Outcome]:
        """Find out which sequence spoils a batch: evaluate each alone, and fail the one that cannot be."""
        if len(parts) == 1:
            return list(self._queue.fail(parts[0].sequence, error))
        return [
            event
            for part in parts
            if part.sequence in self._queue.running
            for event in run_step([(self, [part])], self._resources, self._resources.threads([part]))
        ]

    def _accept_continuation(self, part: Part, logits: Logits) -> list[Outcome]:
        sequence = part.sequence
        assert isinstance(sequence, LoglikelihoodSequence) and part.placement is not None
        self._placements.accept(sequence, part.placement, logits)
        return [] if sequence.continuations.left else self._finish(sequence)

    def _finish(self, sequence: LoglikelihoodSequence) -> list[Outcome]:
        self._release(sequence, False)
        return [sequence.continuations.outcome]

    def _release(self, sequence: SequenceState, failed: bool) -> None:
        if sequence.slot < 0:
            self._queue.waiting.remove(sequence)
            return
        self._queue.running.remove(sequence)
        self._placements.drop(sequence)
        keep = not failed and self._prefixes.shares(sequence)
        if keep:  # what it wrote is not asked for again
            self._backend.cut(sequence.slot, sequence.offset + self._prefixes.tree.seen(sequence.slot))
        self._slots.release(sequence, keep, spoiled=failed)
        if not self._queue.running:
            self._turns.clear()


def _set_state(sequence: SequenceState, state: State) -> list[Outcome]:
    sequence.state = state
    return [Progress(sequence.id, state)]


def _no_memory() -> EngineError:
    return EngineError(
        "There was not enough memory to resume the request.",
        "Shorten the prompt, run fewer panes at once, or unload another model.",
    )
