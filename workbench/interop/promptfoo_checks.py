"""promptfoo's assertions as checks of a case, by the rules of its code (0.120: src/assertions, src/csv.ts)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from workbench.errors import WorkbenchError
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.loss import LossList
from workbench.interop.nunjucks import UntranslatableError, render_nunjucks, write_js
from workbench.interop.yaml_text import parse_text
from workbench.patterns import PatternError, compile_pattern

NOUN = "assertions"
_JUDGED = ("llm-rubric", "model-graded-closedqa", "factuality", "model-graded-factuality", "g-eval")
_NO_INVERSE = ("levenshtein", "latency", "cost")
"""promptfoo reads `not-` before these and ignores it."""

_TYPES = frozenset(
    [
        "answer-relevance",
        "bleu",
        "classifier",
        "contains",
        "contains-all",
        "contains-any",
        "contains-html",
        "contains-json",
        "contains-sql",
        "contains-xml",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "cost",
        "equals",
        "factuality",
        "finish-reason",
        "g-eval",
        "gleu",
        "guardrails",
        "icontains",
        "icontains-all",
        "icontains-any",
        "is-html",
        "is-json",
        "is-refusal",
        "is-sql",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "is-xml",
        "javascript",
        "latency",
        "levenshtein",
        "llm-rubric",
        "pi",
        "meteor",
        "model-graded-closedqa",
        "model-graded-factuality",
        "moderation",
        "perplexity",
        "perplexity-score",
        "python",
        "regex",
        "rouge-n",
        "ruby",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "starts-with",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "search-rubric",
        "webhook",
    ]
)
_KINDS = "|".join(sorted(map(re.escape, _TYPES), key=len, reverse=True))
_PARSED = re.compile(rf"^(not-)?({_KINDS})(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?$")
_WITH_THRESHOLD = frozenset(
    [
        "answer-relevance",
        "classifier",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "cost",
        "latency",
        "levenshtein",
        "perplexity-score",
        "perplexity",
        "rouge-n",
        "similar",
        "starts-with",
    ]
)


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


def read_csv_assertion(text: str) -> dict[str, Any]:
    """The assertion that a cell of `__expected` describes."""
    for prefix, kind in (
        ("javascript:", "javascript"),
        ("fn:", "javascript"),
        ("eval:", "javascript"),
        ("grade:", "llm-rubric"),
        ("llm-rubric:", "llm-rubric"),
        ("python:", "python"),
    ):
        if text.startswith(prefix):
            value = text[len(prefix) :]
            return {"type": kind, "value": value if kind == "llm-rubric" else value.strip()}
    if text.startswith("file://") and re.search(r"\.(py|[cm]?[jt]s)(:|$)", text):
        return {"type": "python" if ".py" in text else "javascript", "value": text[7:].strip()}
    match = _PARSED.match(text)
    if match is None:
        return {"type": "equals", "value": text}
    kind, value = match[2], match[4]
    found: dict[str, Any] = {"type": (match[1] or "") + kind, "value": value}
    if kind in ("contains-all", "contains-any", "icontains-all", "icontains-any"):
        found["value"] = [one.strip() for one in value.split(",")] if value else value
    elif kind not in ("contains-json", "is-json"):
        found["value"] = value.strip() if value is not None else None
        if kind in _WITH_THRESHOLD:
            found["threshold"] = float(match[3]) if match[3] else 0.8 if kind == "similar" else 0.75
    return {key: one for key, one in found.items() if one is not None}


def make_case_checks(assertions: list[Any], context: AssertionContext) -> list[Any]:
    """The checks of a test; what cannot be one is noted in the losses."""
    checks = []
    for number, assertion in enumerate(assertions, 1):
        own = context._replace(where=f"{context.where}, assertion {number}")
        check = _convert(assertion, own)
        if check is not None:
            checks.append(check)
    return checks


def _convert(assertion: Any, context: AssertionContext) -> Any:
    if isinstance(assertion, Mapping) and assertion.get("type") == "assert-set":
        return _convert_set(assertion, context)
    context.losses.count(NOUN)
    try:
        return _make_check(assertion, context)
    except (UnsupportedError, UntranslatableError) as error:
        context.losses.lose(NOUN, str(error), context.where)
    except WorkbenchError as error:
        context.losses.lose(NOUN, error.message, context.where)
    return None


def _convert_set(assertion: Mapping[str, Any], context: AssertionContext) -> Any:
    parts = assertion.get("assert")
    checks = make_case_checks(parts if isinstance(parts, list) else [], context)
    if not checks:
        return None
    options: dict[str, Any] = {"parts": checks}
    if assertion.get("threshold"):
        options["threshold"] = float(assertion["threshold"])
    return {"checks": {**options, **_read_common(assertion, context)}}


def _make_check(assertion: Any, context: AssertionContext) -> Any:
    if not isinstance(assertion, Mapping) or not isinstance(assertion.get("type"), str):
        raise UnsupportedError("an assertion without a type")
    written = str(assertion["type"])
    negate = written.startswith("not-")
    kind = written.removeprefix("not-")
    if assertion.get("transform"):
        raise UnsupportedError("a transform in JavaScript or Python")
    make = _MAKERS.get(kind)
    if make is None:
        raise UnsupportedError(kind)
    if kind in _NO_INVERSE and negate:
        context.losses.change(NOUN, f"promptfoo ignores `not-` before {kind}, and so does the check", context.where)
        negate = False
    value = _render_value(assertion.get("value"), context)
    name, options = make(value, assertion, context, negate)
    inverted = {"negate": True} if negate and "not" not in (options.get("schema") or {}) else {}
    return {name: {**options, **inverted, **_read_common(assertion, context)}}


def _read_common(assertion: Mapping[str, Any], context: AssertionContext) -> dict[str, Any]:
    found: dict[str, Any] = {}
    weight = assertion.get("weight")
    if isinstance(weight, (int, float)) and not isinstance(weight, bool) and weight != 1:
        if weight < 0:
            raise UnsupportedError("a negative weight")
        found["weight"] = weight
    metric = assertion.get("metric")
    if isinstance(metric, str) and metric:
        found["metric"] = render_nunjucks(metric, context.variables, context.environment)
    return found


def _render_value(value: Any, context: AssertionContext) -> Any:
    if isinstance(value, list):
        return [_render_value(one, context) if isinstance(one, str) else one for one in value]
    if not isinstance(value, str):
        return value
    if value.startswith("file://"):
        if re.search(r"\.([cm]?[jt]s|py|rb)(:|$)", value):
            raise UnsupportedError("an expected value from a script")
        text = context.files.read(value)
        if value.endswith((".json", ".yaml", ".yml")):
            return parse_text(text, value)
        return text.strip()
    if value.startswith("package:"):
        raise UnsupportedError("an expected value from a package")
    return render_nunjucks(value, context.variables, context.environment)


# --- one function for each kind: the value, the assertion, its context, and whether it is negated ---------------------

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
    return "edit_distance", {"expected": value, "strict": True, "threshold": float(assertion.get("threshold", 5))}


def _limit(scorer: str, unit: float) -> Maker:
    def make(_value: Any, assertion: Mapping[str, Any], _context: AssertionContext, _negate: bool) -> Made:
        if not isinstance(assertion.get("threshold"), (int, float)):
            raise UnsupportedError(f"{scorer} without a threshold")
        return scorer, {"threshold": float(assertion["threshold"]) * unit}

    return make


def _rouge(value: Any, assertion: Mapping[str, Any], context: AssertionContext, _negate: bool) -> Made:
    if not isinstance(value, str) or not value.strip():
        raise UnsupportedError("an expected text that is empty or no text")
    context.losses.change(NOUN, "rouge-n is computed by rouge-score as ROUGE-1, and may differ", context.where)
    return "rouge1", {"expected": value, "threshold": float(assertion.get("threshold", 0.75))}


def _bleu(value: Any, assertion: Mapping[str, Any], context: AssertionContext, _negate: bool) -> Made:
    references = value if isinstance(value, list) else [value]
    if not references or not all(isinstance(one, str) and one.strip() for one in references):
        raise UnsupportedError("an expected text that is empty or no text")
    context.losses.change(NOUN, "bleu is computed by sacrebleu, and may differ", context.where)
    threshold = float(assertion.get("threshold", 0.5)) * 100
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
    threshold = float(assertion.get("threshold") or 1.0)
    return "judge", {"model": context.judge, "rubric": rubric, "labels": ["fail", "pass"], "threshold": threshold}


_MAKERS: dict[str, Maker] = {
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
