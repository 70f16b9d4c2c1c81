"""A paired comparison as a summary has it, and without its verdict where the figures allow none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from workbench.analysis.summary import Effect, PairSummary
from workbench.statistics.paired import PairedComparison


def withhold(pair: PairSummary, doubts: Mapping[str, str]) -> PairSummary:
    """The pair without its verdict, where there is doubt about either side. doubts: by the name of a variant."""
    reasons = [doubts[name] for name in (pair.a, pair.b) if name in doubts]
    if not reasons:
        return pair
    return msgspec.structs.replace(pair, verdict="withheld", withheld="; ".join(reasons), needed_cases=None)


def to_pair(one: PairedComparison, metric: str, names: Sequence[str], family: int = 1) -> PairSummary:
    """family: how many pairs Holm's correction was over."""
    needed = one.needed
    return PairSummary(
        a=names[one.a],
        b=names[one.b],
        metric=metric,
        n=one.n,
        difference=one.difference,
        low=one.interval.low,
        high=one.interval.high,
        p=one.p,
        p_adjusted=one.p_adjusted,
        effect=Effect(one.effect_name, one.effect),
        test=one.test,
        verdict=one.verdict,
        needed_cases=one.needed_cases,
        needed_least=needed.low if needed else 0,
        needed_most=needed.high if needed else None,
        a_only=one.a_only,
        b_only=one.b_only,
        unknown=one.unknown,
        family=family,
    )
