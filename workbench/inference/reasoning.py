"""How a model frames what it writes: its reasoning, its answer and the end of its turn, by its own chat template.

A conversation with a character of its own in each place is rendered, and what stands between them is the frame. Knows
nothing of tokens.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from workbench.errors import TemplateError
from workbench.prompting.chat_template import ChatTemplate


class Tags(NamedTuple):
    """What stands before and behind reasoning."""

    opening: str
    closing: str


TAGS = (
    Tags("<think>", "</think>"),
    Tags("[THINK]", "[/THINK]"),
    Tags("<thinking>", "</thinking>"),
    Tags("<reasoning>", "</reasoning>"),
    Tags("<seed:think>", "</seed:think>"),
    Tags("<|START_THINKING|>", "<|END_THINKING|>"),
    Tags("<|channel>thought", "<channel|>"),
)
"""Tags that models use whose template shows none."""


class AnswerFormat(NamedTuple):
    """tags: pairs that frame reasoning, the model's own before others. answer_opening: what may stand before an answer
    that no reasoning precedes. turn_end: the text behind an answer; "" where the template closes it with nothing.
    reasoning_end: what the template writes between reasoning and answer, white space included; "" where it shows none.
    """

    tags: tuple[Tags, ...] = TAGS
    answer_opening: str = ""
    turn_end: str = ""
    reasoning_end: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that frames something, the end of the turn aside."""
        return (*(text for pair in self.tags for text in pair), self.answer_opening)

    def find_open(self, prompt: str) -> str | None:
        """The closing tag to wait for, where a prompt ends with an opening one, as some templates make it end."""
        end = prompt.rstrip()
        return next((closing for opening, closing in self.tags if end.endswith(opening)), None)


_USER, _REASONING, _ANSWER = (chr(0xF8F0 + index) for index in range(3))

_LAST_TAG = re.compile(
    r"(?:<[^<>]*(?:think|thought|reason)[^<>]*>|\[[^\[\]]*think[^\[\]]*\]"
    r"|<[^<>]+>\s*[^<>\s]*(?:think|thought|analysis|reason)[^<>\s]*<[^<>]+>)\s*\Z",
    re.IGNORECASE,
)
"""A tag at the end of a text that opens reasoning, of one piece or as Kimi K3 and harmony have it."""


def read_format(template: ChatTemplate, response_schema: object = None) -> AnswerFormat:
    """How the model of a chat template frames its answers. response_schema: its tokenizer's, where it has one."""
    asked = _render(template, [_turn("user", _USER)], True)
    answered = _render(template, [_turn("user", _USER), _turn("assistant", _ANSWER)], False)
    header, end = _cut(answered, _USER, _ANSWER), _behind(answered, _ANSWER)
    prompt = _behind(asked, _USER)
    reasoned = _render_reasoned(template)
    own = _read_tags(reasoned, prompt)
    opening = header[len(prompt) :].strip() if prompt and header.startswith(prompt) and own else ""
    if own and opening.startswith((own[0].opening, own[0].closing)):
        opening = ""  # reasoning that is closed at once opens no answer: it is empty reasoning
    pairs = dict.fromkeys((*own, *read_schema_tags(response_schema), *TAGS))
    return AnswerFormat(tuple(pairs), opening, end.strip(), _cut(reasoned, _REASONING, _ANSWER) if own else "")


_THINKING = re.compile(r"\(\?P<(?:thinking|reasoning_content|reasoning)>(?:[^()\\]|\\.)*\)")
_LONGEST_SCHEMA = 10_000
_LITERAL = r"((?:\\[^A-Za-z0-9]|[^\\()\[\]{}?*+.^$|])+)"
_SPACE = r"(?:\s|\\[ns][?*+]*\??|\s[?*+])*"


def read_schema_tags(schema: object) -> tuple[Tags, ...]:
    """The tags around the reasoning in a tokenizer's response schema (`x-regex`); none where there are none.

    Only the plain text around the group is taken: the expression itself is never matched.
    """
    pattern = schema.get("x-regex") if isinstance(schema, dict) else None
    group = _THINKING.search(pattern) if isinstance(pattern, str) and len(pattern) <= _LONGEST_SCHEMA else None
    if not isinstance(pattern, str) or group is None:
        return ()
    begun = re.sub(r"\(\?(?:[:=!]|<[=!]|P<\w+>)", "(", pattern[: group.start()])
    before = re.search(f"{_LITERAL}{_SPACE}\\Z", begun)
    behind = re.match(f"{_SPACE}{_LITERAL}", pattern[group.end() :])
    if not before or not behind:
        return ()
    opening, closing = (re.sub(r"\\(.)", r"\1", found[1]).strip() for found in (before, behind))
    return (Tags(opening, closing),) if opening and closing else ()


def _render_reasoned(template: ChatTemplate) -> str:
    """The text of an answer with reasoning, told in the ways that templates take it."""
    turn = _turn("assistant", _ANSWER) | dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _REASONING)
    return _render(template, [_turn("user", _USER), turn], False)


def _read_tags(text: str, prompt: str) -> tuple[Tags, ...]:
    """The tags that a template itself lays around an answer's reasoning; none where it shows none. text: of such an
    answer."""
    before, closing = _cut(text, _USER, _REASONING), _cut(text, _REASONING, _ANSWER).strip()
    if not before or not closing:
        return ()
    if before.startswith(prompt) and before != prompt:
        opening = before[len(prompt) :].strip()
    elif prompt.startswith(before) and before != prompt:
        opening = prompt[len(before) :].strip()  # the template opens it with words of its own
    else:
        opening = ""
    if (last := _LAST_TAG.search(before)) and (not opening or len(last[0]) < len(opening)):
        opening = last[0].strip() if "<|channel|>" not in opening else opening
    if not opening:
        return ()
    pairs = [Tags(opening, closing)]
    if opening.startswith("<|channel|>"):  # harmony: what is said on another channel is no final answer either
        pairs.append(Tags(opening.replace("analysis", "commentary"), closing))
    return tuple(pairs)


def _turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _render(template: ChatTemplate, turns: list[dict[str, Any]], opens: bool) -> str:
    """The text; with typed contents where plain ones do not arrive, "" where the template refuses either."""
    typed = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    for form in (turns, typed):
        try:
            text = template.fill(form, opens)
        except TemplateError:
            continue
        if all(turn["content"] in text for turn in turns):
            return text
    return ""


def _cut(text: str, start: str, end: str) -> str:
    """What stands between two marks; "" where they do not stand so."""
    behind = _behind(text, start)
    return behind.partition(end)[0] if end in behind else ""


def _behind(text: str, mark: str) -> str:
    return text.partition(mark)[2]
