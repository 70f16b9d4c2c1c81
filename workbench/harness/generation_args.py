"""lm-eval's generation arguments as sampling of the workbench."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from workbench.inference.types import Sampling

_MOST_TOKENS = 256
"""lm-eval's own default."""
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_FIELDS = {
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repetition_penalty",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
}
_SILENT = ("do_sample", "temperature", "until", *_LENGTHS)


class GenerationArgs(NamedTuple):
    """unused: arguments that no engine of the workbench has, by name."""

    sampling: Sampling
    unused: tuple[str, ...] = ()


def read_generation_args(given: Mapping[str, Any]) -> GenerationArgs:
    """Greedy unless the task samples, as in lm-eval; the stop texts are never part of an answer."""
    until = given.get("until") or ()
    stop = (until,) if isinstance(until, str) else tuple(str(one) for one in until)
    temperature = float(given.get("temperature") or 0.0)
    if given.get("do_sample") is False:
        temperature = 0.0
    elif given.get("do_sample") and "temperature" not in given:
        temperature = 1.0
    length = next((int(given[name]) for name in _LENGTHS if given.get(name) is not None), _MOST_TOKENS)
    fields = {ours: given[theirs] for theirs, ours in _FIELDS.items() if given.get(theirs) is not None}
    unused = tuple(sorted(name for name in given if name not in _FIELDS and name not in _SILENT))
    return GenerationArgs(
        Sampling(temperature=temperature, max_tokens=length, stop=tuple(filter(None, stop)), **fields), unused
    )
