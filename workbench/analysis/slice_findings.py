"""What the slices of a run say that the whole does not, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.analysis.summary import SliceTable
from workbench.units import format_plural


def list_slice_findings(tables: Sequence[SliceTable]) -> Iterator[str]:
    """Where another variant than the best of the whole run does better in a part of the cases, in words."""
    for table in tables:
        for one in table.slices:
            for pair in one.pairs:
                if pair.verdict == "better":
                    yield (
                        f"For {table.column} = {one.value}, {pair.b} is better than {pair.a} by"
                        f" {abs(pair.difference):.3f} ({format_plural(pair.n, 'case')},"
                        f" after correction over all slices)."
                    )
        if table.others:
            yield (
                f"{table.column} has more values; {format_plural(table.others, 'case')}"
                f" with rarer ones are in no slice."
            )
        if not table.slices:
            yield f"No case has a column {table.column!r} to make slices by."
        elif table.missing:
            cases = "case has" if table.missing == 1 else "cases have"
            yield f"{table.missing:,} {cases} no {table.column}."
