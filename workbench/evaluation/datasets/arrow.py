"""Arrow: record batches as rows, for the two formats that hold them.

Knows nothing of files. The names of classes come from what the `datasets` library writes beside a schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from workbench.evaluation.datasets.values import make_namer, to_text

Writer = Callable[[Any], str | None]
AT_ONCE = 1024  # rows turned into Python values together


def make_writers(schema: Any, features: Mapping[str, Any]) -> dict[str, Writer]:
    """For each column what turns its values into text. features: as `datasets` describes them; may be empty."""
    known = {**_features_of(schema), **features}
    return {name: _make_writer(known.get(name)) for name in schema.names}


def read_batch(batch: Any, writers: dict[str, Writer]) -> Iterator[dict[str, str]]:
    """The cells of each row."""
    for at in range(0, batch.num_rows, AT_ONCE):
        columns = batch.slice(at, AT_ONCE).to_pydict()
        texts = [map(writers[name], values) for name, values in columns.items()]
        for row in zip(*texts, strict=True):
            yield {name: text for name, text in zip(columns, row, strict=True) if text is not None}


def _features_of(schema: Any) -> dict[str, Any]:
    kept = (schema.metadata or {}).get(b"huggingface")
    try:
        features = msgspec.json.decode(kept)["info"]["features"] if kept else {}
    except (msgspec.DecodeError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _make_writer(feature: Any) -> Writer:
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return make_namer(tuple(map(str, names))) if isinstance(names, list) else to_text
