"""Base variants: a variant without its adapters, kept in step with the one that it is the base of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workbench.runs.bench import Variant

_FOLLOWED = (
    "prompt",
    "model",
    "sampling",
    "default_sampling",
    "examples_off",
    "deterministic",
    "chat_template_kwargs",
    "retrieve",
)


def make_base(source: Variant) -> Variant:
    """The same without its adapters, which stay in its list."""
    return follow(msgspec.structs.replace(source, name=f"{source.name} without"), source)


def follow(base: Variant, source: Variant) -> Variant:
    """The base of a variant as that one is now; its own name stays."""
    adapters = tuple(msgspec.structs.replace(choice, on=False) for choice in source.adapters)
    kept = {name: getattr(source, name) for name in _FOLLOWED}
    return msgspec.structs.replace(base, base_of=source.name, adapters=adapters, **kept)


def is_base(one: Variant, source: Variant) -> bool:
    """Whether a variant is another one without its adapters, and nothing else differs."""
    same = all(getattr(one, name) == getattr(source, name) for name in _FOLLOWED)
    return same and source.has_adapter and not one.has_adapter


def keep_in_step(before: Variant, after: Variant, others: Sequence[Variant]) -> tuple[Variant, ...]:
    """The other variants after one was changed: its base follows it."""
    return tuple(follow(one, after) if one.base_of == before.name and one is not after else one for one in others)


def find_pair(variants: Sequence[Variant], index: int) -> int | None:
    """The position of a variant's base, or of the one that it is the base of; wherever they stand, however named.

    One that `make_base` made comes first, then any that differs in its adapters alone. None where there is none.
    """
    this = variants[index]
    others = [position for position in range(len(variants)) if position != index]
    linked = [n for n in others if variants[n].name == this.base_of or variants[n].base_of == this.name]
    alike = [n for n in others if is_base(variants[n], this) or is_base(this, variants[n])]
    return next(iter((*linked, *alike)), None)
