"""A pairwise comparison by judges in words: the ratings, and how far to trust the judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.analysis.measurement_words import lay_out
from workbench.analysis.pairwise import Match, PairwiseResult
from workbench.analysis.votes import Rating
from workbench.units import format_plural

COLUMNS = ("variant", "rating", "95%", "won", "lost", "tied")
ALL_IDENTICAL = "All answers are identical: nothing to compare."


def describe_rating(one: Rating) -> tuple[str, ...]:
    """A row under COLUMNS."""
    counts = (str(count) for count in (one.wins, one.losses, one.ties))
    return (one.variant, f"{one.rating:.0f}", f"{one.low:.0f} – {one.high:.0f}", *counts)


def describe_trust(result: PairwiseResult) -> Iterator[str]:
    """How far to trust the judges, in sentences."""
    yield f"{format_plural(result.matches, 'pair')} of answers, each in both orders."
    if result.undecided:
        yield f"{result.undecided:,} of them are undecided: a judge's reply could not be parsed."
    values = result.values
    if "same_in_both_orders" in values:
        yield (
            f"Swapping the two left the verdict as it was in {values['same_in_both_orders']:.0%} of the comparisons;"
            f" the answer shown first won {values['first_preferred']:.0%} of the time (50% is fair)."
        )
    if "krippendorff_alpha" in values:
        alpha = values["krippendorff_alpha"]
        yield f"The judges' agreement is {alpha:.2f} (Krippendorff's alpha: 1 is full, 0 as by chance)."


def lay_out_pairwise(matches: Sequence[Match], result: PairwiseResult) -> str:
    """All of it as text."""
    if not matches:
        return ALL_IDENTICAL
    table = lay_out([COLUMNS, *map(describe_rating, result.ratings)])
    return "\n\n".join((table, *describe_trust(result)))
