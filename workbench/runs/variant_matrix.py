"""VariantMatrix: variants as the product of prompts, models, adapters and samplings, instead of each by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import msgspec

from workbench.inference.sampling_fields import find_problems
from workbench.inference.types import Sampling
from workbench.runs.bench_variant import AdapterChoice, Variant

MOST_GENERATED = 64
_MOST_COMBINED = 4_096
NO_ADAPTER = "none"


class MatrixExclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Combinations that are left out: those in which all that is given here comes together.

    prompt, model: as in the matrix. adapter: an adapter's name, or `none`. sampling: name of a sampling.
    """

    prompt: str = ""
    model: str = ""
    adapter: str = ""
    sampling: str = ""


class VariantMatrix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every combination is a variant, named by what differs: `few-shot · desk · queues-lora · warm`.

    prompts, models: as a variant names them. adapters: each `none`, a name, or an adapter with its scale; without any,
    no variant has one. sampling: name -> the sampling; without any, the usual one. exclude: combinations to leave out.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    adapters: tuple[str | AdapterChoice, ...] = ()
    sampling: dict[str, Sampling] = {}
    exclude: tuple[MatrixExclusion, ...] = ()


class _Combination(NamedTuple):
    prompt: str
    model: str
    adapter: AdapterChoice | None
    sampling: str


def expand_matrix(matrix: VariantMatrix) -> tuple[Variant, ...]:
    """The variants, in the order of the matrix: prompts first, samplings last."""
    chosen = [one for one in _combine(matrix) if not any(_is_excluded(one, held) for held in matrix.exclude)]
    names = _name_all(matrix, chosen)
    return tuple(
        Variant(
            name=name,
            prompt=one.prompt,
            model=one.model,
            sampling=matrix.sampling.get(one.sampling, Sampling()),
            adapters=(one.adapter,) if one.adapter else (),
        )
        for name, one in zip(names, chosen, strict=True)
    )


def check_matrix(matrix: VariantMatrix) -> Iterator[str]:
    """What is wrong with a matrix, each with the key it is under."""
    for key in ("prompts", "models"):
        if not getattr(matrix, key):
            yield f"matrix.{key}: expected at least one, found none"
    for key in ("prompts", "models", "adapters"):
        held = [_name_adapter(_read_adapter(one)) if key == "adapters" else one for one in getattr(matrix, key)]
        yield from (f"matrix.{key} names {name!r} twice" for name in dict.fromkeys(held) if held.count(name) > 1)
    axes = (matrix.prompts, matrix.models, matrix.adapters, matrix.sampling)
    size = prod(max(1, len(axis)) for axis in axes)
    if size > _MOST_COMBINED:
        yield f"matrix: expected at most {_MOST_COMBINED:,} combinations before exclusions, found {size:,}"
        return
    count = sum(1 for one in _combine(matrix) if not any(_is_excluded(one, rule) for rule in matrix.exclude))
    if not 0 < count <= MOST_GENERATED and matrix.prompts and matrix.models:
        yield f"matrix: expected 1 to {MOST_GENERATED} combinations that are not excluded, found {count}"
    for name, sampling in matrix.sampling.items():
        yield from (f"matrix.sampling.{name}: {problem}" for problem in find_problems(sampling))
    for at, rule in enumerate(matrix.exclude):
        if rule == MatrixExclusion():
            yield f"matrix.exclude[{at}]: expected prompt, model, adapter or sampling, found none of them"
        elif not any(_is_excluded(one, rule) for one in _combine(matrix)):
            yield f"matrix.exclude[{at}]: no combination of the matrix is so"


def _combine(matrix: VariantMatrix) -> Iterator[_Combination]:
    adapters = [_read_adapter(one) for one in matrix.adapters] or [None]
    for parts in product(matrix.prompts, matrix.models, adapters, list(matrix.sampling) or [""]):
        yield _Combination(*parts)


def _read_adapter(given: str | AdapterChoice) -> AdapterChoice | None:
    if isinstance(given, AdapterChoice):
        return given
    return None if given == NO_ADAPTER else AdapterChoice(given)


def _name_adapter(choice: AdapterChoice | None) -> str:
    if choice is None:
        return NO_ADAPTER
    name = choice.adapter.rstrip("/").rpartition("/")[2]
    return name if choice.scale == 1 else f"{name} ×{choice.scale:g}"


def _is_excluded(one: _Combination, held: MatrixExclusion) -> bool:
    adapter = one.adapter.adapter if one.adapter else NO_ADAPTER
    asked = ((held.prompt, one.prompt), (held.model, one.model), (held.adapter, adapter), (held.sampling, one.sampling))
    return held != MatrixExclusion() and all(wanted in ("", value) for wanted, value in asked)


def _name_all(matrix: VariantMatrix, chosen: Sequence[_Combination]) -> list[str]:
    """Each by the parts of which the matrix has several."""
    prompts, models = _shorten(matrix.prompts), _shorten(matrix.models)
    names = []
    for one in chosen:
        parts = [
            (prompts[one.prompt], len(matrix.prompts)),
            (models[one.model], len(matrix.models)),
            (_name_adapter(one.adapter), len(matrix.adapters)),
            (one.sampling, len(matrix.sampling)),
        ]
        names.append(" · ".join(name for name, count in parts if count > 1) or prompts[one.prompt])
    return names


def _shorten(names: Sequence[str]) -> dict[str, str]:
    """Each without the folders that it is in, where that is enough to tell them apart."""
    short = {name: name.rstrip("/").rpartition("/")[2] for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}
