"""Which step is to be left early: one of a request that is aborted, or one of batch requests that an interactive one
preempts.

llama.cpp asks between the nodes of a graph (ggml's abort callback, see llamacpp/abort_callback.py), transformers in
every layer (`check`). What such a step has put into the KV cache is cut again, so that it costs time but no answer.
"""

from __future__ import annotations

from collections.abc import Collection


class StepAborted(Exception):
    """The step was left; what it has put into the KV cache lies beyond what its sequences have seen."""


class Preemption:
    """`abort` and `preempt` may come from any thread; the rest from the one that computes."""

    def __init__(self) -> None:
        self._aborted: set[int] = set()  # a set changes in one go, whichever thread does it
        self._expected: set[int] = set()
        self._at_work: frozenset[int] = frozenset()
        self._yields = False

    @property
    def aborted(self) -> Collection[int]:
        """The requests that are aborted and whose cancel is on the way."""
        return self._aborted

    def abort(self, request: int) -> None:
        """Leave the step that a request is part of. Its cancel has to follow."""
        self._aborted.add(request)
        if self._stopped:
            self.stop()

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._aborted.discard(request)

    def preempt(self, token: int) -> None:
        """Leave steps of batch requests, and begin none, until the same token resumes them."""
        self._expected.add(token)
        if self._stopped:
            self.stop()

    def resume(self, token: int) -> None:
        """The interactive request is here."""
        self._expected.discard(token)

    def begin(self, requests: Collection[int], yields: bool = False) -> bool:
        """A step for these requests is about to begin; False where it would be left at once.

        yields: it is preempted by an interactive request.
        """
        # in this order: an abort that comes from here on stops the step, one that came before is seen in the last line
        self._at_work = frozenset(requests)
        self._yields = yields
        return not self._stopped

    def end(self) -> None:
        self._at_work = frozenset()
        self._yields = False

    def check(self) -> None:
        """For code that asks whether to go on. Raises StepAborted."""
        if self._stopped:
            raise StepAborted

    def stop(self) -> None:
        """For code that is notified instead."""

    @property
    def _stopped(self) -> bool:
        return bool(self._yields and self._expected) or not self._aborted.isdisjoint(self._at_work)
