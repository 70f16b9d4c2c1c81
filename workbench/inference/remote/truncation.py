"""The truncation guard: the prompt tokens that a server reports, against what was sent.

A server that cuts a prompt answers another question and says nothing of it. Our own count shows it exactly; it is taken
again only for a prompt that is clearly longer than any that was counted, since only long prompts are cut. Where the
tokenizer is not known, a text still has at least as many tokens as it has words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.errors import ServerMismatchError
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.server_model import shorten_path
from workbench.inference.types import GenerateRequest

_WORD = re.compile(r"\w+")
_LONGEST_TOKEN = 16
"""characters; the rare longer tokens are spaces and signs"""

_GROWTH = 1.25
_TOLERANCE = 4
_RELATIVE_TOLERANCE = 0.02
_LEAST_SHARE = 0.8


def count_least_tokens(text: str) -> int:
    """How many tokens a text has at the very least, by any usual tokenizer: one a word, more for long ones."""
    return sum(1 + (len(word) - 1) // _LONGEST_TOKEN for word in _WORD.findall(text))


class TruncationGuard:
    """Of one model on one server. overhead: tokens that the server reports beyond our count of the same conversation;
    None where no count is known."""

    def __init__(self, card: CapabilityCard) -> None:
        self._address = card.address
        counted, reported = card.count.counted, card.count.reported
        self._overhead = reported - counted if counted is not None and reported is not None else None
        self._longest = 0

    def wants_count(self, request: GenerateRequest) -> bool:
        """Whether our own count of a request should be handed to `check`."""
        return self._overhead is not None and _measure(request) > self._longest * _GROWTH

    def check(self, request: GenerateRequest, reported: int, counted: int | None = None) -> None:
        """Raise ServerMismatchError where the server did not read the whole prompt, or read more than it.

        reported: prompt tokens by the server; 0 where it reports none, which proves nothing. counted: by us.
        """
        if not reported:
            return
        if counted is not None and self._overhead is not None:
            self._check_counted(reported, counted + self._overhead)
            self._longest = max(self._longest, _measure(request))
            return
        least = sum(count_least_tokens(message.content) for message in request.messages)
        if reported < least * _LEAST_SHARE:
            raise self._cut(reported, f"at least {least:,}")

    def _check_counted(self, reported: int, expected: int) -> None:
        allowed = max(_TOLERANCE, round(expected * _RELATIVE_TOLERANCE))
        if reported < expected - allowed:
            raise self._cut(reported, f"{expected:,}")
        if reported > expected + allowed:
            raise ServerMismatchError(
                f"{self._address} adds to the prompt: it read {reported:,} tokens of one that has {expected:,}.",
                "Look for a system prompt, a template or tools in the server's settings, and take them out.",
            )

    def _cut(self, reported: int, expected: str) -> ServerMismatchError:
        return ServerMismatchError(
            f"{self._address} cut the prompt: it read {reported:,} tokens of one that has {expected}.",
            "Give the server a larger context (num_ctx, --ctx-size, --max-model-len), or shorten the prompt.",
        )


def check_echo(card: CapabilityCard, echoed: str, adapters: Sequence[str] = ()) -> None:
    """Raise ServerMismatchError where another model answered than the one that was probed.

    adapters: that the answer was asked of; vLLM, SGLang and Ollama have a model for each and answer under its name.
    """
    base = card.echoed_model
    known = {shorten_path(name) for name in (base, *adapters, *(f"{base}:{name}" for name in adapters))}
    if echoed and base and shorten_path(echoed) not in known:
        raise ServerMismatchError(
            f"Another model answered on {card.address}: {echoed!r}, after {card.echoed_model!r} when it was probed.",
            "Look which model the server has loaded, and start the run again.",
        )


def _measure(request: GenerateRequest) -> int:
    return sum(len(message.content) for message in request.messages)
