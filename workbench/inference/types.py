"""The Engine protocol and the values that pass through it.

An engine answers requests for one base model. It is a step machine without threads: requests go in, `step()`
does one unit of work for all of them and returns what came out. It knows nothing of processes (see inference/worker/),
of prompts as templates (prompting/) or of scores (scoring/).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from workbench.inference.completion import Chunk as Chunk
from workbench.inference.completion import Completion as Completion
from workbench.inference.completion import Likelihood as Likelihood
from workbench.inference.completion import ServerReport as ServerReport
from workbench.inference.completion import StopReason as StopReason
from workbench.inference.completion import TokenLogprob as TokenLogprob
from workbench.inference.completion import TopLogprob as TopLogprob
from workbench.inference.completion import fold as fold
from workbench.inference.completion import show_counts as show_counts
from workbench.inference.sampling import Sampling as Sampling
from workbench.inference.sampling import Thinking as Thinking
from workbench.models.reference import Applied, ModelInfo
from workbench.prompting.context_fit import Budget, RenderedPrompt
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool

State = Literal["loading", "queued", "running"]


class GenerateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One conversation to answer.

    messages: rendered, in order. In `chat` mode the model's chat template is applied to them; when the last
        one is an assistant message it is continued instead of answered. In `completion` mode their contents
        are joined without separators and sent as they are.
    id: unique within the engine; chosen by the caller.
    adapters: applied to the base for this request alone; their order means nothing.
    """

    id: int
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    mode: Literal["chat", "completion"] = "chat"
    adapters: tuple[Applied, ...] = ()
    top_logprobs: int = 0
    """how many of the likeliest tokens come with each token that is generated; 0: none"""
    priority: int = 0
    """0: interactive; 1: batch, which waits while an interactive one is under way"""
    deterministic: bool = False
    """compute it by itself, with one thread: slower, but the same to the last bit each time"""
    chat_template_kwargs: str = ""
    """variables of the chat template, such as enable_thinking, as a JSON object; empty: none"""
    prompt: RenderedPrompt | None = None
    """what `messages` are taken from where they have to fit; None: they are sent as they are"""
    tools: tuple[Tool, ...] = ()
    """functions that the model may call; its calls stand in the answer's text, in the form of its chat template"""


class LoglikelihoodRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers to one conversation whose likelihood is asked for; nothing is written.

    The conversation is evaluated once for all answers. The other fields mean what they mean in a Request.
    """

    id: int
    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    mode: Literal["chat", "completion"] = "chat"
    adapters: tuple[Applied, ...] = ()
    priority: int = 0
    deterministic: bool = False
    chat_template_kwargs: str = ""
    thinking: Thinking = "default"
    reasoning_effort: str = ""
    tools: tuple[Tool, ...] = ()

    @property
    def request(self) -> GenerateRequest:
        """The conversation, as a request to answer it would show it to the model."""
        return GenerateRequest(
            self.id,
            self.messages,
            Sampling(thinking=self.thinking, reasoning_effort=self.reasoning_effort),
            self.mode,
            self.adapters,
            priority=self.priority,
            deterministic=self.deterministic,
            chat_template_kwargs=self.chat_template_kwargs,
            tools=self.tools,
        )


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="progress"):
    """A request changed its state; fraction (0 to 1) says how far a load is, None where that is not known.

    note: what the model's load waits for, in words.
    """

    request: int
    state: State
    fraction: float | None = None
    note: str = ""


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="failure"):
    """A request ended without an answer. The three parts are those of WorkbenchError.

    mismatch: the error was a ServerMismatchError."""

    request: int
    message: str
    hint: str = ""
    details: str = ""
    mismatch: bool = False


class Admitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="admitted"):
    """A request was taken: how its prompt divides over the context, after its overflow policy had its say."""

    request: int
    budget: Budget


Event = Progress | Admitted | Chunk | Failure


def is_last(event: Event) -> bool:
    """Whether nothing follows an event of a request."""
    return isinstance(event, Failure) or (isinstance(event, Chunk) and event.stop_reason is not None)


class LoglikelihoodResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="loglikelihood"):
    """The end of a LoglikelihoodRequest: a likelihood for each answer, in their order."""

    request: int
    likelihoods: tuple[Likelihood, ...]


Outcome = Event | LoglikelihoodResult
"""What a step brings. A LoglikelihoodRequest ends with a LoglikelihoodResult or a Failure."""


class ShownPicture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture in a prompt. width, height: in pixels, 0 where its header does not tell. start, tokens: which of the
    prompt's tokens are its own, what frames it included."""

    name: str
    width: int
    height: int
    start: int
    tokens: int


class Tokenized(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request exactly as the model would see it.

    text: the final prompt. ids and pieces have one entry a token; pieces are shown with replacement
    characters where a token holds part of a character. notes: as in a Chunk.
    offsets: where each token begins in the text; starts: where each message's content does, as near as can be told.
        Both are empty where an engine does not tell. A position of a picture has an id below 0 and spells nothing.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    notes: tuple[str, ...] = ()
    offsets: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    pictures: tuple[ShownPicture, ...] = ()


class EngineStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an engine is doing, and what it has done since it was loaded.

    tokens_per_second: decoded lately, by all requests together. running, waiting: requests.
    prefill_tokens, cached_tokens: of prompts, evaluated and not evaluated again. completion_tokens: of answers.
    kv_tokens, used_kv_tokens: that the KV caches can hold, and do. contexts: KV caches, one for each set of adapters.
    weights_bytes, kv_cache_bytes, prompt_cache_bytes: memory. offloaded_prefixes: in the host-memory prefix cache.
    threads, cores: that the last step had, and that this machine has; others compute on the rest. 0 on a server.
    bandwidth_share: weights read in a second over what the memory can give; None where that says nothing.
    """

    tokens_per_second: float = 0.0
    running: int = 0
    waiting: int = 0
    prefill_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    kv_tokens: int = 0
    used_kv_tokens: int = 0
    contexts: int = 1
    weights_bytes: int = 0
    kv_cache_bytes: int = 0
    prompt_cache_bytes: int = 0
    offloaded_prefixes: int = 0
    threads: int = 1
    cores: int = 1
    bandwidth_share: float | None = None

    @property
    def cached_share(self) -> float:
        """The part of all prompt tokens that was not evaluated again."""
        asked = self.prefill_tokens + self.cached_tokens
        return self.cached_tokens / asked if asked else 0.0


class Engine(Protocol):
    """Answers requests for one base model, a step at a time.

    Errors: `submit` raises EngineError for a request it cannot run (empty, too long for the context), and
    ModelError for an adapter that cannot be applied to its model. A failure during `step` ends only its own
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

    def submit(self, request: GenerateRequest) -> None: ...

    def loglikelihood(self, asked: LoglikelihoodRequest) -> None:
        """Take a request; its result comes from a later step. Raises what `submit` raises."""
        ...

    def abort(self, request_id: int) -> None:
        """Leave a step early that computes for this request; its cancel follows. Any thread may call it."""
        ...

    def preempt(self, sign: int) -> None:
        """Leave a step of batch requests early; begin none until `resume` comes with this sign.

        An interactive request is on its way. Any thread may call it.
        """
        ...

    def resume(self, sign: int) -> None:
        """The interactive request is here. Unknown signs are ignored."""
        ...

    def cancel(self, request_id: int) -> None:
        """End a request at the next step; its last chunk says `cancelled`. Unknown ids are ignored."""
        ...

    def step(self) -> Sequence[Outcome]:
        """Do one unit of work (a prefill chunk, a token for each running request) and say what came of it."""
        ...

    def tokenize(self, request: GenerateRequest) -> Tokenized: ...

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]:
        """The number of prompt tokens of each request."""
        ...

    def close(self) -> None: ...
