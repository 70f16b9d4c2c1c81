"""A family of variants: one variant and what was made of it by changing one thing, compared on the same cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from workbench.analysis.measurements import MetricTable, compare_columns, estimate, read_table
from workbench.analysis.summary import Estimate
from workbench.errors import StoreError
from workbench.runs.bench import Variant
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.statistics.interval import LEVEL
from workbench.statistics.paired import PairedComparison

K = TypeVar("K", str, float)


class VariantFamily(NamedTuple, Generic[K]):
    """members: what sets each variant apart, such as the scale of an adapter -> the variant's name. columns: where it
    stands in the table."""

    metric: Metric
    members: dict[K, str]
    columns: dict[K, int]
    table: MetricTable

    def estimate(self, simultaneous: bool = False) -> dict[K, Estimate]:
        """The mean score of each member. simultaneous: with intervals that hold for all of them at once, by Bonferroni,
        so that whichever is chosen for its value has one that holds."""
        level = 1 - (1 - LEVEL) / len(self.members) if simultaneous else LEVEL
        estimates = estimate(self.table, self.metric, level)
        return {key: estimates[column] for key, column in self.columns.items()}

    def compare(self, pairs: Sequence[tuple[K, K]]) -> list[PairedComparison]:
        """The second of each pair against the first, after Holm's correction over the pairs."""
        return compare_columns(self.table, self.metric, [(self.columns[a], self.columns[b]) for a, b in pairs])


def find_family(view: RunView, metric: str, key: Callable[[Variant], K | None], lacking: str) -> VariantFamily[K]:
    """The variants of a run that have a key, by the first metric unless one is named.

    lacking: what the run does not have where there are none. Raises StoreError.
    """
    chosen = view.metric(metric)
    members = {found: one.name for one in view.bench.variants if (found := key(one)) is not None}
    if not members:
        raise StoreError(f"Run {view.id} has {lacking}.", "Run them first.")
    columns = {found: view.variants.index(name) for found, name in members.items()}
    return VariantFamily(chosen, members, columns, read_table(view, chosen.name))
