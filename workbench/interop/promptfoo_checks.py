"""promptfoo's assertions as checks of a case, by the rules of its code (0.120: src/assertions)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.errors import WorkbenchError
from workbench.interop.nunjucks import UntranslatableError, render_nunjucks
from workbench.interop.promptfoo_makers import MAKERS, NOUN, AssertionContext, UnsupportedError, read_threshold
from workbench.interop.yaml_text import parse_text

_NO_INVERSE = ("levenshtein", "latency", "cost")
"""promptfoo reads `not-` before these and ignores it."""


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
    is_set = isinstance(assertion, Mapping) and assertion.get("type") == "assert-set"
    if not is_set:
        context.losses.count(NOUN)
    try:
        return _convert_set(assertion, context) if is_set else _make_check(assertion, context)
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
        options["threshold"] = read_threshold(assertion, 0.0)
    return {"checks": {**options, **_read_common(assertion, context)}}


def _make_check(assertion: Any, context: AssertionContext) -> Any:
    if not isinstance(assertion, Mapping) or not isinstance(assertion.get("type"), str):
        raise UnsupportedError("an assertion without a type")
    written = str(assertion["type"])
    negate = written.startswith("not-")
    kind = written.removeprefix("not-")
    if assertion.get("transform"):
        raise UnsupportedError("a transform in JavaScript or Python")
    make = MAKERS.get(kind)
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
