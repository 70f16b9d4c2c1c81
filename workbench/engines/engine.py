"""The Engine protocol and the values that pass through it.

An engine answers requests for one base model. It is a step machine without threads: requests go in, `step()`
does one unit of work for all of them and returns what came out. It knows nothing of processes (see hosting/),
of prompts as templates (prompting/) or of scores (evaluation/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from workbench.models.reference import Applied, ModelInfo
from workbench.prompting.prompt import Message

StopReason = Literal["eos", "stop", "length", "context", "cancelled", "error"]
"""eos: the model ended by itself; stop: a stop string; length: max_tokens; context: the context is full."""

State = Literal["loading", "queued", "running"]


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the next token is chosen, in llama.cpp's terms; the defaults choose the likeliest token.

    temperature: 0 is greedy. top_k 0, top_p 1, min_p 0 and repetition_penalty 1 are off.
    seed: None draws a fresh one for each request.
    logit_bias: token id or literal text -> added to the logit; text biases each of its tokens.
    grammar: GBNF that the answer must follow, from its rule `root` on; empty: free.
    json_schema: the answer must be JSON of this form; None: free. At most one of the two.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = 0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: dict[str, float] = {}
    grammar: str = ""
    json_schema: dict[str, Any] | None = None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One conversation to answer.

    messages: rendered, in order. In `chat` mode the model's chat template is laid around them; when the last
        one is an assistant message it is continued instead of answered. In `completion` mode their contents
        are joined without separators and sent as they are.
    id: unique within the engine; chosen by the caller.
    adapters: laid over the base for this request alone; their order means nothing.
    """

    id: int
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    mode: Literal["chat", "completion"] = "chat"
    adapters: tuple[Applied, ...] = ()
    guesses: int = 0
    """how many of the likeliest tokens to tell with each one that is written; 0 tells nothing"""
    priority: int = 0
    """0: someone looks on; 1: it waits while one of those is under way"""
    reproducible: bool = False
    """compute it by itself, with one thread: slower, but the same to the last bit each time"""
    chat_template_kwargs: str = ""
    """variables of the chat template, such as enable_thinking, as a JSON object; empty: none"""


class Weighing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers to one conversation whose likelihood is asked for; nothing is written.

    The conversation is evaluated once for all answers. The other fields mean what they mean in a Request.
    """

    id: int
    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    mode: Literal["chat", "completion"] = "chat"
    adapters: tuple[Applied, ...] = ()
    priority: int = 0
    reproducible: bool = False
    chat_template_kwargs: str = ""

    @property
    def request(self) -> Request:
        """The conversation, as a request to answer it would show it to the model."""
        return Request(
            self.id,
            self.messages,
            Sampling(),
            self.mode,
            self.adapters,
            priority=self.priority,
            reproducible=self.reproducible,
            chat_template_kwargs=self.chat_template_kwargs,
        )


class Guess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token the model might have written, with its natural log-probability."""

    text: str
    logprob: float


class TokenChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that was written, how probable the model found it, and its likeliest alternatives, best first.

    Probabilities are the model's own, before penalties, biases and temperature. A token that holds part of a
    character is shown with a replacement character.
    """

    text: str
    logprob: float
    guesses: tuple[Guess, ...]


class Likelihood(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How probable the model finds an answer, as it would continue the conversation; without an end token.

    logprob: natural, the sum over the answer's tokens. bytes: of the answer in UTF-8.
    greedy: each of its tokens was the likeliest.
    """

    logprob: float
    tokens: int
    bytes: int
    greedy: bool
    reproducible: bool = False
    """as in a Chunk"""

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


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="progress"):
    """A request changed its state; fraction (0 to 1) says how far a load is, None where that is not known."""

    request: int
    state: State
    fraction: float | None = None


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
    seconds_to_first_token: float = 0.0
    """from the moment the engine took the request"""
    tokens_per_second: float = 0.0
    """output tokens after the first, over the time they took; 0 for a single token"""
    elapsed_seconds: float = 0.0
    stop_reason: StopReason | None = None
    tokens: tuple[TokenChoice, ...] = ()
    """those behind the text so far, where the request asked for them; the end token among them"""
    reproducible: bool = False
    """it was computed by itself; otherwise what ran beside it may have turned a choice between equals"""
    notes: tuple[str, ...] = ()
    """with the last chunk: what of the messages did not reach the model as it was written, one sentence each"""
    unclosed: bool = False
    """with the last chunk: the model ended by itself before it closed its reasoning, which so is the answer"""


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="failure"):
    """A request ended without an answer. The three parts are those of WorkbenchError."""

    request: int
    message: str
    hint: str = ""
    details: str = ""


Event = Progress | Chunk | Failure


class Weighed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="weighed"):
    """The end of a weighing: a likelihood for each answer, in their order."""

    request: int
    likelihoods: tuple[Likelihood, ...]


Outcome = Event | Weighed
"""What a step brings. A weighing ends with a Weighed or a Failure."""


class Completion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folded chunks of one request; see `fold`."""

    text: str = ""
    thinking: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds_to_first_token: float = 0.0
    tokens_per_second: float = 0.0
    elapsed_seconds: float = 0.0
    stop_reason: StopReason | None = None
    reproducible: bool = False
    notes: tuple[str, ...] = ()
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
        seconds_to_first_token=last.seconds_to_first_token,
        tokens_per_second=last.tokens_per_second,
        elapsed_seconds=last.elapsed_seconds,
        stop_reason=last.stop_reason,
        reproducible=last.reproducible,
        notes=last.notes,
    )


class Tokenized(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request exactly as the model would see it.

    text: the final prompt. ids and pieces have one entry a token; pieces are shown with replacement
    characters where a token holds part of a character. notes: as in a Chunk.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    notes: tuple[str, ...] = ()


class EngineStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an engine is doing, and what it has done since it was loaded.

    tokens_per_second: written lately, by all requests together. running, waiting: requests.
    read_tokens, cached_tokens: of prompts, evaluated and not evaluated again. written_tokens: of answers.
    cells, used_cells: tokens that the caches can hold, and do. contexts: caches, one for each set of adapters.
    weights_bytes, cache_bytes, parked_bytes: memory. parked: prefixes that wait outside the cache.
    threads, cores: that the last step had, and that this machine has; others compute on the rest.
    bandwidth_share: weights read in a second over what the memory can give; None where that says nothing.
    """

    tokens_per_second: float = 0.0
    running: int = 0
    waiting: int = 0
    read_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    cells: int = 0
    used_cells: int = 0
    contexts: int = 1
    weights_bytes: int = 0
    cache_bytes: int = 0
    parked_bytes: int = 0
    parked: int = 0
    threads: int = 1
    cores: int = 1
    bandwidth_share: float | None = None

    @property
    def cached_share(self) -> float:
        """The part of all prompt tokens that was not evaluated again."""
        asked = self.read_tokens + self.cached_tokens
        return self.cached_tokens / asked if asked else 0.0


class Engine(Protocol):
    """Answers requests for one base model, a step at a time.

    Errors: `submit` raises EngineError for a request it cannot run (empty, too long for the context), and
    ModelError for an adapter that cannot be laid over its model. A failure during `step` ends only its own
    request, as a Failure among the events.
    """

    @property
    def info(self) -> ModelInfo: ...

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        ...

    @property
    def status(self) -> EngineStatus | None:
        """What it is doing; None where it does not tell."""
        ...

    def submit(self, request: Request) -> None: ...

    def weigh(self, weighing: Weighing) -> None:
        """Take a weighing; its end comes from a later step. Raises what `submit` raises."""
        ...

    def interrupt(self, request_id: int) -> None:
        """Leave a step early that computes for this request; its cancel follows. Any thread may call it."""
        ...

    def make_way(self, sign: int) -> None:
        """Leave a step early that computes for nobody who looks on; begin none until `go_on` comes with this sign.

        Someone waits for what comes next. Any thread may call it.
        """
        ...

    def go_on(self, sign: int) -> None:
        """What way was made for is here. Unknown signs are ignored."""
        ...

    def cancel(self, request_id: int) -> None:
        """End a request or weighing at the next step; its last chunk says `cancelled`. Unknown ids are ignored."""
        ...

    def step(self) -> Sequence[Outcome]:
        """Do one unit of work (a prefill chunk, a token for each running request) and say what came of it."""
        ...

    def tokenize(self, request: Request) -> Tokenized: ...

    def count(self, requests: Sequence[Request]) -> tuple[int, ...]:
        """The number of prompt tokens of each request."""
        ...

    def close(self) -> None: ...
