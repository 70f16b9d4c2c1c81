"""Sampling as options of llama-server's command line: what a request leaves open is then what the variant has.

The workbench's defaults are written too: those of llama-server draw (temperature 0.8, top-k 40, top-p 0.95, min-p
0.05). Of a sampler that both have off, only what a variant switches on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.inference.types import Sampling

FLAGS = {
    "temperature": "--temp",
    "top_p": "--top-p",
    "top_k": "--top-k",
    "min_p": "--min-p",
    "max_tokens": "--n-predict",
    "repetition_penalty": "--repeat-penalty",
    "repeat_last_n": "--repeat-last-n",
    "frequency_penalty": "--frequency-penalty",
    "presence_penalty": "--presence-penalty",
    "seed": "--seed",
}
"""Our field -> llama-server's option, always written."""

SWITCHED = {
    "typical_p": {"typical_p": "--typical"},
    "top_n_sigma": {"top_n_sigma": "--top-nsigma"},
    "dynatemp_range": {"dynatemp_range": "--dynatemp-range", "dynatemp_exponent": "--dynatemp-exp"},
    "dry_multiplier": {
        "dry_multiplier": "--dry-multiplier",
        "dry_base": "--dry-base",
        "dry_allowed_length": "--dry-allowed-length",
        "dry_penalty_last_n": "--dry-penalty-last-n",
    },
    "xtc_probability": {"xtc_probability": "--xtc-probability", "xtc_threshold": "--xtc-threshold"},
    "mirostat": {"mirostat": "--mirostat", "mirostat_tau": "--mirostat-ent", "mirostat_eta": "--mirostat-lr"},
}
"""The field that switches a sampler on -> the options of that sampler."""

_OTHERS = frozenset({"ignore_eos", "thinking", "dry_sequence_breakers"})
_LAST_N = ("repeat_last_n", "dry_penalty_last_n")
_WHOLE = 2**31 - 1
"""Tokens to look back: more than a context holds."""


def is_held(field: str, value: Any) -> bool:
    """Whether the command line holds a field: a grammar where it is GBNF."""
    if field == "grammar":
        return "::=" in value
    return field in FLAGS or field in _OTHERS or any(field in own for own in SWITCHED.values())


def list_flags(sampling: Sampling, context_tokens: int | None = None) -> Iterator[str]:
    """The words of the command line. context_tokens: of the model, where they are set."""
    usual = Sampling()
    flags = dict(FLAGS)
    for switch, own in SWITCHED.items():
        if getattr(sampling, switch) != getattr(usual, switch):
            flags |= own
    for field, flag in flags.items():
        value = getattr(sampling, field)
        if field in _LAST_N and value < 0:
            value = context_tokens or _WHOLE
        yield from (flag, str(-1 if value is None else value))
    if sampling.dry_multiplier and sampling.dry_sequence_breakers != usual.dry_sequence_breakers:
        for breaker in sampling.dry_sequence_breakers or ("none",):
            yield from ("--dry-sequence-breaker", breaker)
    if sampling.ignore_eos:
        yield "--ignore-eos"
    if sampling.thinking != "default":
        yield from ("--reasoning", sampling.thinking)
    if sampling.grammar and is_held("grammar", sampling.grammar):
        yield from ("--grammar", sampling.grammar)
