"""The answer cache: under which keys an answer is kept, and which kept answer serves a question.

An answer that ended by itself is the same under every limit that it fits into, so it is kept without its limit: after
`max_tokens` was raised, only the answers that were cut off are asked for again. Knows nothing of how they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.store.cells import Answer, count_answers, find_answer
from workbench.store.store import Store

_BY_ITSELF = ("eos", "stop")
_AT_A_LIMIT = ("length",)


class AnswerKeys(NamedTuple):
    """Digests of everything that determines an answer. complete: but for the limit, under which answers that ended by
    themselves are kept; limited: with it, for those that were cut off. limit: max_tokens."""

    complete: bytes
    limited: bytes
    limit: int

    def keep(self, stop_reason: str | None) -> bytes | None:
        """The key under which later questions may find an answer that ended so; None where none may."""
        if stop_reason in _BY_ITSELF:
            return self.complete
        return self.limited if stop_reason in _AT_A_LIMIT else None


def find_known(store: Store, keys: AnswerKeys) -> Answer | None:
    """The answer that is known already."""
    complete = find_answer(store, keys.complete)
    if complete is not None and complete.output_tokens <= keys.limit:
        return complete
    return find_answer(store, keys.limited)


def count_known(store: Store, keys: Sequence[AnswerKeys]) -> int:
    """How many questions have an answer that is known already."""
    complete = count_answers(store, [(one.complete, one.limit) for one in keys])
    return complete + count_answers(store, [(one.limited, one.limit) for one in keys if one.limited != one.complete])
