"""Bench: a saved comparison, the same file for the screen and for the command line.

Knows what a `*.bench.yaml` holds and how it is read and written; not how it is run (run.py) nor what a score is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench.engines.engine import Sampling


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column: a prompt of the library on a model, with the examples that are switched off and the sampling.

    prompt: a library name such as `queues/few-shot`.
    model: a key of the bench's `models`, or a name or path that models/reference.py resolves.
    """

    name: str
    prompt: str
    model: str
    sampling: Sampling = Sampling()
    examples_off: tuple[str, ...] = ()


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the cases come from.

    path: relative to the bench's folder, else to the working folder, else to the shipped files.
    columns: prompt variable -> column; empty means every column under its own name.
    expected: the column with the right answer.
    """

    path: str
    columns: dict[str, str] = {}
    expected: str = "expected"


class ModelChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's own model, remembered: where it is, the template laid around its messages, its context."""

    path: str
    chat_template: str | None = None
    context_tokens: int | None = None


class Bench(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Variants, cases and scorers.

    scorers: names, or one-key mappings of a name to its options, as scorers/ lists them; the first is the badge.
    library: folder of the prompts, resolved like the dataset's path; empty: the bench's own folder.
    case: the case the screen stands on, from 1. inputs: variables a person typed over it, kept across sessions.
    context_strategy: what happens to a prompt that does not fit; None: as the settings say.
    """

    variants: tuple[Variant, ...]
    dataset: Dataset | None = None
    scorers: tuple[str | dict[str, dict[str, Any]], ...] = ("exact_match",)
    models: dict[str, ModelChoice] = {}
    library: str = ""
    case: int = 1
    inputs: dict[str, str] = {}
    live: bool | None = None
    context_strategy: Literal["refuse", "drop"] | None = None


def load_bench(path: Path) -> Bench:
    """Read a bench file. Raises BenchError that names the file, line and key."""
    raise NotImplementedError


def save_bench(path: Path, bench: Bench, expected_digest: str | None = None) -> str:
    """Write a bench, keeping the comments and key order of the file that is there; the new digest."""
    raise NotImplementedError
