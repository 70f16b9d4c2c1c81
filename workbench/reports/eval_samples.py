"""Every Eval Ever, instance level: a line for each answer and metric, by the schema of version 0.3.0.

A cell whose variant failed has a line with its error and the score 0, marked as not counted; the mean of the counted
lines of a result is its score in the record of every_eval_ever.py, but for repeats, which a record averages by case
first. A metric without a notion of right, such as a perplexity, has no lines: the schema asks of every line whether its
answer is correct.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TextIO

import msgspec

from workbench.analysis.summary import Summary
from workbench.datasets import Case
from workbench.reports.every_eval_ever import SCHEMA_VERSION, describe_records, identify_result
from workbench.reports.registry import report
from workbench.runs.cell import Cell
from workbench.runs.cell_step import CellStep
from workbench.runs.view import RunView
from workbench.scoring.scorer import Score

_TALKS = ("turn", "tool")
"""kinds of steps that make a cell a conversation"""


class EvalSample(NamedTuple):
    """A line: what of the schema it holds, and the variant whose file it belongs to."""

    variant: str
    fields: dict[str, Any]


@report("_samples.jsonl", "Every Eval Ever samples", "a line an answer and metric, beside the records")
def write_samples(view: RunView, summary: Summary, stream: TextIO) -> None:
    for sample in read_samples(view, describe_records(view, summary)):
        stream.write(encode_sample(sample) + "\n")


def encode_sample(sample: EvalSample) -> str:
    return msgspec.json.encode(sample.fields).decode()


def list_skipped(view: RunView) -> tuple[str, ...]:
    """The metrics that have no lines, since none of their values is right or wrong."""
    return tuple(metric.name for metric in view.metrics if _find_limit(view, metric.name) is None)


def read_samples(view: RunView, records: Mapping[str, Mapping[str, Any]]) -> Iterator[EvalSample]:
    """The lines of every variant that has a record, in the order of the cells."""
    limits = {metric.name: limit for metric in view.metrics if (limit := _find_limit(view, metric.name)) is not None}
    lower = {metric.name for metric in view.metrics if metric.lower_is_better}
    cases = view.cases()
    case = next(cases, None)
    for cell in view.cells():
        while case is not None and case.number < cell.case:
            case = next(cases, None)
        own = case if case is not None and case.number == cell.case else Case(cell.case, {})  # one that is damaged
        record = records.get(cell.variant)
        if record is None:
            continue
        for name, limit in limits.items():
            score = next((one for one in cell.scores if one.scorer == name and one.applies), None)
            if score is None and not cell.error:
                continue
            if score is not None and not math.isfinite(score.value):
                continue
            fields = _describe_cell(view, record, own, cell) | _describe_score(cell, name, score)
            right = score is not None and (score.value <= limit if name in lower else score.value >= limit)
            fields["evaluation_result_id"] = identify_result(view, cell.variant, name)
            fields["evaluation"] = {"score": score.value if score else 0.0, "is_correct": right, **_count_steps(cell)}
            yield EvalSample(cell.variant, fields)


def _find_limit(view: RunView, name: str) -> float | None:
    """The value from which an answer is right by a metric; None where the metric knows none."""
    metric = view.metric(name)
    limit = view.limit(name)
    if limit is None and not metric.free and not metric.lower_is_better:
        return 1.0  # the best value of those between 0 and 1
    return limit


def _describe_cell(view: RunView, record: Mapping[str, Any], case: Case, cell: Cell) -> dict[str, Any]:
    """All but what a score says."""
    raw, reference = _write_input(case), [one for one in (case.expected, *case.also) if one is not None]
    talk = [step for step in cell.steps if step.kind in _TALKS]
    counted = {"counted": "no"} if cell.error else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": record["evaluation_id"],
        "model_id": record["model_info"]["id"],
        "evaluation_name": view.run.bench,
        "sample_id": str(case.number),
        "sample_hash": hashlib.sha256((raw + "".join(reference)).encode("utf-8", "replace")).hexdigest(),
        "interaction_type": _name_interaction(talk),
        "input": {"raw": raw, "reference": reference},
        "output": None if talk else _describe_output(cell),
        "messages": _list_messages(talk) if talk else None,
        "token_usage": _count_tokens(cell),
        "performance": _time(cell),
        "error": f"{cell.error} {cell.hint}".strip() or None,
        "metadata": {"variant": cell.variant, "repeat": str(cell.repeat), **counted},
    }


def _write_input(case: Case) -> str:
    """The variables of a case: the text of a single one, else a JSON object."""
    if len(case.variables) == 1:
        return next(iter(case.variables.values()))
    return json.dumps(case.variables, ensure_ascii=False)


def _name_interaction(talk: list[CellStep]) -> str:
    if not talk:
        return "single_turn"
    return "agentic" if any(step.calls for step in talk) else "multi_turn"


def _describe_output(cell: Cell) -> dict[str, Any]:
    thought = {"reasoning_trace": [cell.completion.thinking]} if cell.completion.thinking else {}
    return {"raw": [cell.completion.text], **thought}


def _list_messages(talk: list[CellStep]) -> list[dict[str, Any]]:
    """What was said, in order: before each answer the messages since the one before."""
    found: list[dict[str, Any]] = []
    for step in talk:
        for message in step.before:
            found.append({"role": message.role, "content": message.content})
            if message.call_id:
                found[-1]["tool_call_id"] = [message.call_id]
        calls = [
            {"id": call.id or f"{len(found)}.{at}", "name": call.name, "arguments": _write_texts(call.values)}
            for at, call in enumerate(step.calls)
        ]
        answered: dict[str, Any] = {"role": "assistant", "content": step.text}
        answered |= {"reasoning_trace": step.completion.thinking} if step.completion.thinking else {}
        found.append(answered | ({"tool_calls": calls} if calls else {}))
    return [{"turn_idx": at, **message} for at, message in enumerate(found)]


def _write_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The schema wants every argument as a text: what is none is written as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }


def _describe_score(cell: Cell, scorer: str, score: Score | None) -> dict[str, Any]:
    """Which part of the answer was scored, and by what."""
    talk = [step for step in cell.steps if step.kind in _TALKS]
    last = sum(len(step.before) + 1 for step in talk) - 1 if talk else 0
    return {
        "answer_attribution": [
            {
                "turn_idx": last,
                "source": f"messages[{last}].content" if talk else "output.raw",
                "extracted_value": score.extracted if score else "",
                "extraction_method": scorer,
                "is_terminal": True,
            }
        ]
    }


def _count_steps(cell: Cell) -> dict[str, int]:
    talk = [step for step in cell.steps if step.kind in _TALKS]
    if not talk:
        return {}
    turns = {step.turn for step in talk}
    return {"num_turns": len(turns), "tool_calls_count": sum(len(step.calls) for step in talk)}


def _count_tokens(cell: Cell) -> dict[str, int] | None:
    """None where the server did not tell."""
    done = cell.completion
    if done.server is not None and not done.server.counted:
        return None
    return {
        "input_tokens": done.prompt_tokens,
        "output_tokens": done.output_tokens,
        "total_tokens": done.prompt_tokens + done.output_tokens,
        "input_tokens_cache_read": done.cached_tokens,
        "reasoning_tokens": done.thinking_tokens,
    }


def _time(cell: Cell) -> dict[str, Any] | None:
    """None for an answer that was made in another run."""
    done = cell.completion
    if cell.cached or not done.elapsed_seconds:
        return None
    return {
        "latency_ms": done.elapsed_seconds * 1000,
        "time_to_first_token_ms": done.seconds_to_first_token * 1000,
        "generation_time_ms": max(0.0, done.elapsed_seconds - done.seconds_to_first_token) * 1000,
    }
