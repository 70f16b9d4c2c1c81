"""Sampling: how the next token is chosen."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

Thinking = Literal["default", "off", "on"]
"""Whether a model is to reason before it answers; default: as its chat template has it."""


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the next token is chosen, in llama.cpp's terms; the defaults choose the likeliest token.

    What each field may be, and what it does, stands in sampling_fields.py.
    temperature: 0 is greedy. seed: None draws a fresh one for each request.
    logit_bias: text, or `id:` and a token's number -> added to the logit; text biases each of its tokens.
    thinking, reasoning_effort, thinking_budget: see thinking_switch.py; -1 is no budget.
    bad_words: texts that are never written. repeat_last_n: tokens that the penalties look at, prompt included.
    grammar: the answer follows it, GBNF from its rule `root` on or Lark from `start`; empty: free.
    regex: the whole answer matches it, in the syntax of Rust's regex; empty: free.
    json_schema: the answer is JSON that is valid under it; None: free. At most one of the three.
    """

    TEXT_KEYS: ClassVar[dict[str, str]] = {"logit_bias": "id:{} for the token of this number"}

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    max_tokens: int = 256
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = ()
    seed: int | None = 0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_last_n: int = 64
    logit_bias: dict[str, float] = {}
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    thinking: Thinking = "default"
    reasoning_effort: str = ""
    thinking_budget: int = -1
    grammar: str = ""
    regex: str = ""
    json_schema: dict[str, Any] | None = None
