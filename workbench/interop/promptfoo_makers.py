"""What makes a check of an assertion of promptfoo, by its type (0.120: src/assertions).

One function for each kind: it is given the value, the assertion, its context, and whether it is negated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.loss import LossList
from workbench.interop.nunjucks import write_js
from workbench.interop.yaml_text import parse_text
from workbench.patterns import PatternError, compile_pattern

NOUN = "assertions"
_JUDGED = ("llm-rubric", "model-graded-closedqa", "factuality", "model-graded-factuality", "g-eval")


class UnsupportedError(Exception):
    """Why an assertion cannot be a check here."""


class AssertionContext(NamedTuple):
    """What an assertion is read with. judge: model of graded assertions; empty: they are lost."""

    files: BoundedFiles
    variables: Mapping[str, Any]
    environment: Mapping[str, Any]
    losses: LossList
    judge: str = ""
    where: str = ""


def read_threshold(assertion: Mapping[str, Any], usual: float) -> float:
    """The threshold of an assertion. Raises UnsupportedError for one that is no number."""
    value = assertion.get("threshold", usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UnsupportedError(f"the threshold {str(value)[:40]}, which is no number")
    return float(value)


Made = tuple[str, dict[str, Any]]
Maker = Callable[[Any, Mapping[str, Any], AssertionContext, bool], Made]


def _equals(value: Any, _assertion: Mapping[str, Any], _context: AssertionContext, negate: bool) -> Made:
    if isinstance(value, (dict, list)):
        same = {"const": value}  # an answer that is no JSON fails either way
        return "json_schema", {"schema": {"not": same} if negate else same, "strict": True}
    text = "undefined" if value is None else write_js(value)
    if not text.strip():
        return "regex", {"pattern": rf"\A{re.escape(text)}\Z", "compare": False}
    return "exact_match", {"expected": text, "strict": True}


def _contains(ignore_case: bool, at: str = "anywhere") -> Maker:
    def make(value: Any, _assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
        if isinstance(value, (dict, list, bool)) or value in (None, ""):
            raise UnsupportedError("an expected text that is empty or no text")
        folded = {"ignore_case": True} if ignore_case else {}
        return "contains", {
            "text": write_js(value),
            "strict": True,
            **folded,
            **({"at": at} if at != "anywhere" else {}),
        }

    return make


def _contains_several(key: str, ignore_case: bool) -> Maker:
    def make(value: Any, assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
        if isinstance(value, str) and str(assertion.get("type", "")).endswith("contains-any") and not ignore_case:
            listed = [one.strip() for one in re.findall(r"(\".*?\"|[^,]+)(?=\s*,|\s*$)", value)]
            texts = [re.sub(r"^\"|\"$", "", one) for one in listed]
        elif isinstance(value, str):
            texts = [one.strip() for one in value.split(",")]
        elif isinstance(value, list) and value:
            texts = [write_js(one) for one in value]
        else:
            raise UnsupportedError("a list of expected texts that is empty or no list")
        if "" in texts:  # every answer contains the empty text
            texts = [text for text in texts if text] if key == "all_of" else []
            if not texts:
                return "regex", {"pattern": "", "compare": False}
        folded = {"ignore_case": True} if ignore_case else {}
        return "contains", {key: texts, "strict": True, **folded}

    return make


def _regex(value: Any, _assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
    if not isinstance(value, str) or not value:
        raise UnsupportedError("a pattern that is empty or no text")
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", value)
    pattern = re.sub(r"\\u\{?([0-9A-Fa-f]{4})\}?", lambda found: re.escape(chr(int(found[1], 16))), pattern)
    pattern = re.sub(r"(?<!\\)\$(?=\)|\||$)", r"\\Z", pattern)  # JavaScript's $ is the very end of the text
    if not re.search(r"\\[sS]", pattern):  # JavaScript's \w, \d and \b know the letters of ASCII alone
        pattern = f"(?a){pattern}"
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise UnsupportedError(f"a pattern that cannot be used here: {error}") from error
    return "regex", {"pattern": pattern, "compare": False}


def _json(anywhere: bool) -> Maker:
    option = {"anywhere": True} if anywhere else {"strict": True}

    def make(value: Any, _assertion: Mapping[str, Any], context: AssertionContext, negate: bool) -> Made:
        if not value:
            return "json_valid", {**option, **({"kind": "object"} if anywhere else {})}
        if negate:
            raise UnsupportedError("a negated JSON schema")
        schema = parse_text(value, "the schema") if isinstance(value, str) else value
        if not isinstance(schema, (dict, bool)):
            raise UnsupportedError("a JSON schema that is none")
        return "json_schema", {"schema": schema, **option}

    return make


def _levenshtein(value: Any, assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedError("an expected text that is empty or no text")
    return "edit_distance", {"expected": value, "strict": True, "threshold": read_threshold(assertion, 5.0)}


def _limit(scorer: str, unit: float) -> Maker:
    def make(_value: Any, assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
        if assertion.get("threshold") is None:
            raise UnsupportedError(f"{scorer} without a threshold")
        return scorer, {"threshold": read_threshold(assertion, 0.0) * unit}

    return make


def _rouge(value: Any, assertion: Mapping[str, Any], context: AssertionContext, _negate: bool) -> Made:
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedError("an expected text that is empty or no text")
    context.losses.change(NOUN, "rouge-n is computed by rouge-score as ROUGE-1, and may differ", context.where)
    return "rouge1", {"expected": value, "threshold": read_threshold(assertion, 0.75)}


def _bleu(value: Any, assertion: Mapping[str, Any], context: AssertionContext, _negate: bool) -> Made:
    references = value if isinstance(value, list) else [value]
    if not references or not all(isinstance(one, str) and one.strip() for one in references):
        raise UnsupportedError("an expected text that is empty or no text")
    context.losses.change(NOUN, "bleu is computed by sacrebleu, and may differ", context.where)
    threshold = read_threshold(assertion, 0.5) * 100
    return "bleu", {"expected": references, "lowercase": True, "threshold": threshold}


def _judged(value: Any, assertion: Mapping[str, Any], context: AssertionContext, _negate: bool) -> Made:
    kind = str(assertion["type"]).removeprefix("not-")
    if not context.judge:
        raise UnsupportedError(f"{kind}, which needs a model as the judge (--judge)")
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedError(f"{kind} without a rubric")
    context.losses.change(NOUN, f"{kind} is asked by our prompt of the judge {context.judge}", context.where)
    rubric = value
    if kind.endswith("factuality"):
        rubric = f"The answer says the same facts as this, or does not contradict it: {value}"
    threshold = read_threshold(assertion, 1.0) or 1.0
    return "judge", {"model": context.judge, "rubric": rubric, "labels": ["fail", "pass"], "threshold": threshold}


MAKERS: dict[str, Maker] = {
    "equals": _equals,
    "contains": _contains(False),
    "icontains": _contains(True),
    "starts-with": _contains(False, "start"),
    "contains-any": _contains_several("any_of", False),
    "icontains-any": _contains_several("any_of", True),
    "contains-all": _contains_several("all_of", False),
    "icontains-all": _contains_several("all_of", True),
    "regex": _regex,
    "is-json": _json(False),
    "contains-json": _json(True),
    "levenshtein": _levenshtein,
    "latency": _limit("latency", 0.001),
    "cost": _limit("cost", 1.0),
    "rouge-n": _rouge,
    "bleu": _bleu,
    **dict.fromkeys(_JUDGED, _judged),
}
