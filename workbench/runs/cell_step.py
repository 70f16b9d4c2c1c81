"""CellStep: one call of a cell that makes several, and what such calls add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from workbench.inference.types import Completion, show_counts
from workbench.prompting.prompt import Message
from workbench.prompting.tools import ToolCall
from workbench.scoring.scorer import Score
from workbench.units import format_duration

StepKind = Literal["call", "check", "tool", "turn"]
"""call: of a chain; check: the model judged another call's answer; tool: a round of tool calls; turn: of a
conversation."""

StepState = Literal["done", "failed", "skipped", "not_run"]
"""skipped: its condition did not hold; not_run: a step before it failed."""


class CellStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a cell, or why it was not made.

    name: of the step. index: of the item in a map, from 1; sample: of several answers to vote on, from 1; attempt: from
        1 where it is tried again; round: from 1 where its calls of tools are answered; 0 where there is only one.
    answers: its completion is the step's, not one that was voted down, not accepted, or that called tools first.
    model: that was asked. digest: fingerprint of the messages as sent and all else that determines the answer, as
        Cell.prompt_digest.
    cached, cost, error, hint: as in Cell. share_seconds: its part of the time that all requests side by side took.
    note: what came of it beside the answer, in a sentence: the vote, why it was skipped or not accepted.
    turn: of a conversation, from 1. before: what was said since the call before it, such as a user's message or results
    of tools. calls: of tools, that the answer makes. problem: why a call in the answer cannot be read. content: the
    answer without its calls; None where it is all of the text. live: of the results before it, how many the bench's
    Python file gave.
    scores: by the step's own scorers, under their names without the step's.
    overlap: seconds of its time in which other calls of its step, which are counted already, were in flight as well.
    """

    name: str
    kind: StepKind = "call"
    state: StepState = "done"
    index: int = 0
    sample: int = 0
    attempt: int = 0
    answers: bool = True
    model: str = ""
    digest: str = ""
    completion: Completion = Completion()
    cached: bool = False
    cost: float = 0.0
    share_seconds: float = 0.0
    error: str = ""
    hint: str = ""
    note: str = ""
    scores: tuple[Score, ...] = ()
    turn: int = 0
    before: tuple[Message, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    problem: str = ""
    content: str | None = None
    live: int = 0
    round: int = 0
    overlap: float = 0.0

    @property
    def text(self) -> str:
        """What is said, without calls."""
        return self.completion.text if self.content is None else self.content

    @property
    def label(self) -> str:
        """Its name with what tells it from the step's other calls: `extract, item 2, sample 3`."""
        return name_call(self.name, self.kind, self.index, self.sample, self.attempt, self.round)


def name_call(name: str, kind: StepKind, index: int, sample: int, attempt: int, round: int) -> str:
    """The label of a call. The arguments are those of CellStep."""
    later = (("attempt", attempt), ("round", round))
    parts = [("item", index), ("sample", sample), *((word, number) for word, number in later if number > 1)]
    more = ", ".join(f"{word} {number}" for word, number in parts if number)
    what = f"{name} ({kind})" if kind == "check" else name
    return f"{what}, {more}" if more else what


def describe_step(step: CellStep) -> str:
    """What came of a call, in a line: `61→2 tokens, 0.31 s`, or why there is no answer."""
    words = {"skipped": "skipped", "not_run": "not run", "failed": "failed"}
    if step.state in ("skipped", "not_run"):
        return f"{words[step.state]}: {step.note}" if step.note else words[step.state]
    done = step.completion
    parts = [f"failed: {step.error}"] if step.state == "failed" else []
    parts += [] if step.answers or step.calls or step.kind != "call" else ["not taken"]
    parts += [step.note] if step.note else []
    parts += [f"{step.live} {'call' if step.live == 1 else 'calls'} answered by the Python file"] if step.live else []
    if done.stop_reason:
        parts.append(f"{show_counts(done)} tokens, {format_duration(done.elapsed_seconds)}")
    parts += ["cached"] if step.cached else []
    parts += [f"cut off: {done.stop_reason}"] if done.stop_reason in ("length", "context") else []
    return ", ".join(parts)


def collect_answers(steps: Sequence[CellStep]) -> dict[str, Completion]:
    """The answer of each step that was carried out, by name; of one that maps over a list, its answers as lines."""
    found: dict[str, list[CellStep]] = {}
    for step in steps:
        if step.state == "done" and step.answers and step.kind == "call":
            found.setdefault(step.name, []).append(step)
    failed = {step.name for step in steps if step.state == "failed"}
    return {
        name: msgspec.structs.replace(
            sum_steps([_with_all_time(step) for step in own], own[-1].completion),
            text="\n".join(one.text for one in own),
        )
        for name, own in found.items()
        if name not in failed
    }


def _with_all_time(step: CellStep) -> CellStep:
    """A call with all of its time: what it overlapped may have been voted down."""
    return msgspec.structs.replace(step, overlap=0.0)


def sum_steps(steps: Sequence[CellStep], answer: Completion) -> Completion:
    """The completion of a cell of several calls: the text of the answer, the tokens and times of all calls.

    answer: that of the last call. Time in which calls were side by side counts once; the first token of the answer
    comes after everything before it.
    """
    made = [step.completion for step in steps if step.state in ("done", "failed")]
    shared = sum(step.overlap for step in steps if step.state in ("done", "failed"))
    total = sum(one.elapsed_seconds for one in made) - shared
    before = total - answer.elapsed_seconds if made else 0.0
    output = sum(one.output_tokens for one in made)
    decode = sum((one.output_tokens - 1) / one.tokens_per_second for one in made if one.tokens_per_second)
    timed = sum(one.output_tokens - 1 for one in made if one.tokens_per_second)
    later = max(before, 0.0)
    counted = all(one.server is None or one.server.counted for one in made)
    server = answer.server
    if server is not None and not counted:
        server = msgspec.structs.replace(server, counted=False)
    return msgspec.structs.replace(
        answer,
        prompt_tokens=sum(one.prompt_tokens for one in made),
        cached_tokens=sum(one.cached_tokens for one in made),
        output_tokens=output,
        thinking_tokens=sum(one.thinking_tokens for one in made),
        seconds_to_first_token=later + answer.seconds_to_first_token,
        seconds_to_first_answer_token=later + answer.seconds_to_first_answer_token
        if answer.seconds_to_first_answer_token
        else 0.0,
        tokens_per_second=timed / decode if decode > 0 else 0.0,
        elapsed_seconds=total,
        deterministic=all(one.deterministic for one in made) if made else answer.deterministic,
        notes=tuple(dict.fromkeys(note for one in made for note in one.notes)),
        server=server,
    )
