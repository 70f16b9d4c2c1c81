"""What a model answers: tokens with their logprobs, the chunks that stream, and the completion they add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

StopReason = Literal["eos", "stop", "length", "context", "cancelled", "error"]
"""eos: the model ended by itself; stop: a stop string; length: max_tokens; context: the context is full."""


class TopLogprob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token the model might have written, with its natural log-probability."""

    text: str
    logprob: float


class TokenLogprob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that was written, how probable the model found it, and its likeliest alternatives, best first.

    Probabilities are the model's own, before penalties, biases and temperature. A token that holds part of a
    character is shown with a replacement character.
    """

    text: str
    logprob: float
    top_logprobs: tuple[TopLogprob, ...]


class Likelihood(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How probable the model finds an answer, as it would continue the conversation; without an end token.

    logprob: natural, the sum over the answer's tokens. bytes: of the answer in UTF-8.
    greedy: each of its tokens was the likeliest.
    is_bound: the answer is less likely than `logprob`: a probability was too small for the numbers of a server.
    """

    logprob: float
    tokens: int
    bytes: int
    greedy: bool
    deterministic: bool = False
    """as in a Chunk"""
    is_bound: bool = False

    @property
    def per_token(self) -> float:
        """The mean log-probability of a token; 0 for an empty answer."""
        return self.logprob / self.tokens if self.tokens else 0.0

    @property
    def per_byte(self) -> float:
        """The log-probability over the answer's bytes, fair between vocabularies; 0 for an empty answer."""
        return self.logprob / self.bytes if self.bytes else 0.0

    @property
    def perplexity(self) -> float:
        """1 for an answer that was certain, higher for one less likely; infinite where floats end."""
        try:
            return math.exp(-self.per_token)
        except OverflowError:
            return math.inf


class ServerReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a server said of an answer, and what it took to get it. None: it did not tell.

    address: of the server that answered. model, fingerprint: as it named them. queue_seconds: before the request that
    was answered was sent: for its turn, and for retries; part of no other time. retries: requests before that one.
    counted: it told the token counts; otherwise those of the answer are 0 and mean nothing.
    prompt_seconds, decode_seconds, load_seconds: by its own clock.
    """

    address: str = ""
    model: str = ""
    fingerprint: str = ""
    queue_seconds: float = 0.0
    retries: int = 0
    counted: bool = True
    prompt_seconds: float | None = None
    decode_seconds: float | None = None
    load_seconds: float | None = None


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="chunk"):
    """A piece of an answer. The last one of a request carries a stop reason; its counts and times are final.

    text: whole characters only, as the model wrote them: data, never markup.
    thinking: the text belongs to a reasoning block, not to the answer.
    """

    request: int
    text: str = ""
    thinking: bool = False
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """of the prompt tokens, how many were not evaluated again"""
    output_tokens: int = 0
    thinking_tokens: int = 0
    """of the output tokens, how many belong to reasoning, its tags among them"""
    seconds_to_first_token: float = 0.0
    """time to first token: from the moment the engine took the request"""
    seconds_to_first_answer_token: float = 0.0
    """to the first token behind the reasoning; 0 where none came"""
    tokens_per_second: float = 0.0
    """output tokens after the first, over the time they took; 0 for a single token"""
    elapsed_seconds: float = 0.0
    stop_reason: StopReason | None = None
    tokens: tuple[TokenLogprob, ...] = ()
    """those behind the text so far, where the request asked for them; the end token among them"""
    deterministic: bool = False
    """it was computed by itself; otherwise what ran beside it may have turned a choice between equals"""
    notes: tuple[str, ...] = ()
    """with the last chunk: what of the messages did not reach the model as it was written, one sentence each"""
    unclosed: bool = False
    """with the last chunk: the model ended by itself before it closed its reasoning, which so is the answer"""
    server: ServerReport | None = None
    """with the last chunk of an answer that a server gave"""


class Completion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folded chunks of one request; see `fold`."""

    text: str = ""
    thinking: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    seconds_to_first_token: float = 0.0
    seconds_to_first_answer_token: float = 0.0
    tokens_per_second: float = 0.0
    elapsed_seconds: float = 0.0
    stop_reason: StopReason | None = None
    deterministic: bool = False
    notes: tuple[str, ...] = ()
    """as in the last chunk"""
    server: ServerReport | None = None
    """as in the last chunk"""


def fold(chunks: Sequence[Chunk]) -> Completion:
    """The completion that the chunks of one request add up to; counts come from the last one."""
    last = chunks[-1] if chunks else Chunk(request=0)
    return Completion(
        text="".join(chunk.text for chunk in chunks if last.unclosed or not chunk.thinking),
        thinking="".join(chunk.text for chunk in chunks if chunk.thinking and not last.unclosed),
        prompt_tokens=last.prompt_tokens,
        cached_tokens=last.cached_tokens,
        output_tokens=last.output_tokens,
        thinking_tokens=last.thinking_tokens,
        seconds_to_first_token=last.seconds_to_first_token,
        seconds_to_first_answer_token=last.seconds_to_first_answer_token,
        tokens_per_second=last.tokens_per_second,
        elapsed_seconds=last.elapsed_seconds,
        stop_reason=last.stop_reason,
        deterministic=last.deterministic,
        notes=last.notes,
        server=last.server,
    )


def show_counts(done: Chunk | Completion, arrow: str = "→") -> str:
    """`61→2`: the tokens of the prompt and of the answer; `?→?` where a server did not tell them."""
    if (done.server and not done.server.counted) or (done.prompt_tokens, done.output_tokens) == (0, 0):
        return f"?{arrow}?"
    return f"{done.prompt_tokens}{arrow}{done.output_tokens}"
