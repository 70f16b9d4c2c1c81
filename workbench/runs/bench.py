"""Bench: a saved comparison, the same file for the screen and for the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench import files, yaml_document
from workbench.datasets.spec import Dataset
from workbench.errors import BenchError
from workbench.inference.sampling_fields import find_problems
from workbench.inference.types import Sampling
from workbench.retrieval.spec import CorpusSpec, check_corpus, check_retrieve
from workbench.runs.bench_model import ModelChoice as ModelChoice
from workbench.runs.bench_model import check_model
from workbench.runs.bench_variant import AdapterChoice as AdapterChoice
from workbench.runs.bench_variant import Perturbation as Perturbation
from workbench.runs.bench_variant import PerturbationKind as PerturbationKind
from workbench.runs.bench_variant import Perturbations as Perturbations
from workbench.runs.bench_variant import Variant as Variant
from workbench.runs.cost import Price
from workbench.runs.tool_setup import ToolSetup, find_setup_problems
from workbench.runs.variant_matrix import VariantMatrix, check_matrix, expand_matrix


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a metric must reach for a run to count as passed: at least `min`, at most `max`.

    min: smallest value that passes. max: largest value that passes. variant: the variant it holds for; empty: all.
    """

    min: float | None = None
    max: float | None = None
    variant: str = ""


class KeptTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another task that an adapter should still do as well as its base: a verdict measures what it loses there.

    name: name of the task. dataset: its cases. prompt: a prompt of the library; empty: the zero-shot prompt of the
    verdict. scorers: scorers of the task; empty: those of the bench. margin: largest loss of the first score that
    still counts as kept.
    """

    name: str
    dataset: Dataset
    prompt: str = ""
    scorers: tuple[str | dict[str, dict[str, Any]], ...] = ()
    margin: float = 0.02


Thresholds = dict[str, Threshold | tuple[Threshold, ...]]


class Bench(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Variants, cases and scorers.

    variants: the columns; those of `matrix` follow the ones listed here.
    dataset: where the cases come from. models: names for models of your own, with their options.
    live: whether panes re-run while you type; empty: as the settings say.
    scorers: names, or one-key mappings of a name to its options, as `workbench scorers` lists them; the first is
        the badge.
    library: folder of the prompts, resolved like the dataset's path; empty: the bench's own folder.
    case: number of the case that the screen shows, from 1. inputs: variables typed over that case, kept across
        sessions.
    context_strategy: what happens to a prompt that does not fit; empty: as the settings say.
    repeats: how often each variant answers each case; with a seed, each repeat uses the next one.
    thresholds: metric -> what it must reach; a run that misses one ends with exit code 1.
    prices: model, as the variants name it, or `*` -> what it costs.
    perturbations: how a run with --robustness rewords each prompt; a list of kinds, or a mapping with details.
    corpus: the documents that variants retrieve from: a folder, a file, or a mapping with details.
    keep: other tasks on which a verdict measures what an adapter loses.
    tools: what tools answer, for prompts that offer some.
    matrix: more variants, as every combination of prompts, models, adapters and samplings.
    slices: columns of the cases, such as a language; scores are also given for each of their values.
    """

    variants: tuple[Variant, ...] = ()
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
    matrix: VariantMatrix | None = None
    slices: tuple[str, ...] = ()
    corpus: str | CorpusSpec | None = None
    keep: tuple[KeptTask, ...] = ()
    tools: ToolSetup = ToolSetup()

    @property
    def documents(self) -> CorpusSpec | None:
        """Its corpus, in full."""
        return CorpusSpec(self.corpus) if isinstance(self.corpus, str) else self.corpus


def load_bench(path: Path) -> Bench:
    """Read a bench file.

    Raises FileError when it cannot be read, and BenchError that names line and key of everything wrong in it.
    """
    return parse_bench(files.read_text(path), str(path))


def parse_bench(text: str, where: str, former_keys: bool = False) -> Bench:
    """The bench that a text describes; `where` names the text in errors. former_keys: as in yaml_document.decode."""
    bench = _expand(yaml_document.decode(text, Bench, where, former_keys))
    problems = find_value_problems(bench)
    if problems:
        raise BenchError(f"{where} does not describe a comparison:\n" + "\n".join(f"  {p}" for p in problems))
    return bench


def save_bench(path: Path, bench: Bench, expected_digest: str | None = None) -> str:
    """Write a bench, keeping the comments and key order of the file that is there; the new digest.

    expected_digest: as in files.write_text, whose errors it raises. Fields at their default are left out,
    unless the file names them already.
    """
    old = files.read_text(path) if path.exists() else ""
    text = encode_bench(bench, old)
    files.write_text(path, text, expected_digest)
    return files.digest_text(text)  # of what was written: what stands there by now may be another program's


def encode_bench(bench: Bench, old: str = "") -> str:
    """The text of a bench's file. old: as for yaml_document.encode. The variants of the matrix are left to it, unless
    one of them was changed: then all are written out, and the matrix is not."""
    made = expand_matrix(bench.matrix) if bench.matrix else ()
    own = len(bench.variants) - len(made)
    if made and bench.variants[own:] == made:
        bench = msgspec.structs.replace(bench, variants=bench.variants[:own])
    elif bench.matrix:
        bench = msgspec.structs.replace(bench, matrix=None)
    return yaml_document.encode(bench, old)


def _expand(bench: Bench) -> Bench:
    """The bench with the variants of its matrix, where that can be expanded."""
    if bench.matrix is None or list(check_matrix(bench.matrix)):
        return bench
    return msgspec.structs.replace(bench, variants=(*bench.variants, *expand_matrix(bench.matrix)))


def find_value_problems(bench: Bench) -> list[str]:
    """What a bench asks for that cannot be, each with the key it is under."""
    names = [variant.name for variant in bench.variants]
    problems = [f"two variants are named {name!r}" for name in dict.fromkeys(names) if names.count(name) > 1]
    if bench.matrix:
        problems.extend(check_matrix(bench.matrix))
    elif not bench.variants:
        problems.append("variants: expected at least one, found none")
    problems.extend(f"variants[{at}].name is empty" for at, name in enumerate(names) if not name.strip())
    for at, variant in enumerate(bench.variants):
        problems.extend(_check_adapters(f"variants[{at}].adapters", variant.adapters))
        problems.extend(f"variants[{at}].sampling: {problem}" for problem in find_problems(variant.sampling))
        if unknown := set(variant.default_sampling) - set(Sampling.__struct_fields__):
            named = ", ".join(map(repr, sorted(unknown)))
            problems.append(f"variants[{at}].default_sampling: no sampling field is named {named}")
    problems.extend(_check_counts(bench.dataset))
    for name, choice in bench.models.items():
        problems.extend(check_model(f"models.{name}", choice))
    if bench.case < 1:
        problems.append(f"case: expected a number from 1, found {bench.case}")
    if bench.repeats < 1:
        problems.append(f"repeats: expected a number from 1, found {bench.repeats}")
    if isinstance(bench.perturbations, Perturbations) and bench.perturbations.count < 1:
        problems.append(f"perturbations.count: expected a number from 1, found {bench.perturbations.count}")
    problems.extend(find_setup_problems(bench.tools))
    problems.extend(_check_thresholds(bench, names))
    problems.extend(_check_retrieval(bench))
    problems.extend(_check_kept(bench))
    return problems


def _check_retrieval(bench: Bench) -> Iterator[str]:
    if bench.documents:
        yield from check_corpus(bench.documents)
    for at, variant in enumerate(bench.variants):
        where, retrieve = f"variants[{at}].retrieve", variant.retrieval
        if retrieve is None:
            continue
        yield from check_retrieve(where, retrieve, bench.documents is not None)
        if retrieve.by == "oracle" and not bench.dataset:  # the turns of its cases may say it
            yield f"{where}: oracle needs to know what is relevant; write under `dataset`: `relevant: COLUMN`"


def _check_counts(dataset: Dataset | None) -> Iterator[str]:
    counts = {"sample": dataset.sample, "limit": dataset.limit} if dataset else {}
    if dataset and any(number < 1 for number in dataset.exclude):
        yield f"dataset.exclude: expected numbers from 1, found {min(dataset.exclude)}"
    for name, count in counts.items():
        if count is not None and count < 1:
            yield f"dataset.{name}: expected a number from 1, found {count}"


def parse_stored_bench(text: str, where: str) -> Bench:
    """The bench of a run in the store. Only its form is read, not what it asks for: what was computed stays readable
    whatever the checks of today say of its text. Raises BenchError."""
    return yaml_document.decode(text, Bench, where, former_keys=True)


def with_variants(bench: Bench, variants: Iterable[Variant]) -> Bench:
    """The bench with these variants, and without thresholds on others."""
    chosen = tuple(variants)
    names = {"", *(variant.name for variant in chosen)}
    given = bench.thresholds
    kept = {metric: tuple(one for one in _group(given[metric]) if one.variant in names) for metric in given}
    return msgspec.structs.replace(bench, variants=chosen, thresholds=_ungroup(kept), matrix=None)


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


def _check_kept(bench: Bench) -> Iterator[str]:
    names = [one.name for one in bench.keep]
    yield from (f"keep: {name!r} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for at, one in enumerate(bench.keep):
        if not one.name.strip():
            yield f"keep[{at}].name is empty"
        if not one.margin > 0 or not math.isfinite(one.margin):
            yield f"keep[{at}].margin: expected a number above 0, found {one.margin}"
        yield from (problem.replace("dataset.", f"keep[{at}].dataset.", 1) for problem in _check_counts(one.dataset))


def _check_adapters(where: str, choices: tuple[AdapterChoice, ...]) -> Iterator[str]:
    names = [choice.adapter for choice in choices]
    yield from (f"{where} names {name!r} twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for at, choice in enumerate(choices):
        if not choice.adapter.strip():
            yield f"{where}[{at}].adapter is empty"
        if not math.isfinite(choice.scale):
            yield f"{where}[{at}].scale: expected a number, found {choice.scale}"
