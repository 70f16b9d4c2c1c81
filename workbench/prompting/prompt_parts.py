"""Render a prompt for one case, and find where its examples and the case's values stand in the text.

That is what a tokenizer needs to tell the tokens of each part from one pass over the whole, and to leave out examples
without rendering again (context_fit.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from workbench.errors import TemplateError
from workbench.prompting.context_fit import Position, RenderedPrompt, Span, Strategy
from workbench.prompting.prompt import Example, Message, PictureExample, Prompt
from workbench.prompting.render import Values, find_variables, render, render_turns
from workbench.prompting.values import Blank

_FIRST_MARK = 0xF0000
"""The first of the private-use characters that stand before examples."""


def render_prompt(
    prompt: Prompt, variables: Values, examples: Sequence[Example], overflow: Strategy = "refuse", parts: bool = True
) -> RenderedPrompt:
    """The prompt with the variables' values and these examples. Raises what `render` raises.

    parts: whether anybody wants to know what each example costs; without it, only what is needed to drop some is found.
    """
    messages = render(prompt, variables, examples)
    spans: Sequence[Span] = ()
    shorter: tuple[tuple[Message, ...], ...] = ()
    if examples and prompt.placement == "turns":
        spans = _find_turns(messages, len(examples))
    elif examples and prompt.placement == "inline" and (parts or overflow == "drop"):
        spans = _find_loop(prompt, variables, examples, messages)
        if not spans:  # the template does more with them than to put one after another
            shorter = tuple(render(prompt, variables, examples[:count]) for count in range(len(examples)))
            spans = _find_steps(messages, shorter)
    enabled = {example.id for example in examples}
    others = [example for example in prompt.examples if example.id not in enabled] if parts else []
    return RenderedPrompt(
        messages,
        overflow,
        prompt.placement == "turns",
        dict(zip((example.id for example in examples), spans, strict=False)),
        _find_input(prompt, messages, examples) if parts else (),
        shorter if overflow == "drop" else (),
        {other.id: _find_added(prompt, variables, other) for other in others},
    )


def _find_turns(messages: Sequence[Message], count: int) -> list[Span]:
    """Each example from the beginning of its message to that of the message behind it: what the template puts between
    messages is the same before and behind."""
    first = _find_first_turn(messages, count)
    return [Span(Position(first + 2 * number), Position(first + 2 * number + 2)) for number in range(count)]


def _find_first_turn(messages: Sequence[Message], count: int) -> int:
    return max(number for number, message in enumerate(messages) if message.role == "user") - 2 * count


def _find_loop(
    prompt: Prompt, variables: Values, examples: Sequence[Example], messages: Sequence[Message]
) -> list[Span]:
    """Where each example begins and ends in a message that has all of them one after another; nothing elsewhere.

    Found in one rendering whose examples begin with a character of their own, and tried by leaving out the last one.
    """
    if any(isinstance(example, PictureExample) and example.pictures for example in examples):
        return []  # a picture is no text that could be looked for
    bare = render(prompt, variables)
    differing = [index for index, pair in enumerate(zip(bare, messages, strict=False)) if pair[0] != pair[1]]
    if len(bare) != len(messages) or len(differing) != 1:
        return []
    index, count = differing[0], len(examples)
    whole, without = messages[index].content, bare[index].content
    start = shared_length(without, whole)
    end = len(whole) - len(without) + start
    marked = render(prompt, variables, [_mark(example, number) for number, example in enumerate(examples)])
    text, found = _read_marks(marked[index].content if len(marked) == len(messages) else "", count)
    if text != whole or whole[end:] != without[start:] or list(found) != list(range(count)):
        return []
    lead = found[0] - start  # what the template writes of an example before its first value
    bounds = [*(at - lead for at in found.values()), end]
    shortened = render(prompt, variables, examples[:-1])
    if bounds != sorted(bounds) or shortened[index].content != whole[: bounds[-2]] + whole[end:]:
        return []
    return [Span(Position(index, left), Position(index, right)) for left, right in pairwise(bounds)]


def _mark(example: Example, number: int) -> Example:
    """The example with a private-use character before each of its texts."""
    mark = chr(_FIRST_MARK + number)
    texts = {name: text if name in example.typed else mark + text for name, text in example.variables.items()}
    return Example(example.id, texts, mark + example.answer, example.typed)


def _read_marks(content: str, count: int) -> tuple[str, dict[int, int]]:
    """The content without marks, and where each of them first stood in it."""
    found: dict[int, int] = {}
    texts: list[str] = []
    length = 0
    for piece in re.split(f"([{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + count)}])", content):
        number = ord(piece) - _FIRST_MARK if len(piece) == 1 else -1
        if 0 <= number <= count:
            found.setdefault(number, length)
        else:
            texts.append(piece)
            length += len(piece)
    return "".join(texts), found


def _find_steps(messages: Sequence[Message], shorter: Sequence[Sequence[Message]]) -> list[Span]:
    """Each example from where the text differs from that without it to where it differs from that without the next."""
    bounds = [_first_difference(one, messages) for one in shorter]
    bounds.append(max(bounds[-1], _last_difference(shorter[0], messages)))
    return [Span(start, max(start, end)) for start, end in pairwise(bounds)]


def _find_input(prompt: Prompt, messages: Sequence[Message], examples: Sequence[Example]) -> tuple[Span, ...]:
    """Where the messages differ from the prompt's fixed text; nowhere where the template cannot do without values."""
    first, turns = len(messages), 0
    if examples and prompt.placement == "turns":  # these are the same with any values
        first, turns = _find_first_turn(messages, len(examples)), 2 * len(examples)
        messages, examples = (*messages[:first], *messages[first + turns :]), ()
    try:
        blank = render(prompt, dict.fromkeys(find_variables(prompt), Blank()), examples)
    except TemplateError:
        return ()
    if [one.role for one in blank] != [one.role for one in messages]:
        return ()
    pairs = enumerate(zip(blank, messages, strict=True))
    return tuple(
        _differ(index + (turns if index >= first else 0), fixed.content, given.content)
        for index, (fixed, given) in pairs
        if fixed != given
    )


def _differ(index: int, fixed: str, given: str) -> Span:
    """The part of a message that variables brought, and how much of it: between two variables stands fixed text."""
    before = shared_length(fixed, given)
    behind = min(shared_length(fixed[::-1], given[::-1]), len(fixed) - before, len(given) - before)
    length = len(given) - behind - before
    share = max(0, len(given) - len(fixed)) / length if length else 0.0
    return Span(Position(index, before), Position(index, len(given) - behind), share)


def _find_added(prompt: Prompt, variables: Values, other: Example) -> tuple[str, ...]:
    """The texts that one more example would add: a turn's two messages, or a piece of a message."""
    if prompt.placement == "turns":
        return tuple(message.content for turn in render_turns(prompt, [other]) for message in turn)
    if prompt.placement != "inline":
        return ("",)
    bare, more = render(prompt, variables), render(prompt, variables, [other])
    start, end = _first_difference(bare, more), _last_difference(bare, more)
    texts = [message.content for message in more[start.message : end.message + 1]]
    if not texts:
        return ("",)
    texts[-1] = texts[-1][: end.offset]
    texts[0] = texts[0][start.offset :]
    return ("".join(texts),)


def _first_difference(one: Sequence[Message], other: Sequence[Message]) -> Position:
    """Where the second conversation parts from the first."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return Position(index, shared_length(left.content, right.content) if left.role == right.role else 0)
    return Position(min(len(one), len(other)))


def _last_difference(one: Sequence[Message], other: Sequence[Message]) -> Position:
    """Where the second conversation comes together with the first again."""
    for back, (left, right) in enumerate(zip(reversed(one), reversed(other), strict=False), 1):
        if left != right:
            same = shared_length(left.content[::-1], right.content[::-1]) if left.role == right.role else 0
            if len(one) == len(other):  # the text in common before it does not count again
                same = min(same, len(left.content) - shared_length(left.content, right.content))
            return Position(len(other) - back, len(right.content) - same)
    return Position(max(0, len(other) - len(one)))


def shared_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items two texts or lists begin with in common."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # they are equal up to low, and not up to high
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
