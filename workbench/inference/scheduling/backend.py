"""What the scheduler asks of a backend: evaluate a batch over many sequences, and move their KV cache about."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from workbench.inference.logprobs import Logits
from workbench.inference.picture_tokens import PictureChunk, PictureSpan


class TokenRun(NamedTuple):
    """Tokens to evaluate next in one slot. logits: of which of them they are wanted.

    greedy: of the last one only the likeliest next token is wanted, which a device may pick itself.
    picture: whose positions these are; all of them come in one run, and nothing else.
    """

    slot: int
    position: int
    tokens: Sequence[int]
    logits: Literal["none", "last", "all"] = "last"
    adapters: Any = None
    picture: PictureChunk | None = None
    greedy: bool = False

    @property
    def outputs(self) -> int:
        """Tokens whose logits are wanted."""
        return len(self.tokens) if self.logits == "all" else int(self.logits == "last")


class SavedState(NamedTuple):
    """A slot's keys and values in host memory. data: in the backend's own form."""

    data: Any
    nbytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backend's KV cache can hold, and what can be done with it.

    running: sequences at the same time; extra: that may join them for an interactive request. slots: for those, their
    continuations and cached prefixes. kv_tokens: in the KV cache, what slots share counted once. context_tokens: the
    longest that one sequence may become. cached_tokens: of ended sequences at most, unless a single one has more.
    outputs: tokens of a batch whose logits are wanted at most. min_chunk: prompt tokens for which a pass is worth its
    while, unless they are a prompt's last.
    prefix_cache: a slot can be cut, and begin with what another one has seen; recurrent models cannot do that.
    whole_prompts: a prompt is evaluated in one go, and by itself. partial_states: a part of a slot can be saved.
    offloads: evicted prefixes of interactive requests alone are saved, or all, or none. swaps: a batch sequence may be
    swapped out for an interactive one.
    """

    running: int
    extra: int
    slots: int
    kv_tokens: int
    context_tokens: int
    cached_tokens: int = 512
    outputs: int = 512
    min_chunk: int = 1
    prefix_cache: bool = True
    whole_prompts: bool = False
    partial_states: bool = False
    offloads: Literal["interactive", "all", "none"] = "interactive"
    swaps: bool = False


class Outputs(Protocol):
    """The logits of an evaluated batch, by the index of a run in it; valid until the next evaluation."""

    @property
    def has_logits(self) -> bool:
        """Whether there are any; else only `likeliest` may be asked, as the runs said that nothing else would be."""
        ...

    def last(self, index: int) -> Logits:
        """Those after the run's last token; not to be changed."""
        ...

    def all(self, index: int) -> Logits:
        """Those after each of the run's tokens, as [tokens, vocabulary]."""
        ...

    def likeliest(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        """For each run the likeliest next token, and whether its logit is finite."""
        ...


class Backend(Protocol):
    """One KV cache and the model that fills it. Slots and positions are numbers from 0 on."""

    limits: Limits

    def evaluate(self, runs: Sequence[TokenRun], threads: int) -> Outputs:
        """Evaluate all runs, or none: what a failed batch left behind the runs' positions is cut by the caller.

        Raises StepAborted where the step is to be left early, EngineError for anything else.
        """
        ...

    def start(self, slot: int, adapters: Any, pictures: Sequence[PictureSpan] = ()) -> int:
        """Prepare an empty slot; the position of its first token, behind what adapters put in front.

        pictures: where they stand in the prompt that the slot is for.

        Raises EngineError.
        """
        ...

    def group(self, adapters: Any) -> Hashable:
        """What the sequences that one batch can hold have in common."""
        ...

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Let a slot have what another one has seen from `start` on; end -1: all of it."""
        ...

    def cut(self, slot: int, start: int, end: int = -1) -> None:
        """Forget a part of a slot; end -1: all from `start` on."""
        ...

    def free(self, slot: int, spoiled: bool = False) -> None:
        """Forget a whole slot. spoiled: its values may not be numbers."""
        ...

    def save(self, slot: int, start: int, end: int) -> SavedState | None:
        """A copy of a slot's tokens, of all of them without partial_states; None where there is no room for it."""
        ...

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> bool:
        """Put `count` saved tokens behind the first `skip` ones at a position; False where that fails, and the slot
        is as it was. Without partial_states the slot is empty, and the whole state is loaded and cut.
        """
        ...


class ArrayOutputs:
    """Logits that are known already, one row for each run."""

    has_logits = True

    def __init__(self, rows: Sequence[Logits]) -> None:
        self._rows = rows

    def last(self, index: int) -> Logits:
        return self._rows[index]

    def all(self, index: int) -> Logits:
        return self._rows[index][None]

    def likeliest(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        best = [int(np.argmax(self._rows[index])) for index in indices]
        return best, [bool(np.isfinite(self._rows[index][token])) for index, token in zip(indices, best, strict=True)]
