"""Catalog: each scorer with its question, its options and an example, for a person who looks for one.

Knows nothing of how scorers judge; questions and notes are the scorers' own docstrings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from workbench.evaluation.scorers.adjustment import Adjustment
from workbench.evaluation.scorers.registry import KINDS

_EXAMPLES = {
    "exact_match": "exact_match: {extract: {after: 'Answer:'}, ignore_case: true, ignore_punctuation: true}",
    "normalized_match": "normalized_match",
    "numeric_match": "numeric_match: {extract: last_number, tolerance: 0.01}",
    "contains": "contains: {text: sorry, negate: true}",
    "regex": r"regex: {pattern: '\((\w)\)', last: true}",
    "accuracy": "accuracy: {labels: [Lantern, Abacus, Harbour], within: true}",
    "token_f1": "token_f1",
    "bleu": "bleu: {lowercase: true}",
    "chrf": "chrf: {word_order: 2}",
    "rouge1": "rouge1: {measure: recall}",
    "rouge2": "rouge2",
    "rougeL": "rougeL: {stemmer: true}",
    "edit_distance": "edit_distance: {threshold: 3}",
    "edit_similarity": "edit_similarity",
    "json_valid": "json_valid: {kind: object}",
    "json_schema": "json_schema: {schema: {type: object, required: [name]}}",
    "json_fields": "json_fields: {fields: [name, day]}",
    "python": "python: {file: judge.py, function: score, timeout_seconds: 5}",
    "log_likelihood": "log_likelihood: {per: token}",
    "perplexity": "perplexity",
    "multiple_choice": "multiple_choice: {column: choices, normalize: characters}",
    "judge": "judge: {model: my-judge, rubric: Is the answer polite?, points: 5}",
    "pairwise": "pairwise: {model: [judge-a, judge-b], rubric: Which answer is clearer?}",
    "latency": "latency: {until: first_token}",
    "output_length": "output_length: {unit: words}",
    "cost": "cost",
    "combined": "combined: {parts: [json_valid, {token_f1: {weight: 3}}], how: mean}",
}


class Option(NamedTuple):
    """default: as it is written in a bench; "" where the option has to be given. meaning: "" where the name says it."""

    name: str
    default: str
    meaning: str


class Entry(NamedTuple):
    """One scorer. question: what it asks. notes: what else there is to say. example: a line of a bench."""

    name: str
    question: str
    notes: str
    options: tuple[Option, ...]
    example: str


def describe_scorers() -> tuple[Entry, ...]:
    """Every scorer, in the order they are best read."""
    return tuple(_describe(name, kind, _EXAMPLES[name]) for name, kind in KINDS.items())


def describe_common() -> Entry:
    """The options that every scorer takes."""
    return _describe("any scorer", Adjustment, "")


def _describe(name: str, kind: type[Any], example: str) -> Entry:
    question, _, rest = (kind.__doc__ or "").strip().partition("\n\n")
    notes, meanings = _read_meanings(" ".join(rest.split()), kind)
    return Entry(name, " ".join(question.split()), notes, tuple(_list_options(kind, meanings)), example)


def _read_meanings(text: str, kind: type[Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says before it comes to the options, and what it says of each: `one, other: meaning.`"""
    names = "|".join(re.escape(name) for name in kind.__struct_fields__)
    pieces = re.split(rf"(?:^|(?<=\. ))((?:{names})(?:, (?:{names}))*): ", text)
    meanings: dict[str, str] = {}
    for named, meaning in zip(pieces[1::2], pieces[2::2], strict=True):
        meanings |= dict.fromkeys(named.split(", "), meaning.strip().removesuffix("."))
    return pieces[0].strip(), meanings


def _list_options(kind: type[Any], meanings: dict[str, str]) -> Iterator[Option]:
    usual = {"name": "what the scorer is called, where a bench has two of a kind"}
    for field in msgspec.structs.fields(kind):
        meaning = meanings.get(field.name, usual.get(field.name, ""))
        value = field.default if field.default is not msgspec.NODEFAULT else {}
        default = "" if field.required else _write(msgspec.to_builtins(value))
        yield Option(field.encode_name, default, meaning)


def _write(value: Any) -> str:
    """A default as YAML would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_write, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_write(each)}" for key, each in value.items()) + "}"
    return str(value) if value != "" else "''"
