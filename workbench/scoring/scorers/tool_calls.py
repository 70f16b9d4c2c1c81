"""Tool calls: whether the expected tools were called with the expected arguments, and if not, what went wrong first.

A model that cannot write a call, one that chooses the wrong tool and one that gives it the wrong arguments are told
apart: each answer is counted at the first of the three that it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from workbench import json_schemas
from workbench.datasets.turns import ExpectedCall, read_expected_calls
from workbench.errors import DatasetError
from workbench.json_schemas import SchemaError
from workbench.prompting.tools import Tool, ToolCall, write_arguments
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import CorpusSums, Score, ScoredSample, Scorer, ScorerSpec, ScoringInput, truncate
from workbench.scoring.text.normalization import normalize
from workbench.scoring.tool_trace import ToolTrace

FORMATTED, CHOSEN, GIVEN = "well formed", "right tool", "right arguments"


@register(
    "tool_calls",
    group="tools",
    help="Whether the expected tools are called with the expected arguments",
    notes="Expected calls are the case's variable `expected_calls`; an empty list expects none. The summary has the"
    " share of answers whose calls are well formed, that choose the right tools, and that give the right arguments.",
    example="tool_calls: {arguments: fields, order: any}",
)
class ToolCalls(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec()
    name: str = "tool_calls"
    arguments: Annotated[
        Literal["exact", "fields", "schema", "ignore"],
        option(
            "exact: equal to the expected ones; fields: the share of expected arguments that are right;"
            " schema: valid under the tool's own schema; ignore: only the tool counts"
        ),
    ] = "exact"
    order: Annotated[
        Literal["any", "strict"], option("strict: calls come in the expected order; any: in whichever")
    ] = "any"
    extra: Annotated[bool, option("Calls that are not expected do no harm")] = False
    strict: Annotated[bool, option("Compare texts character for character; otherwise case and spaces are ignored")] = (
        False
    )

    def score_input(self, scoring_input: ScoringInput) -> Score:
        trace = scoring_input.trace
        if trace is None:
            return Score(self.name, 0.0, "", "The prompt of this variant has no tools.", applies=False)
        try:
            expected = read_expected_calls(scoring_input.case)
        except DatasetError as error:
            return Score(self.name, 0.0, "", error.message, applies=False, unscored="error")
        shown = truncate("; ".join(call.text for call in trace.calls))
        if expected is None and self.arguments != "schema":
            return Score(self.name, 0.0, shown, "This case has no `expected_calls`.", applies=False)
        return self._score(trace, expected, shown)

    def score(self, text: str, case: Any) -> Score:
        return self.score_input(ScoringInput(text, case))

    def _score(self, trace: ToolTrace, expected: tuple[ExpectedCall, ...] | None, shown: str) -> Score:
        if trace.problem:
            return self._fail(shown, f"A call is not well formed: {trace.problem}.")
        if expected is None:
            expected = tuple(ExpectedCall(call.name) for call in trace.calls)
        pairs = self._pair(expected, trace.calls)
        missing = [one for one, call in pairs if call is None]
        paired = [call for _, call in pairs if call is not None]
        more = [call for call in trace.calls if not any(call is one for one in paired)]
        if missing or (more and not self.extra):
            lines = [f"missing: {', '.join(_show(one) for one in missing)}"] if missing else []
            lines += [f"not expected: {', '.join(call.text for call in more)}"] if more and not self.extra else []
            return self._fail(shown, "Not the expected tools; " + "; ".join(lines) + ".", {FORMATTED: 1.0})
        if self.order == "strict" and not _is_in_order(paired, trace.calls):
            return self._fail(shown, "The expected tools are called in another order.", {FORMATTED: 1.0})
        if not pairs:
            parts = dict.fromkeys((FORMATTED, CHOSEN, GIVEN), 1.0)
            return Score(self.name, 1.0, shown, "No call is expected, and none is made.", parts=parts)
        tools = {tool.name: tool for tool in trace.tools}
        found = [self._compare(one, call, tools) for one, call in pairs if call is not None]
        value = sum(share for share, _ in found) / len(found)
        problems = [problem for _, lines in found for problem in lines]
        parts = {FORMATTED: 1.0, CHOSEN: 1.0, GIVEN: float(not problems)}
        explanation = "\n".join(["The expected tools are called.", *problems])
        return Score(self.name, value, shown, explanation, parts=parts)

    def _fail(self, shown: str, why: str, passed: dict[str, float] | None = None) -> Score:
        parts = {FORMATTED: 0.0, CHOSEN: 0.0, GIVEN: 0.0, **(passed or {})}
        return Score(self.name, 0.0, shown, why, parts=parts)

    def _pair(
        self, expected: Sequence[ExpectedCall], calls: Sequence[ToolCall]
    ) -> list[tuple[ExpectedCall, ToolCall | None]]:
        """Each expected call with one that was made, the one whose arguments fit best, each taken once."""
        left = list(calls)
        pairs: list[tuple[ExpectedCall, ToolCall | None]] = []
        for one in expected:
            same = [call for call in left if call.name == one.tool]
            best = max(same, key=lambda call: self._count_right(one, call), default=None)
            if self.order == "strict" and same:
                best = same[0]
            if best is not None:
                left = [call for call in left if call is not best]
            pairs.append((one, best))
        return pairs

    def _count_right(self, expected: ExpectedCall, call: ToolCall) -> int:
        given = call.values
        return sum(
            name in given and self._equal(value, given[name]) for name, value in (expected.arguments or {}).items()
        )

    def _compare(self, expected: ExpectedCall, call: ToolCall, tools: dict[str, Tool]) -> tuple[float, list[str]]:
        """How right the arguments of a call are, 0 to 1, and what is wrong with them."""
        if self.arguments == "ignore":
            return 1.0, []
        if self.arguments == "schema":
            problems = _check_schema(call, tools.get(call.name))
            return float(not problems), problems
        if expected.arguments is None:
            return 1.0, []
        given = call.values
        wrong = [name for name, value in expected.arguments.items() if not self._holds(name, value, given)]
        beyond = [name for name in given if name not in expected.arguments]
        problems = [_describe(call, name, expected.arguments[name], given) for name in wrong]
        if self.arguments == "exact":
            problems += [f"{call.name}: {name} is not expected" for name in beyond]
            return float(not problems), problems
        total = len(expected.arguments)
        return ((total - len(wrong)) / total if total else 1.0), problems

    def _holds(self, name: str, value: Any, given: dict[str, Any]) -> bool:
        return name in given and self._equal(value, given[name])

    def _equal(self, left: Any, right: Any) -> bool:
        """Whether two values are the same, at any depth; true is not 1."""
        if isinstance(left, str) and isinstance(right, str) and not self.strict:
            return normalize(left) == normalize(right)
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(self._equal(left[key], right[key]) for key in left)
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(self._equal, left, right))
        return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return {
            key: sums.value(sums.rows.sum(axis=0)) if len(samples) else 0.0
            for key, sums in self.corpus_sums(samples).items()
        }

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        """The share of answers that get as far as each of the three."""
        import numpy as np

        found = {}
        for key in (FORMATTED, CHOSEN, GIVEN):
            rows = np.array([[_read_part(one, key), 1.0] for one in samples], dtype=np.float64).reshape(-1, 2)
            found[key] = CorpusSums(rows, lambda total: float(total[0] / total[1]) if total[1] else 0.0, (0.0, 1.0))
        return found


def _read_part(sample: ScoredSample, key: str) -> float:
    """A part of a score, or its mean over the turns of a conversation."""
    parts = sample.score.parts
    if key in parts:
        return parts[key]
    own = [value for name, value in parts.items() if name.endswith(f" {key}")]
    return sum(own) / len(own) if own else 0.0


def _is_in_order(paired: Sequence[ToolCall], calls: Sequence[ToolCall]) -> bool:
    indices = [next(at for at, call in enumerate(calls) if call is one) for one in paired]
    return indices == sorted(indices)


def _check_schema(call: ToolCall, tool: Tool | None) -> list[str]:
    if tool is None:
        return [f"{call.name}: no such tool is offered"]
    try:
        return [f"{call.name}: {problem}" for problem in json_schemas.find_problems(tool.schema, call.values)]
    except SchemaError as error:
        return [f"{call.name}: the schema cannot be applied: {error}"]


def _describe(call: ToolCall, name: str, wanted: Any, given: dict[str, Any]) -> str:
    found = f"found {write_arguments(given[name])}" if name in given else "it is missing"
    return f"{call.name}: {name}: expected {write_arguments(wanted)}, {found}"


def _show(expected: ExpectedCall) -> str:
    if expected.arguments is None:
        return expected.tool
    return ToolCall(expected.tool, write_arguments(expected.arguments)).text
