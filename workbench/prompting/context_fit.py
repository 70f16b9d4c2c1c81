"""How a prompt's tokens divide over the model's context, and which examples are left out where they do not fit.

The conversation is tokenized once as a whole; a part's tokens are those that end within its text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from workbench.errors import BudgetError
from workbench.prompting.prompt import Message

Strategy = Literal["refuse", "drop"]
"""What to do where a prompt does not fit: refuse it, or leave out its last examples."""

_NAMED = 4
"""Examples that are named one by one."""


class PictureCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture that is sent. width, height: in pixels; 0 where its header does not tell. tokens: 0 where nobody tells
    them."""

    name: str
    width: int
    height: int
    tokens: int = 0

    @property
    def text(self) -> str:
        """In words, such as `cat.png, 640 × 480 pixels, 256 tokens`."""
        size = f"{self.width:,} × {self.height:,} pixels" if self.width else "pixels not known"
        return f"{self.name or 'picture'}, {size}, {f'{self.tokens:,} tokens' if self.tokens else 'tokens not counted'}"


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Token counts. system + examples + input is the prompt that is sent; output is reserved for the answer.

    system: the prompt's fixed text and that of the chat template. input: what the case's variables add.
    per_example: id -> tokens; for an example that is not sent, what it would add.
    dropped: ids of the examples that are left out to fit; the counts are those without them.
    limit: of the context; 0 where a server does not tell it. counted: False where a server does not tell the tokens of
        a prompt either: those counts are 0 then, and mean nothing.
    pictures: that are sent, in order; told to whoever looks on.
    """

    system: int
    examples: int
    input: int
    output: int
    limit: int
    per_example: dict[str, int] = {}
    dropped: tuple[str, ...] = ()
    counted: bool = True
    pictures: tuple[PictureCount, ...] = ()

    @property
    def used(self) -> int:
        return self.system + self.examples + self.input + self.output

    @property
    def over(self) -> bool:
        return bool(self.limit) and self.counted and self.used > self.limit


class Position(NamedTuple):
    """A place in the contents of messages; `message` may be one past the last."""

    message: int
    offset: int = 0


class Span(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of the conversation's text. share: how much of its tokens belong to the part."""

    start: Position
    end: Position
    share: float = 1.0


class RenderedPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt rendered for one case: the messages with all enabled examples, and where the parts of it stand.

    turns: whether examples are a user and an assistant message each, rather than a piece of a message.
    examples: id -> its text, in order. input: what the case's variables brought.
    shorter: the messages with only the first 0, 1, … examples, where they cannot be cut out of the text and may be
        dropped. disabled: id -> the texts that an example which is switched off would add.
    """

    messages: tuple[Message, ...]
    overflow: Strategy = "refuse"
    turns: bool = False
    examples: dict[str, Span] = {}
    input: tuple[Span, ...] = ()
    shorter: tuple[tuple[Message, ...], ...] = ()
    disabled: dict[str, tuple[str, ...]] = {}

    def keep(self, count: int) -> tuple[Message, ...]:
        """The messages with only the first `count` examples."""
        if count == len(self.examples):
            return self.messages
        if self.shorter:
            return self.shorter[count]
        if not self.turns:
            spans = tuple(self.examples.values())
            index, begin = spans[count].start
            cut = _cut(self.messages[index], begin, spans[-1].end.offset)
            return (*self.messages[:index], cut, *self.messages[index + 1 :])
        first = next(iter(self.examples.values())).start.message
        start, end = (first + 2 * number for number in (count, len(self.examples)))
        return (*self.messages[:start], *self.messages[end:])

    def followed_by(self, messages: tuple[Message, ...]) -> RenderedPrompt:
        """The same with further messages behind it, which are part of nothing."""
        if not messages:
            return self
        shorter = tuple((*one, *messages) for one in self.shorter)
        return msgspec.structs.replace(self, messages=(*self.messages, *messages), shorter=shorter)

    def without(self, dropped: Sequence[str]) -> tuple[Message, ...]:
        """The messages that are sent when a budget's `dropped` examples are left out."""
        return self.keep(len(self.examples) - len(dropped))


class EncodedPrompt(NamedTuple):
    """A conversation as a tokenizer reads it. starts: where each message's content begins in the text; offsets: where
    each token does. Both are empty where that is not known. pictures: those in it, whose tokens have no offsets."""

    text: str
    starts: Sequence[int]
    offsets: Sequence[int]
    pictures: Sequence[PictureCount] = ()


class Tokenizer(Protocol):
    """A model's tokenizer, its chat template included."""

    def count(self, messages: tuple[Message, ...]) -> int:
        """The tokens of a conversation."""
        ...

    def encode(self, messages: tuple[Message, ...]) -> EncodedPrompt:
        """The conversation with the places of its tokens."""
        ...

    def count_text(self, text: str) -> int:
        """The tokens of a text that stands within a conversation."""
        ...


class Fitted(NamedTuple):
    """What is sent of a prompt."""

    messages: tuple[Message, ...]
    budget: Budget


def fit_prompt(prompt: RenderedPrompt, output: int, limit: int, tokenizer: Tokenizer, detailed: bool) -> Fitted:
    """What to send so that the prompt and `output` reserved tokens stay within `limit`; all of it, with a budget that
    is over, where that cannot be.

    detailed: whether somebody wants to know the parts even where it fits.
    """
    total = tokenizer.count(prompt.messages)
    room = limit - output
    if total <= room and not detailed:
        return Fitted(prompt.messages, Budget(total, 0, 0, output, limit))
    budget = _divide(prompt, total, output, limit, tokenizer)
    drops = total > room and prompt.overflow == "drop"
    kept = _count_kept(prompt, room, budget, tokenizer) if drops else None
    if kept is None:
        return Fitted(prompt.messages, budget)
    messages = prompt.keep(kept)
    fewer = _shorten(budget, tuple(prompt.examples)[kept:], tokenizer.count(messages))
    sent = {(one.name, one.digest) for message in messages for one in message.pictures}
    placed = [one for message in prompt.messages for one in message.pictures]
    left = tuple(count for count, one in zip(budget.pictures, placed, strict=False) if (one.name, one.digest) in sent)
    return Fitted(messages, msgspec.structs.replace(fewer, pictures=left))


def too_long(budget: Budget, strategy: Strategy) -> BudgetError:
    """The error for a budget that is over."""
    prompt = budget.used - budget.output
    least = " even without examples" if strategy == "drop" and budget.per_example else ""
    return BudgetError(
        f"The prompt does not fit{least}: {prompt} tokens (system {budget.system}, examples {budget.examples}"
        f", input {budget.input}) and {budget.output} reserved for the answer make {budget.used},"
        f" and the model's context holds {budget.limit}.",
        "Switch examples off, shorten the prompt, lower max_tokens, or choose the strategy `drop`."
        if strategy == "refuse"
        else "Shorten the prompt or lower max_tokens.",
    )


def describe_dropped(dropped: Sequence[str], examples: int) -> tuple[str, ...]:
    """What a person has to know of the examples that were left out, in one sentence; none where all are sent."""
    if not dropped:
        return ()
    named = ", ".join(dropped[:_NAMED]) + (f" and {len(dropped) - _NAMED} more" if len(dropped) > _NAMED else "")
    return (f"{len(dropped)} of {examples} examples are left out to fit the context: {named}.",)


def _count_kept(prompt: RenderedPrompt, room: int, budget: Budget, tokenizer: Tokenizer) -> int | None:
    """The most examples that fit; None where it is too long even without any.

    The parts' sums estimate it; they may be off by the few tokens that merge at a seam, so it is tried and corrected.
    """
    ids = tuple(prompt.examples)
    left, kept = budget.used - budget.output, len(ids)
    while kept and left > room:
        kept -= 1
        left -= budget.per_example.get(ids[kept], 0)
    while kept >= 0 and tokenizer.count(prompt.keep(kept)) > room:
        kept -= 1
    while 0 <= kept < len(ids) - 1 and tokenizer.count(prompt.keep(kept + 1)) <= room:
        kept += 1
    return kept if kept >= 0 else None


def _divide(prompt: RenderedPrompt, total: int, output: int, limit: int, tokenizer: Tokenizer) -> Budget:
    """The budget of the whole conversation; all of it is `system` where the tokenizer does not tell the places."""
    encoded = tokenizer.encode(prompt.messages)
    if len(encoded.starts) != len(prompt.messages) or not encoded.offsets:
        return Budget(total, 0, 0, output, limit, pictures=tuple(encoded.pictures))
    starts = (*encoded.starts, len(encoded.text))
    bounds = (*encoded.offsets, len(encoded.text))

    def tokens(span: Span) -> int:
        """Those that end within the span: many a token begins with the space before a word."""
        before, behind = (bisect_right(bounds, starts[at.message] + at.offset) for at in (span.start, span.end))
        return round(max(0, behind - before) * span.share)

    costs = {name: tokens(span) for name, span in prompt.examples.items()}
    seen = _divide_pictures(prompt, [one.tokens for one in encoded.pictures])
    costs = {name: count + seen.get(name, 0) for name, count in costs.items()}
    examples, given = sum(costs.values()), sum(map(tokens, prompt.input)) + seen.get("", 0)
    costs |= {name: tokenizer.count_text(text) for name, text in _lay_out(prompt, encoded).items()}
    pictures = tuple(encoded.pictures)
    return Budget(total - examples - given, examples, given, output, limit, costs, pictures=pictures)


def _divide_pictures(prompt: RenderedPrompt, counts: Sequence[int]) -> dict[str, int]:
    """The tokens of pictures by the example in which they stand; "": in what the case brought."""
    positions = [Position(index, one.at) for index, message in enumerate(prompt.messages) for one in message.pictures]
    found: dict[str, int] = {}
    for position, count in zip(positions, counts, strict=False):
        name = next((name for name, span in prompt.examples.items() if span.start <= position < span.end), "")
        found[name] = found.get(name, 0) + count
    return found


def _cut(message: Message, begin: int, end: int) -> Message:
    """The message without a part of its text, and the pictures in that."""
    kept = [one for one in message.pictures if not begin <= one.at < end]
    moved = tuple(msgspec.structs.replace(one, at=one.at - (end - begin)) if one.at >= end else one for one in kept)
    return msgspec.structs.replace(message, content=message.content[:begin] + message.content[end:], pictures=moved)


def _lay_out(prompt: RenderedPrompt, encoded: EncodedPrompt) -> dict[str, str]:
    """The text that each disabled example would add: a turn with what the template puts around the last one."""
    users = [number for number, message in enumerate(prompt.messages) if message.role == "user"]
    if prompt.turns and users:
        last = users[-1]
        end = encoded.starts[last] + len(prompt.messages[last].content)
        begin = encoded.starts[last - 1] + len(prompt.messages[last - 1].content) if last else 0
        behind = encoded.starts[last + 1] if last + 1 < len(encoded.starts) else len(encoded.text)
        before, after = encoded.text[begin : encoded.starts[last]], encoded.text[end:behind]
        return {name: f"{before}{texts[0]}{after}{texts[-1]}" for name, texts in prompt.disabled.items()}
    return {name: "".join(texts) for name, texts in prompt.disabled.items()}


def _shorten(budget: Budget, dropped: tuple[str, ...], total: int) -> Budget:
    left = sum(budget.per_example.get(name, 0) for name in dropped)
    examples = budget.examples - left
    return msgspec.structs.replace(budget, system=total - examples - budget.input, examples=examples, dropped=dropped)
