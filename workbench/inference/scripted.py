"""The scripted engine: answers by rules from a file, the same each time. For tests, demos and pictures.

Counts follow from the script's token rule; times are the script's figures, never measured.
"""

from __future__ import annotations

import itertools
import math
import time
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

from workbench.errors import ModelError
from workbench.inference.limits import check_length
from workbench.inference.sampling_fields import check_sampling
from workbench.inference.script import (
    Rule,
    Script,
    choose_reply,
    content_starts,
    load_script,
    matches,
    prompt_text,
    score_answer,
    score_token,
    split_tokens,
)
from workbench.inference.stop_strings import StopFilter
from workbench.inference.types import (
    Chunk,
    Event,
    Failure,
    GenerateRequest,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Progress,
    StopReason,
    Tokenized,
    TokenLogprob,
)
from workbench.models.reference import Model, ModelInfo

VOCABULARY = 50_000
UNSUPPORTED = (
    "grammar", "regex", "json_schema", "logit_bias", "bad_words", "min_tokens", "ignore_eos", "reasoning_effort",
    "thinking_budget",
)  # fmt: skip
"""What would change the text of a reply, which a script fixes. Fields that shape the choice among tokens stand for the
reply that the seed chooses."""

_LONGEST_WAIT = 0.02
"""Seconds after which a step looks whether a cancel has come."""


class Clock(Protocol):
    """Where time passes, in seconds."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> None: ...


class WallClock:
    """Time as it is."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class _ScriptedReply:
    """One request under way."""

    def __init__(
        self, request: GenerateRequest, rule: Rule, script: Script, prompt_tokens: int, started: float
    ) -> None:
        self.request = request
        self.rule = rule
        self.prompt_tokens = prompt_tokens
        self._started = started
        self.first_seconds = _given(rule.first_token_seconds, script.first_token_seconds)
        self.rate = _given(rule.tokens_per_second, script.tokens_per_second)
        self._paced = script.pace == "real" or rule.endless
        self.thinking = [] if request.sampling.thinking == "off" else split_tokens(rule.thinking)
        self.reply = split_tokens(choose_reply(rule, request))
        self.filter = StopFilter(request.sampling.stop)
        self.announced = False
        self.tokens: list[TokenLogprob] = []
        self.cancelled = False
        self.steps = 0
        self.given = 0

    @property
    def piece(self) -> tuple[str, bool] | None:
        """The next token and whether it belongs to the thinking; None at the end."""
        if self.given < len(self.thinking):
            return self.thinking[self.given], True
        position = self.given - len(self.thinking)
        if self.rule.endless and self.reply:
            return self.reply[position % len(self.reply)], False
        return (self.reply[position], False) if position < len(self.reply) else None

    @property
    def due(self) -> float:
        """When there is something to do for it."""
        if self.cancelled or (not self.announced and self.rule.hold != "queued"):
            return self._started
        if self.rule.hold:
            return math.inf
        return self._started + (self.first_seconds + self.given / self.rate if self._paced else 0.0)

    @property
    def elapsed_seconds(self) -> float:
        return self.first_seconds + max(0, self.given - 1) / self.rate if self.given else 0.0

    def chunk(self, text: str = "", thinking: bool = False, stop_reason: StopReason | None = None) -> Chunk:
        tokens, self.tokens = tuple(self.tokens), []
        return Chunk(
            self.request.id,
            text,
            thinking,
            tokens=tokens,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.given,
            seconds_to_first_token=self.first_seconds if self.given else 0.0,
            tokens_per_second=self.rate if self.given > 1 else 0.0,
            elapsed_seconds=self.elapsed_seconds,
            stop_reason=stop_reason,
            deterministic=self.request.deterministic,
        )


class ScriptedEngine:
    """Engine over a script; see engine.py for the protocol.

    crash: ends the process, for rules that ask for it; None where there is no process to end.
    """

    def __init__(
        self,
        script: Script,
        model: Model,
        clock: Clock | None = None,
        crash: Callable[[], object] | None = None,
    ) -> None:
        self._script = script
        self._model = model
        self._clock = clock or WallClock()
        self._crash = crash
        self._answers: dict[int, _ScriptedReply] = {}
        self._outcomes: dict[int, LoglikelihoodResult | Chunk] = {}

    @classmethod
    def open(
        cls,
        model: Model,
        advance: Callable[[float | None], bool],
        crash: Callable[[], object] | None = None,
    ) -> ScriptedEngine:
        """Load the script at the model's path. Raises ModelError."""
        script = load_script(model)
        while script.load == "holds":
            if not advance(script.load_fraction):
                raise ModelError(f"Loading {model.name} was given up.", "Run again to load it.")
            time.sleep(0.01)
        if script.load == "fails":
            raise ModelError(f"The script {model.path} says that loading fails.", "Choose another model.")
        return cls(script, model, crash=crash)

    @cached_property
    def info(self) -> ModelInfo:
        script = self._script
        return ModelInfo(
            architecture=script.architecture,
            quantization=script.quantization,
            parameters=script.parameters,
            file_bytes=self._model.path.stat().st_size if self._model.path.exists() else 0,
            context_trained_tokens=script.context_tokens,
            vocabulary=VOCABULARY,
            has_chat_template=True,
            context_tokens=script.context_tokens,
            memory_bytes=script.memory_bytes,
            engine="scripted",
            unsupported_sampling=UNSUPPORTED,
            device="none",
        )

    @property
    def busy(self) -> bool:
        return bool(self._answers or self._outcomes)

    @property
    def status(self) -> None:
        return None

    def submit(self, request: GenerateRequest) -> None:
        """Take a request. Raises EngineError for one that is empty or longer than the context."""
        check_sampling(request.sampling, UNSUPPORTED)
        rule, tokens = self._read(request)
        self._answers[request.id] = _ScriptedReply(request, rule, self._script, tokens, self._clock.now())

    def loglikelihood(self, asked: LoglikelihoodRequest) -> None:
        """Take a asked: the answer that the script would give is likely, any other is not. Raises EngineError."""
        rule, tokens = self._read(asked.request)
        for answer in asked.answers:
            check_length(tokens + len(split_tokens(answer)) - 1, self._script.context_tokens)
        reply = choose_reply(rule, asked.request)
        likelihoods = tuple(score_answer(answer, reply) for answer in asked.answers)
        self._outcomes[asked.id] = LoglikelihoodResult(asked.id, likelihoods)

    def _read(self, request: GenerateRequest) -> tuple[Rule, int]:
        """The rule for a request, and its prompt's tokens. Raises EngineError."""
        text = prompt_text(request)
        tokens = len(split_tokens(text))
        check_length(tokens, self._script.context_tokens)
        return next((rule for rule in self._script.rules if matches(rule, request, text)), Rule()), tokens

    def abort(self, request_id: int) -> None:
        """Its steps are short."""

    def preempt(self, sign: int) -> None:
        """As for a cancel."""

    def resume(self, sign: int) -> None:
        """It has not made way."""

    def cancel(self, request_id: int) -> None:
        if request_id in self._answers:
            self._answers[request_id].cancelled = True
        if request_id in self._outcomes:
            self._outcomes[request_id] = Chunk(request_id, stop_reason="cancelled")

    def step(self) -> Sequence[Outcome]:
        """One token for every answer under way."""
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, {}
            return tuple(outcomes.values())
        now = self._pass_time()
        events: list[Event] = []
        for answer in [answer for answer in self._answers.values() if answer.due <= now]:
            events += self._advance(answer)
        return events

    def tokenize(self, request: GenerateRequest) -> Tokenized:
        text = prompt_text(request)
        pieces = tuple(split_tokens(text))
        ids = tuple(zlib.crc32(piece.encode()) % VOCABULARY for piece in pieces)
        offsets = (0, *itertools.accumulate(map(len, pieces)))[:-1]
        return Tokenized(text, ids, pieces, offsets=offsets, starts=content_starts(request))

    def count(self, requests: Sequence[GenerateRequest]) -> tuple[int, ...]:
        return tuple(len(split_tokens(prompt_text(request))) for request in requests)

    def close(self) -> None:
        self._answers.clear()
        self._outcomes.clear()

    def _pass_time(self) -> float:
        """Wait until something is due, at most a moment where nothing ever is; the time it then is."""
        now = self._clock.now()
        soonest = min((answer.due for answer in self._answers.values()), default=now)
        if soonest > now:
            self._clock.wait(min(soonest - now, _LONGEST_WAIT))
        return self._clock.now()

    def _advance(self, answer: _ScriptedReply) -> Sequence[Event]:
        if answer.cancelled:
            return self._end(answer, "cancelled")
        if answer.rule.hold == "queued":
            return ()
        events: list[Event] = []
        if not answer.announced:
            answer.announced = True
            events.append(Progress(answer.request.id, "running"))
        answer.steps += 1
        if answer.rule.hold == "running" or answer.steps <= answer.rule.delay_steps:
            return events
        return [*events, *self._speak(answer)]

    def _speak(self, answer: _ScriptedReply) -> Sequence[Event]:
        rule, request = answer.rule, answer.request
        if rule.fail_after == answer.given:
            del self._answers[request.id]
            return (Failure(request.id, rule.failure, "Run again.", "fail_after"),)
        if rule.crash_after == answer.given:
            if self._crash is None:
                del self._answers[request.id]
                return (Failure(request.id, "A crash can only be shown in a process of its own."),)
            self._crash()
        if (reason := self._end_reason(answer)) is not None:
            return self._end(answer, reason)
        token, thinking = answer.piece or ("", False)
        answer.given += 1
        if request.top_logprobs:
            answer.tokens.append(score_token(token, request.top_logprobs))
        text = token if thinking else answer.filter.feed(token)
        if answer.filter.stopped:
            return (*([answer.chunk(text)] if text else []), *self._end(answer, "stop"))
        return (answer.chunk(text, thinking),) if text else ()

    def _end_reason(self, answer: _ScriptedReply) -> StopReason | None:
        if answer.piece is None:
            return "eos"
        if answer.given >= answer.request.sampling.max_tokens:
            return "length"
        full = answer.prompt_tokens + answer.given >= self._script.context_tokens
        return "context" if full else None

    def _end(self, answer: _ScriptedReply, reason: StopReason) -> Sequence[Event]:
        del self._answers[answer.request.id]
        return (answer.chunk(answer.filter.flush(), stop_reason=reason),)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
