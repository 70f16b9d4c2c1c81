"""Reports for machines: cells as the JSON that `workbench compare --json` promises.

Knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workbench.evaluation.cell import Cell


def encode_cells(cells: Sequence[Cell]) -> str:
    """The cells as one JSON object, laid out for reading; a score that does not apply is left out."""
    encoded = msgspec.json.encode({"cells": [_describe(cell) for cell in cells]})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _describe(cell: Cell) -> dict[str, Any]:
    completion = cell.completion
    return {
        "variant": cell.variant,
        "case": cell.case,
        "text": completion.text,
        "scores": {score.scorer: score.value for score in cell.scores if score.applies},
        "prompt_tokens": completion.prompt_tokens,
        "output_tokens": completion.output_tokens,
        "seconds_to_first_token": completion.seconds_to_first_token,
        "tokens_per_second": completion.tokens_per_second,
        "stop_reason": completion.stop_reason,
        "reproducible": completion.reproducible,
        "notes": list(completion.notes),
        "error": cell.error or None,
    }
