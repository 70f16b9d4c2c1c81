"""Where the continuations of a log-likelihood request are evaluated: one in the conversation's own slot, which is cut
afterwards, the others in slots of their own that begin with the conversation, so that many go in one batch."""

from __future__ import annotations

from workbench.inference.logprobs import Logits
from workbench.inference.scheduling.backend import Backend
from workbench.inference.scheduling.loglikelihood import LoglikelihoodSequence, Placement
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.slots import SlotAllocator


class Placements:
    """The slots of the continuations on one backend."""

    def __init__(self, backend: Backend, slots: SlotAllocator) -> None:
        self._backend = backend
        self._slots = slots

    def assign(self, sequence: LoglikelihoodSequence) -> None:
        """Give continuations a slot to be evaluated in, as far as there are any."""
        for continuation in sequence.unplaced:
            if len(continuation.inputs) > sequence.spare or (sequence.deterministic and sequence.placements):
                return  # in deterministic mode one by one: how many slots are free must not decide about a batch
            if self._backend.limits.prefix_cache and sequence.own_slot_free:
                sequence.placements.append(Placement(continuation, sequence.slot))
                continue
            slot = self._slots.borrow()
            if slot is None:
                return
            self._backend.copy(sequence.slot, slot, 0, sequence.position)
            sequence.placements.append(Placement(continuation, slot))

    def accept(self, sequence: LoglikelihoodSequence, placement: Placement, logits: Logits) -> None:
        """The logits behind the next tokens of a continuation, whose slot is free again after the last ones."""
        placement.continuation.accept(logits)
        placement.position += len(logits)
        if placement.continuation.done:
            self._end(sequence, placement)

    def drop(self, sequence: SequenceState) -> None:
        """Let continuations that are not done begin anew."""
        if isinstance(sequence, LoglikelihoodSequence):
            for placement in tuple(sequence.placements):
                placement.continuation.restart()
                self._end(sequence, placement)

    def _end(self, sequence: LoglikelihoodSequence, placement: Placement) -> None:
        sequence.placements.remove(placement)
        if placement.slot == sequence.slot:
            self._backend.cut(sequence.slot, sequence.position)
        else:
            self._slots.give_back(placement.slot)
