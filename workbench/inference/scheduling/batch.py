"""What the next batch holds (continuous batching, as in Orca and vLLM).

A token for each sequence that decodes, then chunks of prompts and of continuations. Of sequences that need the same
tokens next, one reads them, and the others share them in a later step. While a request is interactive, nothing else is
computed. Where none is, prompts are prefilled before anything decodes: a token costs the less the more decode at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.inference.scheduling.backend import Limits, TokenRun
from workbench.inference.scheduling.loglikelihood import LoglikelihoodSequence, Placement
from workbench.inference.scheduling.prefix_tree import Node, PrefixTree
from workbench.inference.scheduling.sequences import SequenceState

PATIENCE = 64
"""Requests after which the shortest prompt does not go first any more."""


class Part(NamedTuple):
    """A sequence's part of a batch. placement: of the continuation that it belongs to."""

    sequence: SequenceState
    run: TokenRun
    placement: Placement | None = None


def by_priority(sequences: Sequence[SequenceState]) -> list[SequenceState]:
    """The sequences that may be computed now: the interactive ones, where there are any."""
    first = min((sequence.priority for sequence in sequences), default=0)
    return [sequence for sequence in sequences if sequence.priority == first]


def plan(active: Sequence[SequenceState], tree: PrefixTree, tokens: int, limits: Limits) -> list[Part]:
    """The batch. tokens: of prompts and continuations, at most."""
    decoding = [
        Part(one, TokenRun(one.slot, one.position, one.pending, "last", one.adapters, greedy=one.greedy))
        for one in active
        if one.decoding
    ]
    others = [one for one in active if not one.decoding]
    newest = max((sequence.order for sequence in active), default=0)
    others.sort(key=lambda one: (one.order > newest - PATIENCE, len(one.pending), one.order))
    prefill = _prefill(others, tree, tokens, limits, limits.outputs - len(decoding))
    interactive = any(sequence.interactive for sequence in active)
    return [*decoding, *prefill] if interactive or not prefill else prefill


def _prefill(
    others: Sequence[SequenceState], tree: PrefixTree, tokens: int, limits: Limits, outputs: int
) -> list[Part]:
    """The next chunks of prompts and of continuations."""
    parts: list[Part] = []
    claimed: set[Node] = set()
    for sequence in others:
        if tokens <= 0 or outputs <= 0:
            break
        if sequence.prefilling:
            budget = len(sequence.pending) if limits.whole_prompts else tokens
            if parts and len(sequence.pending) > budget < limits.min_chunk:
                break
            found = _chunk(sequence, tree, budget, claimed)
        elif isinstance(sequence, LoglikelihoodSequence):
            found = _continue(sequence, tokens, outputs)
        else:
            continue
        tokens -= sum(len(part.run.tokens) for part in found)
        outputs -= sum(part.run.outputs for part in found)
        parts += found
    return parts


def _chunk(sequence: SequenceState, tree: PrefixTree, tokens: int, claimed: set[Node]) -> list[Part]:
    """The next chunk of a prompt; none while another sequence reads the same tokens."""
    count, picture = sequence.limit(min(tokens, len(sequence.pending)))
    start, end = sequence.seen, sequence.seen + count
    nodes = [node for node in tree.path(sequence.slot) if node.end > start and node.start < end]
    if nodes[0] in claimed:
        return []
    claimed.update(nodes)
    run = TokenRun(
        sequence.slot,
        sequence.position,
        sequence.pending[:count],
        "last" if count == len(sequence.pending) else "none",
        sequence.adapters,
        picture.chunk if picture else None,
        sequence.greedy,
    )
    return [Part(sequence, run)]


def _continue(sequence: LoglikelihoodSequence, tokens: int, outputs: int) -> list[Part]:
    """The next chunks of the continuations that have a slot."""
    parts: list[Part] = []
    for placement in sequence.placements:
        taken = placement.pending[: min(tokens, outputs)]
        if taken:
            position = sequence.position + placement.position
            parts.append(Part(sequence, TokenRun(placement.slot, position, taken, "all", sequence.adapters), placement))
            tokens -= len(taken)
            outputs -= len(taken)
    return parts
