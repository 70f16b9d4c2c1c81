"""Every Eval Ever report: a record a variant in the schema that collections of evaluations share, as JSON Lines.

The schema is https://github.com/evaleval/every_eval_ever, version 0.3.0; a record is of one model on one evaluation,
and has a result for each metric.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench import __version__
from workbench.analysis.measurements import columns, read_table
from workbench.analysis.summary import Estimate, Summary, VariantSummary
from workbench.errors import StoreError
from workbench.reports.registry import report
from workbench.runs.matrix_rows import Metric
from workbench.runs.provenance import Provenance
from workbench.runs.view import RunView
from workbench.statistics.interval import LEVEL

SCHEMA_VERSION = "0.3.0"
_WILSON = "Wilson score interval"
_SKEW_T = "t interval, corrected for skewness"
_DEPLOYMENT = ("deployment_type", "model_availability")
"""two details that the schema's own validator asks of every model"""


@report(".eee.jsonl", "Every Eval Ever", "a record a variant, for collections of evaluations")
def write_records(view: RunView, summary: Summary, stream: TextIO) -> None:
    """A line for each variant that has a score; an interval that is not known is left out."""
    for record in describe_records(view, summary).values():
        stream.write(msgspec.json.encode(record).decode() + "\n")


def describe_records(view: RunView, summary: Summary) -> dict[str, dict[str, Any]]:
    """The record of each variant that has a score, by its name."""
    deviations = {metric.name: _read_deviations(view, metric) for metric in summary.metrics}
    now = str(int(time.time()))
    found = {}
    for variant in summary.variants:
        results = list(_describe_results(view, summary, variant, deviations))
        if results:
            found[variant.name] = _describe_record(view, summary, variant, now) | {"evaluation_results": results}
    return found


def identify_result(view: RunView, variant: str, metric: str) -> str:
    """The ID of a variant's result by a metric, which its instances name."""
    return f"{view.id}.{variant}.{metric}"


def _describe_record(view: RunView, summary: Summary, variant: VariantSummary, now: str) -> dict[str, Any]:
    origin = _read_origin(view, variant.name)
    model = _describe_model(origin, variant.name)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{summary.bench}/{model['id']}/{view.id}.{variant.name}",
        "evaluation_timestamp": str(int(view.run.started)),
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "workbench",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "third_party",
            "additional_details": {"run": view.id, "bench": summary.bench, "variant": variant.name},
        },
        "eval_library": {"name": "workbench", "version": __version__},
        "model_info": model,
    }


def _read_origin(view: RunView, variant: str) -> Provenance | None:
    try:
        return view.origin(variant)
    except StoreError:
        return None


def _describe_model(origin: Provenance | None, variant: str) -> dict[str, Any]:
    if origin is None:
        return {
            "name": variant,
            "id": f"unknown/{variant}",
            "additional_details": dict.fromkeys(_DEPLOYMENT, "unknown"),
        }
    engine, _, version = origin.engine.partition(" ")
    details = {"fingerprint": origin.model.fingerprint, "format": origin.base.format, **_describe_deployment(origin)}
    applied = [f"{one.applied.adapter.name} ×{one.applied.scale:g}" for one in origin.adapters if one.applied.scale]
    name = " + ".join([origin.base.name, *applied])
    details |= {"adapters": ", ".join(applied)} if applied else {}
    described: dict[str, Any] = {"name": name, "id": f"local/{name}", "additional_details": details}
    return described | {"inference_engine": {"name": engine, "version": version or "unknown"}}


def _describe_deployment(origin: Provenance) -> dict[str, str]:
    """Who ran the model, and whether its weights can be had: of a model on a server neither is known."""
    if origin.base.remote is not None:
        return dict.fromkeys(_DEPLOYMENT, "unknown")
    return dict(zip(_DEPLOYMENT, ("self_deployed", "unknown"), strict=True))


def _describe_results(
    view: RunView, summary: Summary, variant: VariantSummary, deviations: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    for metric in summary.metrics:
        found = variant.scores.get(metric.name)
        if found is None or not math.isfinite(found.value):
            continue
        yield {
            "evaluation_result_id": identify_result(view, variant.name, metric.name),
            "evaluation_name": summary.bench,
            "evaluation_timestamp": str(int(view.run.started)),
            "source_data": _describe_source(view),
            "metric_config": _describe_metric(metric),
            "score_details": {
                "score": found.value,
                "details": _count(variant, metric),
                "uncertainty": _describe_uncertainty(found, metric, deviations[metric.name].get(variant.name)),
            },
            "generation_config": _describe_generation(_read_origin(view, variant.name)),
        }


def _describe_source(view: RunView) -> dict[str, Any]:
    name = Path(view.run.dataset).name or "cases of the bench"
    details = {"cases": str(view.run.cases), **({"digest": view.run.digest} if view.run.digest else {})}
    return {"dataset_name": name, "source_type": "other", "additional_details": details}


def _describe_metric(metric: Metric) -> dict[str, Any]:
    """A metric between 0 and 1, but for one whose values have no bounds: of that the schema asks bounds, so that it
    gets no type."""
    described: dict[str, Any] = {
        "metric_id": metric.name,
        "metric_name": metric.name.replace("_", " "),
        "lower_is_better": metric.lower_is_better,
    }
    if metric.binary:
        return described | {"score_type": "binary", "metric_unit": "proportion", "min_score": 0, "max_score": 1}
    if metric.free:
        return described
    return described | {"score_type": "continuous", "min_score": 0, "max_score": 1}


def _count(variant: VariantSummary, metric: Metric) -> dict[str, str]:
    """What stands behind the score or is missing from it, as texts: the schema wants them so."""
    counts = {
        "cells": variant.n,
        "failed": variant.failed,
        "cut_off": variant.cut,
        "unscored": variant.unscored.get(metric.name, 0),
        "cases_seen_before": variant.seen,
        "cached": variant.cached,
    }
    return {name: str(count) for name, count in counts.items()}


def _describe_uncertainty(found: Estimate, metric: Metric, deviation: float | None) -> dict[str, Any]:
    described: dict[str, Any] = {"num_samples": found.n}
    if deviation is not None and math.isfinite(deviation):
        described["standard_deviation"] = deviation
        described["standard_error"] = {"value": deviation / math.sqrt(found.n), "method": "analytic"}
    if math.isfinite(found.low) and math.isfinite(found.high):
        described["confidence_interval"] = {
            "lower": found.low,
            "upper": found.high,
            "confidence_level": LEVEL,
            "method": _WILSON if metric.binary else _SKEW_T,
        }
    return described


def _read_deviations(view: RunView, metric: Metric) -> dict[str, float]:
    """The standard deviation of each variant's case means; NaN for fewer than two cases."""
    return {
        name: _deviate(column)
        for name, column in zip(view.variants, columns(read_table(view, metric.name)), strict=True)
    }


def _deviate(column: NDArray[np.float64]) -> float:
    return float(column.std(ddof=1)) if len(column) > 1 else math.nan


def _describe_generation(origin: Provenance | None) -> dict[str, Any]:
    if origin is None:
        return {"generation_args": {}}
    sampling = origin.sampling
    known: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    known |= {"max_tokens": sampling.max_tokens, "prompt_template": origin.prompt.body}
    others = {
        name: msgspec.json.encode(getattr(sampling, name)).decode()
        for name in sampling.__struct_fields__
        if name not in known and getattr(sampling, name) != getattr(type(sampling)(), name)
    }
    shown = [one.id for one in origin.prompt.examples if one.id not in origin.variant.examples_off]
    details = {"prompt": origin.prompt.name, "examples": str(len(shown)), **others}
    return {"generation_args": known, "additional_details": details}
