"""What retrieval gains and loses: the score with what was retrieved against none, and against the oracle, paired.

An oracle's passages are those that the case says are relevant, so that the rest of the way to it is what the search
misses, and what stands in its way among the passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from workbench.analysis.measurements import MetricTable, compare_columns
from workbench.analysis.summary import PairSummary, RetrievalEffect
from workbench.runs.bench import Bench, Variant
from workbench.runs.matrix_rows import Metric
from workbench.scoring.registry import scorer_kinds
from workbench.scoring.scorers.retrieval import RetrievalScorer
from workbench.statistics.paired import PairedComparison

_SEARCHED = ("bm25", "dense", "hybrid")


class RetrievalFamily(NamedTuple):
    """A variant that searches, and those that differ from it in what they retrieve alone; "" where there is none."""

    retrieved: str
    none: str
    oracle: str


def find_families(variants: Sequence[Variant]) -> Iterator[RetrievalFamily]:
    """Every variant that searches and has something to be held against."""
    for one in variants:
        if _kind(one) in _SEARCHED:
            none = _find(variants, one, "none", same_prompt=True) or _find(variants, one, "none", same_prompt=False)
            oracle = _find(variants, one, "oracle", same_prompt=True)
            if none or oracle:
                yield RetrievalFamily(one.name, none, oracle)


def measure_retrieval(
    variants: Sequence[Variant], tables: Mapping[str, MetricTable], metrics: Sequence[Metric], names: Sequence[str]
) -> Iterator[tuple[RetrievalFamily, str, list[PairedComparison]]]:
    """Each family by each metric that both sides of a pair have: the pairs none-retrieved and retrieved-oracle, as far
    as there are such, after Holm's correction over all pairs of the metric."""
    families = list(find_families(variants))
    for metric in metrics:
        pairs = [pair for one in families for pair in _pair_up(one, names)]
        found = iter(compare_columns(tables[metric.name], metric, pairs) if pairs else ())
        for one in families:
            compared = [next(found) for _ in _pair_up(one, names)]
            if any(pair.n for pair in compared):
                yield one, metric.name, compared


def make_effect(family: RetrievalFamily, metric: str, pairs: Sequence[PairSummary]) -> RetrievalEffect:
    """gain: retrieved against none; loss: the oracle against retrieved."""
    gain = next((pair for pair in pairs if pair.a == family.none and pair.n), None)
    loss = next((pair for pair in pairs if pair.b == family.oracle and pair.n), None)
    return RetrievalEffect(family.retrieved, family.none, family.oracle, metric, gain, loss)


def find_retrieval_metrics(bench: Bench) -> frozenset[str]:
    """The names of the bench's scorers that rate what was retrieved, and say nothing of a variant that does not."""
    kinds = scorer_kinds()
    found = set()
    for spec in bench.scorers:
        kind, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
        if kind in kinds and issubclass(kinds[kind].config, RetrievalScorer):
            found.add(str((options or {}).get("name", kind)))
    return frozenset(found)


def retrieves(variant: Variant) -> bool:
    """Whether it has any passages to be rated."""
    return _kind(variant) not in ("", "none")


def _kind(variant: Variant) -> str:
    return variant.retrieval.by if variant.retrieval else ""


def _find(variants: Sequence[Variant], one: Variant, by: str, same_prompt: bool) -> str:
    """The only variant of this kind that is otherwise the same; a prompt without passages may be another one."""
    bare = _strip(one, same_prompt)
    found = [other.name for other in variants if _kind(other) == by and _strip(other, same_prompt) == bare]
    return found[0] if len(found) == 1 else ""


def _strip(variant: Variant, same_prompt: bool) -> Variant:
    prompt = variant.prompt if same_prompt else ""
    return msgspec.structs.replace(variant, name="", base_of="", retrieve=None, prompt=prompt)


def _pair_up(family: RetrievalFamily, names: Sequence[str]) -> list[tuple[int, int]]:
    named = [(family.none, family.retrieved), (family.retrieved, family.oracle)]
    return [(names.index(a), names.index(b)) for a, b in named if a and b]
