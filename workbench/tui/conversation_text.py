"""Conversation text: the turns of a cell or a pane, with the tool calls and their results, tokens, times and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from workbench.prompting.prompt import Message
from workbench.runs.cell_step import CellStep, describe_step
from workbench.sanitize import sanitize, sanitize_line
from workbench.scoring.scorer import Score

Part = str | tuple[str, str] | Content
_DIM = "$foreground 60%"
_HEAD = "bold $primary"
_SPEAKERS = {"user": "user", "assistant": "assistant", "system": "system"}


def has_conversation(steps: Sequence[CellStep]) -> bool:
    """Whether these calls are a conversation that is worth more than its answer: of turns, or with tool calls."""
    return any(step.turn for step in steps) and (len(steps) > 1 or any(step.calls or step.problem for step in steps))


def describe_conversation(steps: Sequence[CellStep]) -> list[Part]:
    """Everything that was said, turn by turn. Texts of models, people and tools are data, never markup."""
    parts: list[Part] = [("conversation", _HEAD)]
    for step in steps:
        parts += ["\n", (sanitize_line(step.label), "bold"), (f"   {sanitize_line(describe_step(step))}", _DIM)]
        for message in step.before:
            parts += _list_message(message)
        if step.state == "done":
            parts += _list_answer(step)
        parts += _list_scores(step.scores)
    return parts


def show_message(message: Message) -> str:
    """A message in a line of plain text: who says what."""
    pictures = "".join(f" [{one.name or one.media_type}]" for one in message.pictures)
    return f"{_name(message)}  {message.content}{pictures}"


def list_calls(step: CellStep) -> Iterator[str]:
    """The calls of an answer, a line each, or why one cannot be read."""
    for call in step.calls:
        yield f"→ {call.text}"
    if step.problem:
        yield f"! not a call: {step.problem}"


def _name(message: Message) -> str:
    return f"{message.name or 'tool'} ←" if message.role == "tool" else _SPEAKERS.get(message.role, message.role)


def _list_message(message: Message) -> list[Part]:
    return ["\n", (f"{sanitize_line(_name(message))}  ", _DIM), sanitize(message.content)]


def _list_answer(step: CellStep) -> list[Part]:
    parts: list[Part] = []
    if step.completion.thinking:
        parts += ["\n", ("thinking  ", _DIM), (sanitize(step.completion.thinking), f"italic {_DIM}")]
    if step.text.strip() or not (step.calls or step.problem):
        parts += ["\n", ("assistant  ", _DIM), sanitize(step.text) or "(empty)"]
    for line in list_calls(step):
        parts += ["\n", (sanitize(line), "$text-error" if step.problem else "$accent")]
    if step.calls or step.problem:
        parts += ["\n", ("as written  ", _DIM), (sanitize(step.completion.text), _DIM)]
    return parts


def _list_scores(scores: Sequence[Score]) -> list[Part]:
    parts: list[Part] = []
    for score in scores:
        if score.applies or score.unscored:
            value = f"{score.value:.4g}" if score.applies else "no score"
            reason = sanitize(score.explanation.partition("\n")[0])
            parts += ["\n", (f"{sanitize_line(score.scorer.replace('_', ' '))}  ", _HEAD), (value, "bold")]
            parts += [(f"   {reason}", _DIM)]
    return parts
