"""Bench: a saved comparison, the same file for the screen and for the command line.

Knows what a `*.bench.yaml` holds and how it is read and written; not how it is run (run.py) nor what a score
is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench import files
from workbench.engines.engine import Sampling
from workbench.errors import BenchError
from workbench.evaluation import document
from workbench.evaluation.cost import Price
from workbench.models.reference import Dtype, Quantization

Wanted = str | int | float | bool | None
"""What a row's column may be asked to hold."""


class AdapterChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An adapter that a variant lays over its model, by a name or path that models/reference.py resolves.

    on: False keeps it in the list without using it.
    """

    adapter: str
    scale: float = 1.0
    on: bool = True


PerturbationKind = Literal["whitespace", "casing", "order", "typos", "paraphrase"]


class Perturbation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an alternate says a variant's prompt a little differently; see perturbations.py.

    of: the variant's name. order: of the examples. replace: for a paraphrase, what stands in the prompt -> what
    stands there instead.
    """

    of: str
    kind: PerturbationKind
    seed: int = 0
    replace: dict[str, str] = {}


class Perturbations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The alternates that a run with --robustness adds: so many of each kind, drawn from `seed` on.

    paraphrases: a sentence of the prompts -> other ways to say it.
    """

    kinds: tuple[PerturbationKind, ...] = ("whitespace", "casing", "order")
    count: int = 2
    seed: int = 0
    paraphrases: dict[str, tuple[str, ...]] = {}


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column: a prompt of the library on a model, with the examples that are switched off, the sampling and
    the adapters laid over the model.

    prompt: a library name such as `queues/few-shot`.
    model: a key of the bench's `models`, or a name or path that models/reference.py resolves.
    perturbation: of an alternate, which a run with --robustness adds.
    reproducible: each answer is computed by itself: slower, but the same to the last bit from run to run.
    chat_template_kwargs: variables of the model's chat template, such as enable_thinking; they go before the model's.
    """

    name: str
    prompt: str
    model: str
    sampling: Sampling = Sampling()
    examples_off: tuple[str, ...] = ()
    adapters: tuple[AdapterChoice, ...] = ()
    perturbation: Perturbation | None = None
    reproducible: bool = False
    chat_template_kwargs: dict[str, Any] = {}


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the cases come from.

    path: relative to the bench's folder, else to the working folder, else to the shipped files.
    columns: prompt variable -> column; empty means every column but the expected one, under its own name.
    expected: the column with the right answer.
    defaults: variables that no column holds, for which every case takes the prompt's default.
    format: what kind of file it is, such as jsonl; empty: as its name says. layout: what its columns mean, such as
        alpaca or messages, `columns` for nothing but themselves; empty: recognised.
    split: which of several parts, such as test: of a folder, of files that lie beside each other, of a workbook.
    where: only rows whose column has this value, or one of these; null stands for no value.
    sample: so many rows, drawn by `seed`, in the order of the file. limit: the first so many of what is left.
    on_error: skip leaves out rows that cannot be read and counts them, instead of refusing the file.
    """

    path: str
    columns: dict[str, str] = {}
    expected: str = "expected"
    format: str = ""
    layout: str = ""
    split: str = ""
    where: dict[str, Wanted | tuple[Wanted, ...]] = {}
    sample: int | None = None
    seed: int = 0
    limit: int | None = None
    on_error: Literal["refuse", "skip"] = "refuse"
    defaults: tuple[str, ...] = ()


class ModelChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's own model, remembered: where it is, the template laid around its messages, its context, and for a
    Hugging Face folder its precision.

    chat_template_kwargs: variables of the chat template, such as `enable_thinking: false`, `reasoning_effort: low`,
    `tools`, `documents`; `date: 2026-11-30` is what it is told is today.
    """

    path: str
    chat_template: str | None = None
    context_tokens: int | None = None
    dtype: Dtype = ""
    quantization: Quantization = ""
    chat_template_kwargs: dict[str, Any] = {}


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a metric must reach for a run to count as passed: at least `min`, at most `max`.

    variant: the one it is asked of; empty: every one.
    """

    min: float | None = None
    max: float | None = None
    variant: str = ""


Thresholds = dict[str, Threshold | tuple[Threshold, ...]]


class Bench(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Variants, cases and scorers.

    scorers: names, or one-key mappings of a name to its options, as scorers/ lists them; the first is the
        badge.
    library: folder of the prompts, resolved like the dataset's path; empty: the bench's own folder.
    case: the case the screen stands on, from 1. inputs: variables a person typed over that case, kept across
        sessions.
    context_strategy: what happens to a prompt that does not fit; None: as the settings say.
    repeats: how often each variant answers each case; one that draws by a seed draws by another each time.
    thresholds: metric -> what it must reach; a run that misses one ends with exit code 1.
    prices: model, as the variants name it, or `*` -> what it costs.
    perturbations: how a run with --robustness says each prompt differently; a list of kinds, or more in detail.
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
    repeats: int = 1
    thresholds: Thresholds = {}
    prices: dict[str, Price] = {}
    perturbations: Perturbations | tuple[PerturbationKind, ...] | None = None


def load_bench(path: Path) -> Bench:
    """Read a bench file.

    Raises FileError when it cannot be read, and BenchError that names line and key of everything wrong in it.
    """
    return parse_bench(files.read_text(path), str(path))


def parse_bench(text: str, where: str) -> Bench:
    """The bench that a text describes; `where` names the text in errors."""
    bench = document.decode(text, Bench, where)
    problems = _check(bench)
    if problems:
        raise BenchError(f"{where} does not describe a comparison:\n" + "\n".join(f"  {p}" for p in problems))
    return bench


def save_bench(path: Path, bench: Bench, expected_digest: str | None = None) -> str:
    """Write a bench, keeping the comments and key order of the file that is there; the new digest.

    expected_digest: as in files.write_text, whose errors it raises. Fields at their default are left out,
    unless the file names them already.
    """
    old = files.read_text(path) if path.exists() else ""
    text = document.encode(bench, old)
    files.write_text(path, text, expected_digest)
    return files.digest_text(text)  # of what was written: what stands there by now may be another program's


def _check(bench: Bench) -> list[str]:
    names = [variant.name for variant in bench.variants]
    problems = [f"two variants are named {name!r}" for name in dict.fromkeys(names) if names.count(name) > 1]
    if not bench.variants:
        problems.append("variants: expected at least one, found none")
    problems.extend(f"variants[{at}].name is empty" for at, name in enumerate(names) if not name.strip())
    for at, variant in enumerate(bench.variants):
        problems.extend(_check_adapters(f"variants[{at}].adapters", variant.adapters))
    problems.extend(_check_counts(bench.dataset))
    if bench.case < 1:
        problems.append(f"case: expected a number from 1, found {bench.case}")
    if bench.repeats < 1:
        problems.append(f"repeats: expected a number from 1, found {bench.repeats}")
    if isinstance(bench.perturbations, Perturbations) and bench.perturbations.count < 1:
        problems.append(f"perturbations.count: expected a number from 1, found {bench.perturbations.count}")
    problems.extend(_check_thresholds(bench, names))
    return problems


def _check_counts(dataset: Dataset | None) -> Iterator[str]:
    counts = {"sample": dataset.sample, "limit": dataset.limit} if dataset else {}
    for name, count in counts.items():
        if count is not None and count < 1:
            yield f"dataset.{name}: expected a number from 1, found {count}"


def parse_stored_bench(text: str, where: str) -> Bench:
    """The bench of a run in the store. Only its form is read, not what it asks for: what was computed stays readable
    whatever the checks of today say of its text. Raises BenchError."""
    return document.decode(text, Bench, where)


def with_variants(bench: Bench, variants: Iterable[Variant]) -> Bench:
    """The bench with these variants, and without thresholds on others."""
    chosen = tuple(variants)
    names = {"", *(variant.name for variant in chosen)}
    given = bench.thresholds
    kept = {metric: tuple(one for one in _group(given[metric]) if one.variant in names) for metric in given}
    return msgspec.structs.replace(bench, variants=chosen, thresholds=_ungroup(kept))


def rename_thresholds(bench: Bench, old: str, new: str) -> Thresholds:
    """The bench's thresholds after a variant was renamed."""
    renamed = {
        metric: tuple(
            msgspec.structs.replace(one, variant=new) if one.variant == old and old else one for one in _group(given)
        )
        for metric, given in bench.thresholds.items()
    }
    return _ungroup(renamed)


def _group(given: Threshold | tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    return given if isinstance(given, tuple) else (given,)


def _ungroup(thresholds: dict[str, tuple[Threshold, ...]]) -> Thresholds:
    """As a person writes them: a single one stands alone, and a metric without any is left out."""
    return {metric: given[0] if len(given) == 1 else given for metric, given in thresholds.items() if given}


def list_thresholds(bench: Bench) -> Iterator[tuple[str, Threshold]]:
    """Each metric with each of its thresholds."""
    for metric, given in bench.thresholds.items():
        for threshold in _group(given):
            yield metric, threshold


def _check_thresholds(bench: Bench, names: list[str]) -> Iterator[str]:
    for metric, threshold in list_thresholds(bench):
        if threshold.min is None and threshold.max is None:
            yield f"thresholds.{metric}: expected min or max, found neither"
        if threshold.variant and threshold.variant not in names:
            yield f"thresholds.{metric}: no variant is named {threshold.variant!r}; there are {', '.join(names)}"


def _check_adapters(where: str, choices: tuple[AdapterChoice, ...]) -> Iterator[str]:
    names = [choice.adapter for choice in choices]
    yield from (f"{where} names {name!r} twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for at, choice in enumerate(choices):
        if not choice.adapter.strip():
            yield f"{where}[{at}].adapter is empty"
        if not math.isfinite(choice.scale):
            yield f"{where}[{at}].scale: expected a number, found {choice.scale}"
