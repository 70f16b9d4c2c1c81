"""The probe: about fifteen small requests that show which fields of a request act on a server's answers.

A field acts where the answer changes as the field demands. Where the plain answer leaves nothing to see, such as a
penalty on an answer without a repeated word, it stays unknown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from workbench.errors import EngineError, ServerMismatchError
from workbench.inference.remote.card import CONTINUATION, LOGPROBS, CapabilityCard, FieldFinding, LogprobKind
from workbench.inference.remote.connection import Connection, RemoteAnswer
from workbench.inference.remote.counted_connection import CountedConnection
from workbench.inference.remote.probe_numbers import HOT, count_known, find_logprob_kind, probe_likelihood
from workbench.inference.types import Completion, GenerateRequest, Sampling
from workbench.prompting.prompt import Message

_PLAIN = GenerateRequest(
    0,
    (Message("user", "Count from one to twenty in words, separated by commas."),),
    Sampling(max_tokens=24, seed=11),
    top_logprobs=5,
)
_LONGER = (
    Message("user", "Repeat: the quick brown fox jumps over the lazy dog."),
    Message("user", "Tell a short story about a ship."),
)
"""Asked where the plain answer is too short to be cut or continued."""

_LEAST_WORDS = 4
_REPEATS = replace(_PLAIN, messages=(Message("user", "Write the word yes twenty times."),), top_logprobs=0)
_HELLO = replace(_PLAIN, messages=(Message("user", "Say hello."),), top_logprobs=0)
_PENALTIES: Mapping[str, float] = {"frequency_penalty": 2.0, "presence_penalty": 2.0, "repetition_penalty": 1.8}

_CONSTRAINTS: Mapping[str, tuple[Any, str]] = {
    "json_schema": (
        {
            "type": "object",
            "properties": {"probe": {"type": "integer"}},
            "required": ["probe"],
            "additionalProperties": False,
        },
        r'\s*\{\s*"probe"\s*:.*',
    ),
    "regex": ("[0-9]{4}", r"[0-9]{1,4}"),
    "grammar": ('root ::= "qx" "yz"', r"qx(yz)?"),
}
"""A field's value, and the pattern of an answer that follows it; it may be cut off."""

_BIAS_BY_NUMBER = ("openai", "vllm", "sglang", "lmstudio")
"""Dialects that bias tokens by number alone."""

_LONGEST_EVIDENCE = 160


async def make_card(
    connection: Connection, count: Callable[[GenerateRequest], Awaitable[int]] | None = None
) -> CapabilityCard:
    """The card of a server's model. count: the tokens of a prompt by a tokenizer of this machine, where one is known.

    Raises EngineError where the server does not answer the plain request.
    """
    return await _Probe(connection).run(await count(known_request()) if count else None)


def known_request() -> GenerateRequest:
    """The conversation whose tokens are counted."""
    return replace(_PLAIN, top_logprobs=0)


class _Probe:
    def __init__(self, connection: Connection) -> None:
        self._connection = CountedConnection(connection)
        self._request = _PLAIN
        self._plain = RemoteAnswer(Completion())
        self._steady = True

    async def run(self, own_count: int | None) -> CapabilityCard:
        connection = self._connection
        logprobs = await self._ask_plain()
        reported = self._plain.completion.prompt_tokens or None
        await self._ask_for_more()
        model = await connection.describe()
        again = await connection.answer(replace(self._request, top_logprobs=0))
        self._steady = again.completion.text == self._plain.completion.text
        groups = await asyncio.gather(
            self._probe_seed(),
            _as_group(self._probe_stop(), "stop"),
            _as_group(self._probe_bias(), "logit_bias"),
            self._probe_penalties(),
            *(_as_group(self._probe_constraint(name), name) for name in _CONSTRAINTS),
            _as_group(self._probe_continuation(), CONTINUATION),
        )
        fields = (logprobs, *(one for group in groups for one in group))
        count, template = await count_known(connection, known_request(), own_count, reported, model)
        method, evidence = await probe_likelihood(connection, self._request, self._plain)
        kind: LogprobKind = "none"
        if logprobs.state == "acts":
            kind = await find_logprob_kind(connection, self._request, self._plain)
        return CapabilityCard(
            connection.address,
            model,
            self._plain.model,
            template,
            count,
            kind,
            method,
            evidence,
            fields,
            requests=connection.requests,
        )

    async def _ask_plain(self) -> FieldFinding:
        """The plain answer, with log-probabilities where the server gives them."""
        problem = f"the {self._connection.dialect} dialect has none"
        if LOGPROBS not in self._connection.unsupported:
            try:
                self._plain = await self._connection.answer(_PLAIN)
                if self._plain.tokens:
                    return FieldFinding(LOGPROBS, "acts", "they came with the answer")
                return FieldFinding(LOGPROBS, "ignored", "the answer came without them")
            except EngineError as error:
                problem = error.message
        self._plain = await self._connection.answer(replace(_PLAIN, top_logprobs=0))
        return FieldFinding(LOGPROBS, "refused", problem)

    async def _ask_for_more(self) -> None:
        """Another conversation where the plain answer is too short to show anything; the longest answer counts."""
        for message in _LONGER:
            if len(self._plain.completion.text.split()) >= _LEAST_WORDS:
                return
            request = replace(self._request, messages=(message,), top_logprobs=5 if self._plain.tokens else 0)
            answer = await self._connection.answer(request)
            if len(answer.completion.text) > len(self._plain.completion.text):
                self._request, self._plain = request, answer

    # --- fields --------------------------------------------------------------------------------------------------

    async def _ask(self, request: GenerateRequest, **sampling: Any) -> RemoteAnswer:
        return await self._connection.answer(replace(request, sampling=replace(request.sampling, **sampling)))

    async def _probe_seed(self) -> tuple[FieldFinding, ...]:
        request = replace(_PLAIN, sampling=HOT, top_logprobs=0)
        try:
            same = [(await self._ask(request)).completion.text, (await self._ask(request)).completion.text]
            other = (await self._ask(request, seed=12)).completion.text
        except EngineError as error:
            return (FieldFinding("seed", "refused", error.message),)
        if same[0] != same[1]:
            return (FieldFinding("seed", "ignored", "the same seed gave two different answers"),)
        if other == same[0]:
            return (FieldFinding("seed", "unknown", "two seeds gave the same answer"),)
        return (FieldFinding("seed", "acts", "the same seed gave the same answer, another one another"),)

    async def _probe_stop(self) -> FieldFinding:
        text = self._plain.completion.text
        word = _find_middle(text)
        if not word:
            return FieldFinding("stop", "unknown", "the plain answer is too short")
        answer = await self._ask(replace(self._request, top_logprobs=0), stop=(word,))
        if word in answer.completion.text:
            return FieldFinding("stop", "ignored", f"the answer goes on past {word!r}")
        if not self._steady and not text.startswith(answer.completion.text):
            return FieldFinding("stop", "unknown", "the same request is answered differently each time")
        return FieldFinding("stop", "acts", f"the answer ends before {word!r}")

    async def _probe_bias(self) -> FieldFinding:
        text = self._plain.completion.text
        first = self._plain.tokens[0].text if self._plain.tokens else text.split(" ")[0]
        if not first or "\ufffd" in first:
            return FieldFinding("logit_bias", "unknown", "the plain answer is empty")
        if self._connection.dialect in _BIAS_BY_NUMBER:
            return FieldFinding("logit_bias", "unknown", "it takes token numbers (`id:7`), which were not tried")
        answer = await self._ask(replace(self._request, top_logprobs=0), logit_bias={first: -100.0})
        if answer.completion.text.startswith(first):
            return FieldFinding("logit_bias", "ignored", f"{first!r} was banned and came nevertheless")
        return FieldFinding("logit_bias", "acts", f"{first!r} was banned and did not come")

    async def _probe_penalties(self) -> tuple[FieldFinding, ...]:
        plain = (await self._ask(_REPEATS)).completion.text
        words = re.findall(r"\w+", plain)
        repeated = max((words.count(word) for word in set(words)), default=0)
        found = await asyncio.gather(
            *(_as_group(self._probe_penalty(name, plain, repeated > 2), name) for name in _PENALTIES)
        )
        return tuple(one for group in found for one in group)

    async def _probe_penalty(self, name: str, plain: str, repeats: bool) -> FieldFinding:
        if name in self._connection.unsupported:
            return FieldFinding(name, "refused", f"the {self._connection.dialect} dialect cannot send it")
        answer = await self._ask(_REPEATS, **{name: _PENALTIES[name]})
        if not self._steady:
            return FieldFinding(name, "unknown", "the same request is answered differently each time")
        if answer.completion.text != plain:
            return FieldFinding(name, "acts", "a repetitive answer changed")
        if repeats:
            return FieldFinding(name, "ignored", "a repetitive answer stayed the same")
        return FieldFinding(name, "unknown", "the plain answer repeats nothing")

    async def _probe_constraint(self, name: str) -> FieldFinding:
        value, pattern = _CONSTRAINTS[name]

        if name in self._connection.unsupported:
            return FieldFinding(name, "refused", f"the {self._connection.dialect} dialect cannot send it")
        text = (await self._ask(_HELLO, **{name: value})).completion.text
        follows = re.fullmatch(pattern, text, re.DOTALL)
        return FieldFinding(name, "acts" if follows else "ignored", f"answered {_cut(text)}")

    async def _probe_continuation(self) -> FieldFinding:
        text = self._plain.completion.text
        at = len("".join(token.text for token in self._plain.tokens[: len(self._plain.tokens) // 2]))
        at = at if 0 < at < len(text) else text.find(" ", len(text) // 3)
        if not 0 < at < len(text):
            return FieldFinding(CONTINUATION, "unknown", "the plain answer is too short")
        begun, rest = text[:at], text[at:]
        messages = (*self._request.messages, Message("assistant", begun))
        answer = (await self._ask(replace(_PLAIN, messages=messages, top_logprobs=0))).completion.text
        length = min(len(rest), 12)
        if answer[:length] == rest[:length]:
            return FieldFinding(CONTINUATION, "acts", f"{_cut(begun)} went on with {_cut(rest)}")
        return FieldFinding(
            CONTINUATION, "ignored" if self._steady else "unknown", f"{_cut(begun)} was followed by {_cut(answer)}"
        )


async def _as_group(finding: Awaitable[FieldFinding], name: str) -> tuple[FieldFinding, ...]:
    """The finding; that the field is refused where the server refuses it."""
    try:
        return (await finding,)
    except ServerMismatchError:
        raise
    except EngineError as error:
        return (FieldFinding(name, "refused", _shorten(error.message)),)


def _shorten(message: str) -> str:
    """The beginning of a server's words, on one line."""
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST_EVIDENCE else f"{line[:_LONGEST_EVIDENCE]}…"


def _find_middle(text: str) -> str:
    """A piece of a text that first occurs behind its beginning; empty where there is none."""
    words = text.split()
    found = [word for word in words[1:] if text.find(word) > 0]
    if found:
        return found[0]
    half = text[len(text) // 2 :]
    return half if text.find(half) > 0 else ""


def _cut(text: str) -> str:
    return repr(text if len(text) <= 24 else f"{text[:24]}…")
