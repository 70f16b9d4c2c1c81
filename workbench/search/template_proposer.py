"""Instructions put together by rule from the prompt, the train split and what went wrong on it; no model is asked.

Building blocks: a description of the task, the labels, words that tell each label, the output form, cases that are
easily confused, and a reasoning step where the scorer reads a part of the answer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from workbench.datasets import Case
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables
from workbench.runs.task_kind import DetectedTask, choose_inputs, detect_task
from workbench.scoring.text.normalization import normalize
from workbench.search.answer_form import AnswerForm, ScorerEntries, find_form
from workbench.search.feedback import CaseFeedback
from workbench.search.instruction_text import find_instruction, replace_instruction, split_instruction
from workbench.search.telling_words import find_telling_words

_MOST_CONFUSIONS = 4
_MOST_REMARKS = 3
_MOST_LABELS_LISTED = 30


class InstructionDraft(NamedTuple):
    """A prompt that may be better, and why, in a sentence."""

    prompt: Prompt
    reason: str


def propose_instructions(
    prompt: Prompt, cases: Sequence[Case], scorers: ScorerEntries, feedback: Sequence[CaseFeedback] = ()
) -> tuple[InstructionDraft, ...]:
    """Prompts with other instructions, each once, the seed's own left out; none where there are no cases.

    cases: of the train split, the only ones that are looked at. feedback: of the prompt on some of them.
    """
    if not len(cases):
        return ()
    words, kept = split_instruction(find_instruction(prompt).text)
    blocks = _make_blocks(prompt, words, cases, scorers, feedback)
    found: dict[str, InstructionDraft] = {}
    for parts, reason in _combine(blocks):
        text = "\n".join([*(part for part in parts if part), *(["", kept] if kept else [])])
        candidate = replace_instruction(prompt, text)
        if candidate.body != prompt.body:
            found.setdefault(candidate.body, InstructionDraft(candidate, reason))
    return tuple(found.values())


class _Blocks(NamedTuple):
    """Pieces of an instruction; "" for what there is nothing to say of."""

    own: str
    task: str
    labels: str
    hints: str
    form: str
    edges: str
    reasoning: str


def _make_blocks(
    prompt: Prompt, words: str, cases: Sequence[Case], scorers: ScorerEntries, feedback: Sequence[CaseFeedback]
) -> _Blocks:
    task = detect_task(cases)
    form = find_form(task, cases, scorers)
    inputs = _list_inputs(prompt, cases)
    telling = find_telling_words(cases, inputs) if task.kind == "classify" else {}
    hints = [f"{_quote(label)}: {', '.join(map(_quote, telling.get(label, ())))}" for label in task.labels]
    known = normalize(words)
    listed = len(task.labels) <= _MOST_LABELS_LISTED
    return _Blocks(
        own=words or prompt.description.strip(),
        task=_describe(task, inputs),
        labels="Labels: " + ", ".join(map(_quote, task.labels)) if task.labels and listed else "",
        hints="\n".join(["Words that are typical of each label:", *hints]) if any(telling.values()) and listed else "",
        form="" if normalize(form.text) in known else form.text,
        edges="\n".join(_find_edges(task, feedback)),
        reasoning=_reason_first(task, form),
    )


def _combine(blocks: _Blocks) -> Iterator[tuple[tuple[str, ...], str]]:
    """Combinations with their reasons, those that say the most of the task first."""
    own, task, labels, hints, form, edges, reasoning = blocks
    if reasoning:
        yield (own, reasoning), "Asks for reasoning before the answer."
        if mapped := hints or labels:
            yield (task, mapped, reasoning), "Rewrites the task description, and asks for reasoning before the answer."
    if hints:
        yield (own, hints, form), "Names the words that are typical of each label in the train split."
        yield (task, hints, form), "Rewrites the task description, with the words that are typical of each label."
    if edges:
        yield (own, edges, form), "Names what went wrong on the train split."
        yield (own, hints, edges, form), "Names typical words and what went wrong on the train split."
    if labels:
        yield (task, labels, form), "Rewrites the task description, and lists the labels."
        yield (own, labels, form), "Lists the labels, and says how to answer."
    yield (own, form), "Says how to answer."
    yield (task, form), "Rewrites the task description, and says how to answer."


def _list_inputs(prompt: Prompt, cases: Sequence[Case]) -> tuple[str, ...]:
    """The variables of the prompt that the cases have; those of the cases where the prompt asks for none."""
    asked = tuple(name for name in find_variables(prompt) if name in cases[0].variables)
    return asked or choose_inputs(cases)


def _describe(task: DetectedTask, inputs: Sequence[str]) -> str:
    given = " and ".join(name.replace("_", " ") for name in inputs) if len(inputs) <= 3 else ""
    shown = f"the {given}" if given else "the input"
    if task.kind == "classify":
        return f"Read {shown} and choose the one label that fits it best."
    if task.kind == "extract":
        return f"Extract what {shown} says, and add nothing that it does not say."
    if task.kind == "answer":
        return f"Read {shown} and work out the answer."
    return f"Respond to {shown}."


def _reason_first(task: DetectedTask, form: AnswerForm) -> str:
    """A reasoning step and where the answer goes after it; nothing where the scorer reads the whole answer."""
    if not form.reads_part:
        return ""
    what = {"classify": "the label", "extract": "the JSON value"}.get(task.kind, "the answer")
    what = "the number" if task.numeric else what
    end = f"a line that begins with {form.marker} and holds {what} alone" if form.marker else f"{what} on the last line"
    return f"Think step by step. End with {end}."


def _find_edges(task: DetectedTask, feedback: Sequence[CaseFeedback]) -> list[str]:
    """What went wrong most often, as rules. No input and no free-text answer is quoted."""
    failures = [one for one in feedback if one.failed]
    if task.kind == "classify":
        return _find_confusions(task, failures)
    remarks: Counter[str] = Counter()
    for one in failures:
        remarks.update(set(_find_remarks(task, one)))
    return [remark for remark, _ in remarks.most_common(_MOST_REMARKS)]


def _find_confusions(task: DetectedTask, failures: Sequence[CaseFeedback]) -> list[str]:
    labels = {normalize(label): label for label in task.labels}
    pairs: Counter[tuple[str, str]] = Counter()
    strange = 0
    for one in failures:
        expected = labels.get(normalize(one.case.expected or ""))
        given = labels.get(normalize(one.result.text))
        if expected and given:
            pairs[expected, given] += 1
        strange += given is None
    lines = [
        f"Take care not to answer {_quote(given)} where {_quote(expected)} fits."
        for (expected, given), _ in pairs.most_common(_MOST_CONFUSIONS)
    ]
    if strange:
        lines.append("Copy the label exactly as it is written, without any other word.")
    return lines


def _find_remarks(task: DetectedTask, one: CaseFeedback) -> Iterator[str]:
    answer, expected = one.result.text.strip(), (one.case.expected or "").strip()
    if not answer:
        yield "Never leave the answer empty."
    elif len(answer.split()) > 2 * max(1, len(expected.split())):
        yield "Do not explain, repeat the question or add anything to the answer."
    if task.kind == "extract":
        for key in task.keys:
            if re.search(rf"^{re.escape(key)}: missing", one.result.explanation, re.MULTILINE):
                yield f"Always give the key {_quote(key)}."
            elif re.search(rf"^{re.escape(key)}: expected", one.result.explanation, re.MULTILINE):
                yield f"Copy the value of {_quote(key)} exactly from the input."
    elif task.numeric and not re.search(r"\d", answer):
        yield "The answer is a number; write it in digits."


def _quote(text: str) -> str:
    """Text of the data in a template: as it is, unless the template would act on it."""
    flat = " ".join(text.split())
    return f"{{{{ {json.dumps(flat, ensure_ascii=False)} }}}}" if re.search(r"\{[{%#]|[%#}]\}", flat) else flat
