"""Change text: what an earlier and a later run have different, laid out for reading.

Knows nothing of how runs are compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.evaluation.changes import Change, RunComparison, VariantChanges, tell_changes

_MOST = 40


def describe_changes(comparison: RunComparison) -> str:
    """The verdict in words, then the cases that moved, variant by variant."""
    return "\n".join([tell_changes(comparison), *(line for one in comparison.variants for line in _list(one))])


def _list(one: VariantChanges) -> Iterator[str]:
    yield ""
    yield f"{one.name}: {len(one.fixed)} fixed, {len(one.broken)} broken, {one.unchanged} unchanged"
    yield from _name("fixed", one.fixed)
    yield from _name("broken", one.broken)


def _name(what: str, changes: tuple[Change, ...]) -> Iterator[str]:
    if changes:
        more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
        yield f"  {what}: cases {', '.join(str(change.case) for change in changes[:_MOST])}{more}"
