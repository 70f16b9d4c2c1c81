"""Changes of a bench's variants, each as a new bench."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workbench.errors import BenchError
from workbench.runs.base_variant import is_base, keep_in_step
from workbench.runs.bench import AdapterChoice, Bench, Variant, rename_thresholds, with_variants

MOST_VARIANTS = 8


def insert_variant(bench: Bench, variant: Variant, position: int) -> Bench:
    """With a further variant, under a free name. Raises BenchError beyond eight."""
    if len(bench.variants) >= MOST_VARIANTS:
        raise BenchError(f"A bench shows at most {MOST_VARIANTS} panes.", "Close one first, or open a second bench.")
    name = find_free(variant.name, {one.name for one in bench.variants}, " ")
    source = next((one for one in bench.variants if one.name == variant.base_of), None)
    linked = variant.base_of if source and is_base(variant, source) else ""
    named = msgspec.structs.replace(variant, name=name, base_of=linked)
    return msgspec.structs.replace(bench, variants=(*bench.variants[:position], named, *bench.variants[position:]))


def close_variant(bench: Bench, index: int) -> Bench:
    """Without a variant; its base stays, on its own. Raises BenchError for the last one."""
    if len(bench.variants) == 1:
        raise BenchError("This is the last pane.", "Change its prompt or model instead, or quit with ctrl+q.")
    closed = bench.variants[index].name
    kept = bench.variants[:index] + bench.variants[index + 1 :]
    freed = (msgspec.structs.replace(one, base_of="") if one.base_of == closed else one for one in kept)
    return with_variants(bench, tuple(freed))


def move_variant(bench: Bench, index: int, to: int) -> Bench:
    """With a variant at another position of the row."""
    variants = list(bench.variants)
    variants.insert(to, variants.pop(index))
    return msgspec.structs.replace(bench, variants=tuple(variants))


def change_variant(bench: Bench, index: int, **changes: object) -> Bench:
    """With other fields of a variant; its base follows. A base that is changed itself goes its own way from then on.

    Raises BenchError for a name that is taken or empty.
    """
    before = bench.variants[index]
    variant = msgspec.structs.replace(before, **changes)
    source = next((one for one in bench.variants if one.name == variant.base_of), None)
    if source and is_base(before, source) and not is_base(variant, source):
        variant = msgspec.structs.replace(variant, base_of="")
    others = {other.name for position, other in enumerate(bench.variants) if position != index}
    if not variant.name.strip() or variant.name in others:
        raise BenchError(f"The name {variant.name!r} is empty or taken by another pane.", "Choose another.")
    renamed = rename_thresholds(bench, before.name, variant.name)
    variants = keep_in_step(before, variant, (*bench.variants[:index], variant, *bench.variants[index + 1 :]))
    return msgspec.structs.replace(bench, variants=variants, thresholds=renamed)


def add_adapter(variant: Variant, name: str) -> tuple[AdapterChoice, ...]:
    """The variant's adapters with a further one. Raises BenchError when it is there already."""
    if any(choice.adapter == name for choice in variant.adapters):
        raise BenchError(f"{name} is laid over this pane already.", "Change its scale with + and -.")
    return (*variant.adapters, AdapterChoice(name))


def remove_adapter(variant: Variant, position: int) -> tuple[AdapterChoice, ...]:
    """The variant's adapters without one."""
    return variant.adapters[:position] + variant.adapters[position + 1 :]


def step_scale(variant: Variant, position: int, steps: int) -> tuple[AdapterChoice, ...]:
    """The variant's adapters with the scale of one moved by tenths, between 0 and 2; it is on then."""
    scale = round(min(max(variant.adapters[position].scale + steps / 10, 0.0), 2.0), 2)
    return _change_adapter(variant, position, scale=scale, on=True)


def toggle_adapter(variant: Variant, position: int) -> tuple[AdapterChoice, ...]:
    """The variant's adapters with one switched on or off."""
    return _change_adapter(variant, position, on=not variant.adapters[position].on)


def toggle_example(variant: Variant, example: str) -> tuple[str, ...]:
    """The ids of the variant's examples that are off, with one switched."""
    off = variant.examples_off
    return tuple(name for name in off if name != example) if example in off else (*off, example)


def find_free(name: str, taken: Iterable[str], separator: str) -> str:
    """The name, with a number where it is taken."""
    known = set(taken)
    stem, _, number = name.rpartition(separator)
    stem = stem if stem and number.isdigit() else name
    candidates = (name, *(f"{stem}{separator}{count}" for count in range(2, len(known) + 3)))
    return next(candidate for candidate in candidates if candidate not in known)


def _change_adapter(variant: Variant, position: int, **changes: object) -> tuple[AdapterChoice, ...]:
    adapters = list(variant.adapters)
    adapters[position] = msgspec.structs.replace(adapters[position], **changes)
    return tuple(adapters)
