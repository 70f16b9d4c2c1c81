"""A script: rules that say what to answer to what, read from a JSON file.

Token rule: a token is a word, or one other sign, with the white space before it.
"""

from __future__ import annotations

import math
import re
import zlib
from typing import Literal

import msgspec

from workbench import files
from workbench.errors import FileError, ModelError
from workbench.inference.types import GenerateRequest, Likelihood, Sampling, TokenLogprob, TopLogprob
from workbench.models.reference import Model
from workbench.prompting.prompt import Message
from workbench.prompting.tools import write_call

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to answer when a request matches; the first rule that matches is taken.

    contains, regex: both must be found (empty: always), in the last message or, by `where`, in the prompt.
    reply: the answer; of several, temperature 0 takes the first and otherwise the seed chooses. `{name}`
        stands for the regex group of that name, `{adapters}` for the adapters and their scales.
    thinking: a reasoning block before the answer.
    delay_steps: steps before the first token in which nothing comes.
    endless: the reply is repeated until max_tokens or a cancel; always paced in real time.
    hold: stay queued, or running without a token, until a cancel.
    fail_after, crash_after: tokens after which the request fails, or the process ends (if it has its own).
    adapter: the name of one that must be applied to the model; empty: matches only without any; None: always.
    """

    contains: str = ""
    regex: str = ""
    where: Literal["last", "prompt"] = "last"
    reply: str | tuple[str, ...] = ""
    thinking: str = ""
    delay_steps: int = 0
    first_token_seconds: float | None = None
    tokens_per_second: float | None = None
    endless: bool = False
    hold: Literal["queued", "running"] | None = None
    fail_after: int | None = None
    failure: str = "The script says that this request fails."
    crash_after: int | None = None
    adapter: str | None = None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules, and the figures that the engine claims.

    pace: `instant` takes no time; `real` waits as long as the figures say.
    load: `holds` never ends loading (at load_fraction), `fails` refuses.
    """

    rules: tuple[Rule, ...] = ()
    pace: Literal["instant", "real"] = "instant"
    first_token_seconds: float = 0.02
    tokens_per_second: float = 50.0
    context_tokens: int = 1024
    load: Literal["works", "holds", "fails"] = "works"
    load_fraction: float = 0.4
    architecture: str = "script"
    quantization: str = "none"
    parameters: int = 0
    memory_bytes: int = 0


def load_script(model: Model) -> Script:
    """The script at the model's path. Raises ModelError that names the key."""
    try:
        return msgspec.json.decode(files.read_text(model.path), type=Script)
    except (FileError, msgspec.DecodeError) as error:
        raise ModelError(f"{model.path} is not a script: {error}.", "See the fields of Script and Rule.") from error


def split_tokens(text: str) -> list[str]:
    """The pieces of a text by the token rule; joined they are the text again."""
    return _TOKEN.findall(text)


def prompt_text(request: GenerateRequest) -> str:
    """The text whose tokens are counted: roles and contents in chat mode, else the contents alone."""
    if request.mode == "completion":
        return "".join(message.content for message in request.messages)
    return "".join(f"{message.role}: {_write_message(message)}\n" for message in request.messages)


def _write_message(message: Message) -> str:
    return message.content + "".join(map(write_call, message.calls))


def content_starts(request: GenerateRequest) -> tuple[int, ...]:
    """Where each message's content begins in `prompt_text`."""
    starts: list[int] = []
    end = 0
    for message in request.messages:
        chat = request.mode == "chat"
        starts.append(end + (len(message.role) + 2 if chat else 0))
        end = starts[-1] + len(_write_message(message) if chat else message.content) + chat
    return tuple(starts)


def matches(rule: Rule, request: GenerateRequest, text: str) -> bool:
    """Whether a rule is for a request, whose prompt text is given."""
    names = [applied.adapter.name for applied in request.adapters]
    if rule.adapter is not None and (rule.adapter not in names if rule.adapter else names):
        return False
    searched = request.messages[-1].content if rule.where == "last" else text
    return rule.contains in searched and re.search(rule.regex, searched) is not None


def score_token(token: str, count: int) -> TokenLogprob:
    """A made-up likelihood for a scripted token, the same each time, with as many alternatives as are asked for."""
    probability = 0.5 + zlib.crc32(token.encode()) % 50 / 100
    others = [TopLogprob(f" other{number}", math.log((1 - probability) / (number + 1))) for number in range(1, count)]
    return TokenLogprob(token, math.log(probability), (TopLogprob(token, math.log(probability)), *others))


def score_answer(answer: str, expected: str) -> Likelihood:
    """A made-up likelihood of an answer, the same each time: high as far as the expected reply goes, low beyond."""
    tokens = split_tokens(answer)
    likely = [token == other for token, other in zip(tokens, split_tokens(expected), strict=False)]
    likely += [False] * (len(tokens) - len(likely))
    chances = (score_token(token, 1).logprob for token in tokens)
    logprobs = [chance if fits else math.log1p(-math.exp(chance)) for chance, fits in zip(chances, likely, strict=True)]
    return Likelihood(sum(logprobs), len(tokens), len(answer.encode("utf-8", "replace")), all(likely))


def choose_reply(rule: Rule, request: GenerateRequest) -> str:
    """A rule's answer to a request that it matches, names filled in."""
    replies = (rule.reply,) if isinstance(rule.reply, str) else rule.reply or ("",)
    reply = replies[_draw(request.sampling) % len(replies)]
    searched = request.messages[-1].content if rule.where == "last" else prompt_text(request)
    found = re.search(rule.regex, searched) if rule.regex else None
    names = ", ".join(f"{applied.adapter.name} {applied.scale:g}" for applied in request.adapters)
    reply = reply.replace("{adapters}", names or "no adapter")
    for name, value in (found.groupdict(default="") if found else {}).items():
        reply = reply.replace("{" + name + "}", value)
    return reply


def _draw(sampling: Sampling) -> int:
    return 0 if sampling.temperature == 0 else sampling.seed or 0
