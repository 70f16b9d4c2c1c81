"""What sampling settings may be, whichever engine they go to.

Knows nothing of engines.
"""

from __future__ import annotations

import math

from workbench.engines.engine import Sampling
from workbench.errors import EngineError


def check_sampling(sampling: Sampling) -> None:
    """Raise EngineError that names every setting out of its range, all at once."""
    ranges = (
        ("temperature", sampling.temperature >= 0, "0 or more"),
        ("top_p", 0 < sampling.top_p <= 1, "above 0, and 1 at most"),
        ("top_k", sampling.top_k >= 0, "0 or more"),
        ("min_p", 0 <= sampling.min_p <= 1, "between 0 and 1"),
        ("max_tokens", sampling.max_tokens >= 1, "1 or more"),
        ("repetition_penalty", sampling.repetition_penalty > 0, "above 0"),
        ("frequency_penalty", math.isfinite(sampling.frequency_penalty), "a number"),
        ("presence_penalty", math.isfinite(sampling.presence_penalty), "a number"),
        ("logit_bias", not any(map(math.isnan, sampling.logit_bias.values())), "numbers"),
    )
    wrong = [
        f"{name} is {getattr(sampling, name)!r}, expected {expected}" for name, holds, expected in ranges if not holds
    ]
    if not math.isfinite(sampling.temperature):
        wrong.append(f"temperature is {sampling.temperature!r}, expected a number")
    if wrong:
        raise EngineError(f"The sampling cannot be used: {'; '.join(wrong)}.", "Correct the pane's settings.")
