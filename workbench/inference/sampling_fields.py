"""The fields of Sampling: how each is written, what it does and what it may be, for the form, the command line, the
bench file and the engines alike."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from workbench.errors import EngineError
from workbench.inference.limits import CONSTRAINTS
from workbench.inference.types import Sampling

Kind = Literal["number", "whole", "flag", "choice", "texts", "biases", "grammar", "schema"]

DEFAULTS = Sampling()

LARGEST = 1_000_000

_THINKING = ("default", "off", "on")
_EFFORTS = ("", "low", "medium", "high")


def _round_to_single(value: float) -> float:
    """The value as engines hold it: one just above 0 may be 0 to them."""
    with contextlib.suppress(OverflowError):
        return float(struct.unpack("f", struct.pack("f", value))[0])
    return value


class SamplingField(NamedTuple):
    """name: in files and as an option. label: in the form. low, high: what a number may be, both included unless
    `above` says that low is not. choices: of a text."""

    name: str
    label: str
    kind: Kind
    help: str
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """What is expected, in words."""
        if self.choices:
            return f"one of {', '.join(choice or 'nothing' for choice in self.choices)}"
        if not math.isinf(self.high):
            low, high = f"{self.low:,g}", f"{self.high:,.0f}"
            return f"above {low}, and {high} at most" if self.above else f"{low} to {high}"
        if not math.isinf(self.low):
            return f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        return "a whole number" if self.kind == "whole" else "a number"

    def find_problem(self, value: Any) -> str | None:
        """Why a value cannot be used, such as `top_p is 3.0, expected above 0, and 1 at most`; None where it can."""
        return None if self._holds(value) else f"{self.name} is {value!r}, expected {self.range}"

    def _holds(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind == "biases":
            return not any(map(math.isnan, value.values()))
        if self.kind not in ("number", "whole") or value is None:
            return True
        if not math.isfinite(value) or value > self.high:
            return False
        return self.low < _round_to_single(value) if self.above else self.low <= value


FIELDS = (
    SamplingField("temperature", "temperature", "number", "0 is greedy; higher is more random.", 0),
    SamplingField(
        "top_p", "top p", "number", "Nucleus sampling: top tokens with this total probability. 1: off.", 0, 1, True
    ),
    SamplingField("top_k", "top k", "whole", "Keep the k most likely tokens. 0: off.", 0, LARGEST),
    SamplingField("min_p", "min p", "number", "Minimum probability relative to the top token. 0: off.", 0, 1),
    SamplingField("typical_p", "typical p", "number", "Locally typical sampling. 1: off.", 0, 1, True),
    SamplingField(
        "top_n_sigma", "top n sigma", "number", "Keep logits within n standard deviations of the top. 0: off.", 0, 100
    ),
    SamplingField("max_tokens", "max tokens", "whole", "Maximum number of tokens to generate.", 1, LARGEST),
    SamplingField("min_tokens", "min tokens", "whole", "Minimum number of tokens before an end token.", 0, LARGEST),
    SamplingField("ignore_eos", "ignore eos", "flag", "Ignore end tokens: generate until max_tokens."),
    SamplingField("stop", "stop", "texts", r"Stop strings, comma-separated; \n for a newline."),
    SamplingField("bad_words", "bad words", "texts", "Strings that are never generated, comma-separated."),
    SamplingField("seed", "seed", "whole", "Random seed; empty: a new one each time."),
    SamplingField(
        "repetition_penalty", "repetition penalty", "number", "Above 1 penalizes repeated tokens. 1: off.", 0, 100, True
    ),
    SamplingField(
        "frequency_penalty", "frequency penalty", "number", "Penalty per earlier occurrence of a token.", -1000, 1000
    ),
    SamplingField(
        "presence_penalty", "presence penalty", "number", "Penalty for tokens that occurred at all.", -1000, 1000
    ),
    SamplingField("repeat_last_n", "repeat last n", "whole", "Last n tokens to penalize. -1: all.", -1, LARGEST),
    SamplingField("logit_bias", "logit bias", "biases", "text=number or id:7=number; -100 bans the token."),
    SamplingField("dynatemp_range", "dynatemp range", "number", "Dynamic temperature: range. 0: off.", 0, 100),
    SamplingField(
        "dynatemp_exponent", "dynatemp exponent", "number", "Dynamic temperature: entropy exponent.", 0, 100, True
    ),
    SamplingField("dry_multiplier", "DRY multiplier", "number", "DRY: penalty for repeated sequences. 0: off.", 0, 100),
    SamplingField("dry_base", "DRY base", "number", "DRY: growth per repeated token.", 1, 100),
    SamplingField(
        "dry_allowed_length", "DRY allowed length", "whole", "DRY: longest repetition without penalty.", 1, LARGEST
    ),
    SamplingField(
        "dry_penalty_last_n", "DRY penalty last n", "whole", "DRY: last n tokens to scan. -1: all.", -1, LARGEST
    ),
    SamplingField("dry_sequence_breakers", "DRY breakers", "texts", "DRY: sequences end at these strings."),
    SamplingField(
        "xtc_probability", "XTC probability", "number", "XTC: chance of removing the top tokens. 0: off.", 0, 1
    ),
    SamplingField("xtc_threshold", "XTC threshold", "number", "XTC: minimum probability of a removed token.", 0, 1),
    SamplingField("mirostat", "mirostat", "whole", "Mirostat version 1 or 2. 0: off.", 0, 2),
    SamplingField("mirostat_tau", "mirostat tau", "number", "Mirostat: target entropy, in bits.", 0, 100, True),
    SamplingField("mirostat_eta", "mirostat eta", "number", "Mirostat: learning rate.", 0, 1, True),
    SamplingField(
        "thinking", "thinking", "choice", "Thinking before the answer: default, off or on.", choices=_THINKING
    ),
    SamplingField(
        "reasoning_effort",
        "reasoning effort",
        "choice",
        "low, medium or high; empty: the model's default.",
        choices=_EFFORTS,
    ),
    SamplingField(
        "thinking_budget", "thinking budget", "whole", "Maximum number of thinking tokens. -1: no limit.", -1, LARGEST
    ),
    SamplingField("grammar", "grammar", "grammar", "Constrain to a GBNF or Lark grammar, or @file."),
    SamplingField("regex", "regex", "grammar", "Constrain to a regex (Rust syntax)."),
    SamplingField("json_schema", "JSON schema", "schema", "Constrain to a JSON schema: JSON, or @file."),
)


def find_sampling_field(name: str) -> SamplingField:
    return next(field for field in FIELDS if field.name == name)


def with_seeds(sampling: Sampling, count: int) -> list[Sampling]:
    """The sampling of several answers to one request: each has the next seed, or draws one of its own."""
    seed = sampling.seed
    return [sampling if seed is None else replace(sampling, seed=seed + offset) for offset in range(count)]


def check_sampling(sampling: Sampling, unsupported: Sequence[str] = ()) -> None:
    """Raise EngineError that names every setting out of its range, all at once.

    unsupported: fields that the engine cannot honour; one that is set is refused.
    """
    problems = list(find_problems(sampling))
    problems += [
        f"{name} is set, which this engine cannot honour"
        for name in unsupported
        if getattr(sampling, name) != getattr(DEFAULTS, name)
    ]
    if problems:
        raise EngineError(f"The sampling cannot be used: {'; '.join(problems)}.", "Correct the sampling settings.")


def find_problems(sampling: Sampling) -> Iterator[str]:
    """What of a sampling no engine can use."""
    for field in FIELDS:
        if problem := field.find_problem(getattr(sampling, field.name)):
            yield problem
    given = [name for name in CONSTRAINTS if getattr(sampling, name) not in ("", None)]
    if len(given) > 1:
        yield f"it has both a {' and a '.join(given)}, expected one of them at most"
