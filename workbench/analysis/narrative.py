"""What a summary or a comparison says, in sentences: which variant is best, and whether that is real.

Every sentence is built from the numbers; where they do not tell, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from workbench.analysis.baseline import RunComparison, VariantComparison
from workbench.analysis.slice_findings import list_slice_findings
from workbench.analysis.summary import Estimate, PairOutcome, PairSummary, Summary, VariantKind, VariantSummary
from workbench.runs.matrix_rows import Metric
from workbench.units import format_duration, format_number, format_p, format_plural

_KINDS: dict[VariantKind, str] = {
    "zero-shot": "zero-shot",
    "few-shot": "few-shot",
    "adapter": "with the adapter",
    "adapter, few-shot": "with adapter and examples",
}
_QUESTIONS: tuple[tuple[VariantKind, VariantKind], ...] = (
    ("zero-shot", "few-shot"),
    ("zero-shot", "adapter"),
    ("few-shot", "adapter"),
    ("adapter", "adapter, few-shot"),
)
_ENDLESS = 100_000
_SIGNIFICANT = 0.05
_MANY = 1_000  # cases from which a third digit means something


def narrate(summary: Summary, metric: str = "") -> str:
    """The findings by one metric, the first unless named, in a paragraph."""
    return " ".join(list_findings(summary, metric))


def list_findings(summary: Summary, metric: str = "") -> list[str]:
    """The same, sentence by sentence."""
    chosen = next((one for one in summary.metrics if metric in ("", one.name)), None)
    ranked = rank(summary, chosen) if chosen else []
    if chosen is None or not ranked:
        return ["Nothing has been scored yet, so there is nothing to say."]
    return [
        _describe_best(ranked, chosen),
        *_answer(summary, ranked, chosen),
        *_describe_retrieval(summary, chosen),
        *_describe_cost(summary, ranked),
        *(list_slice_findings(summary.slices) if chosen == summary.metrics[0] else ()),
    ]


def _describe_retrieval(summary: Summary, metric: Metric) -> Iterator[str]:
    """What each search gains over none, and what it loses to the relevant passages themselves."""
    for one in summary.retrieval:
        if one.metric != metric.name:
            continue
        parts = []
        if one.gain:
            parts.append(f"gains {_format_gain(one.gain, metric)} over {one.none}")
        if one.loss:
            parts.append(f"loses {_format_gain(one.loss, metric)} to {one.oracle}")
        yield f"Retrieval by {one.variant} {' and '.join(parts)}."


def _format_gain(pair: PairSummary, metric: Metric) -> str:
    """A difference with its interval, and a word where it may be chance or allows no verdict."""
    digits = count_digits(metric, pair.n, pair.difference)
    interval = pair.unknown or "no interval"
    if not math.isnan(pair.low):
        interval = f"95% interval {pair.low:+.{digits}f} to {pair.high:+.{digits}f}"
    doubts = {"not distinguishable": ", which may be chance", "withheld": f", no verdict: {pair.withheld}"}
    return f"{pair.difference:+.{digits}f} ({interval}{doubts.get(pair.verdict, '')})"


def rank(summary: Summary, metric: Metric) -> list[VariantSummary]:
    """The variants that have a value of a metric, the best first."""
    scored = [one for one in summary.variants if metric.name in one.scores]
    scored = [one for one in scored if not math.isnan(one.scores[metric.name].value)]
    return sorted(scored, key=lambda one: one.scores[metric.name].value, reverse=not metric.lower_is_better)


def describe_pair(
    pair: PairSummary, metric: Metric, summary: Summary, labels: Mapping[str, str] = MappingProxyType({})
) -> str:
    """One comparison in a sentence, about `b`. labels: what to call variants instead of by their bare names."""
    left, right = labels.get(pair.a, pair.a), labels.get(pair.b, pair.b)
    a, b = (summary.variant(name).scores[pair.metric].value for name in (pair.a, pair.b))
    digits = count_digits(metric, pair.n, pair.difference)
    if pair.verdict == "withheld":
        values = f"{format_value(b, metric, pair.n)} against {format_value(a, metric, pair.n)}"
        return f"No verdict on {right} and {left} ({values}): {pair.withheld}."
    numbers = f"{format_value(b, metric, pair.n)} against {format_value(a, metric, pair.n)}"
    if pair.difference == 0:
        return f"{right} and {left} have the same value here: {numbers}."
    known = f"95% interval {pair.low:+.{digits}f} to {pair.high:+.{digits}f}, "
    if math.isnan(pair.low):
        known = f"no interval: {pair.unknown}, " if pair.unknown else ""
    doubt = f"; {reason}" if (reason := explain_verdict(pair)) else ""
    evidence = f"{pair.difference:+.{digits}f} ({known}{format_p(pair.p_adjusted)}{doubt})"
    if pair.verdict == "not distinguishable":
        chance = f"a difference of {evidence} may be chance"
        return f"{right} and {left} cannot be told apart here: {numbers}; {chance}{_describe_needed(pair)}."
    return f"{right} is {pair.verdict} than {left}: {numbers}, a real difference of {evidence}."


def describe_comparison(comparison: RunComparison) -> str:
    """What came of it, in a sentence for each variant; before them, which models are others than before."""
    variants = (_describe_variant(one, comparison) for one in comparison.variants)
    return " ".join((*comparison.model_changes, *variants))


_CHANGES: Mapping[PairOutcome, str] = {
    "better": "has become better",
    "worse": "has become worse",
    "not distinguishable": "shows no change beyond chance",
    "withheld": "has no verdict",
}


def _describe_variant(one: VariantComparison, comparison: RunComparison) -> str:
    if not one.n:
        return f"{one.name} has no case with a value in both runs."
    metric, digits = comparison.metric, count_digits(comparison.metric, one.n, one.difference)
    values = f"{format_value(one.before, metric, one.n)} to {format_value(one.after, metric, one.n)}"
    known = f"95% interval {one.low:+.{digits}f} to {one.high:+.{digits}f}, "
    if math.isnan(one.low):
        known = f"no interval: {one.unknown}, " if one.unknown else ""
    moved = f"{len(one.fixed):,} fixed and {len(one.broken):,} broken"
    if one.repeated:
        moved = f"over several answers to each case {len(one.fixed):,} rates rose and {len(one.broken):,} fell"
        if not metric.binary:
            moved = f"over several answers to each case {len(one.fixed):,} got better and {len(one.broken):,} worse"
    doubt = f" ({one.withheld})" if one.withheld else ""
    return (
        f"{one.name} {_CHANGES[one.verdict]}{doubt}: {name_metric(metric.name)}"
        f" went from {values} on {format_plural(one.n, 'case')}"
        f" ({known}{format_p(one.p_adjusted)}), {moved}."
    )


def explain_verdict(pair: PairSummary) -> str:
    """Why the verdict is not what the interval lets one expect; "" where the two agree."""
    if pair.verdict == "withheld":
        return pair.withheld
    if math.isnan(pair.low):
        return ""
    apart, real = not pair.low <= 0 <= pair.high, pair.verdict != "not distinguishable"
    if apart == real:
        return ""
    if real:
        return f"the interval is approximate and just reaches 0, {pair.test} decides"
    if pair.p <= _SIGNIFICANT:
        return f"the interval is for this pair alone, the verdict counts that it is one of {pair.family} comparisons"
    return f"the interval is approximate, {pair.test} decides"


def format_base(found: Estimate, one: VariantSummary, metric: Metric) -> str:
    """`over 18 cases` where a mean lacks some of a variant's cells; "" where it has all."""
    lacking = one.failed + one.unscored.get(metric.name, 0)
    return f"over {format_plural(found.n, 'case')}" if lacking else ""


def format_interval(found: Estimate, digits: int, between: str = " – ") -> str:
    """The two ends, or why there are none; "" where even that is not known."""
    if math.isnan(found.low):
        return found.unknown
    return f"{found.low:.{digits}f}{between}{found.high:.{digits}f}"


def format_value(value: float, metric: Metric, n: int) -> str:
    return format_number(value, count_digits(metric, n, value))


def count_digits(metric: Metric, n: int, value: float = 1.0) -> int:
    """Digits behind the point that mean something for so many cases, in a value of this size."""
    if not metric.free:
        return 3 if n >= _MANY else 2
    size = abs(value)
    return max(2, 2 - math.floor(math.log10(size))) if 1e-9 < size < 1 else 2


def name_metric(metric: str) -> str:
    return metric.replace("_", " ")


def list_names(names: Sequence[str]) -> str:
    quoted = [f"“{name}”" if "," in name else name for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _describe_best(ranked: Sequence[VariantSummary], metric: Metric) -> str:
    best = ranked[0]
    found = best.scores[metric.name]
    digits = count_digits(metric, found.n, found.value)
    interval = f" (95% interval {format_interval(found, digits, ' to ')})"
    if math.isnan(found.low):
        interval = f" (no interval: {found.unknown})" if found.unknown else ""
    cases = "case" if found.n == 1 else "cases"
    value = f"{name_metric(metric.name)} {format_value(found.value, metric, found.n)}{interval} on {found.n:,} {cases}"
    level = [one.name for one in ranked[1:] if one.scores[metric.name].value == found.value]
    if level:
        return f"{list_names([best.name, *level])} share the best value: {value}."
    return f"{best.name} has the best value: {value}." if len(ranked) > 1 else f"{best.name}: {value}."


def _answer(summary: Summary, ranked: Sequence[VariantSummary], metric: Metric) -> Iterator[str]:
    """The questions that the kinds of variants raise; without known kinds, the best against the others."""
    strongest: dict[VariantKind, VariantSummary] = {}
    for one in reversed(ranked):
        if one.role:
            strongest[one.role] = one
    asked = [(strongest[a].name, strongest[b].name) for a, b in _QUESTIONS if a in strongest and b in strongest]
    compared = [pair for a, b in asked if (pair := summary.pair(a, b, metric.name)) is not None and pair.n]
    labels = {one.name: _name_kind(one) for one in strongest.values()}
    for pair in compared:
        yield describe_pair(pair, metric, summary, labels)
        labels = {name: label for name, label in labels.items() if name not in (pair.a, pair.b)}
    best = ranked[0].name
    covered = {name for pair in compared for name in (pair.a, pair.b) if best in (pair.a, pair.b)}
    yield from _describe_rest(summary, [one.name for one in ranked if one.name not in {best, *covered}], best, metric)


def _name_kind(one: VariantSummary) -> str:
    """The name, and what kind of variant it is where the name does not say so."""
    kind = _KINDS.get(one.role, "")
    return f"{one.name} ({kind})" if kind and kind not in one.name.casefold() else one.name


def _describe_rest(summary: Summary, others: Sequence[str], best: str, metric: Metric) -> Iterator[str]:
    pairs = [pair for name in others if (pair := summary.pair(name, best, metric.name)) is not None and pair.n]
    plain = [pair for pair in pairs if pair.verdict == "better" and not explain_verdict(pair)]
    beaten, level = [pair.a for pair in plain], [pair for pair in pairs if pair not in plain]
    if beaten:
        also = " as well" if len(others) < len(summary.variants) - 1 else ""
        yield f"{best} is better than {list_names(beaten)}{also}."
    yield from (describe_pair(pair, metric, summary) for pair in level)


def _describe_needed(pair: PairSummary) -> str:
    if not pair.needed_cases:
        return ""
    if pair.needed_cases > _ENDLESS:
        return f"; if it is the true one, no fewer than {format_plural(_ENDLESS, 'case')} would tell"
    return (
        f"; if it is the true one, about {format_plural(round_cases(pair.needed_cases), 'case')}"
        f" would tell{_describe_range(pair)}"
    )


def _describe_range(pair: PairSummary) -> str:
    """Which numbers of cases the interval of the difference allows."""
    if not pair.needed_least:
        return ""
    least = f"{round_cases(pair.needed_least):,}"
    if pair.needed_most is None or pair.needed_most > _ENDLESS:
        return f" ({least} at the least; its interval sets no upper end)"
    return f" ({least} to {round_cases(pair.needed_most):,} by its interval)"


def format_needed(pair: PairSummary) -> str:
    """The number of cases that would tell, and its range; "" where the verdict is no longer open."""
    if not pair.needed_cases or pair.verdict != "not distinguishable":
        return ""
    text = f"{round_cases(pair.needed_cases):,}"
    if not pair.needed_least:
        return text
    most = "" if pair.needed_most is None else f"{round_cases(pair.needed_most):,}"
    return f"{text} ({round_cases(pair.needed_least):,} – {most or 'no end'})"


def round_cases(count: int) -> int:
    """Two digits: more would be pretence."""
    scale: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / scale) * scale


def _describe_cost(summary: Summary, ranked: Sequence[VariantSummary]) -> Iterator[str]:
    """What the best one takes, beside the others."""
    best = ranked[0]
    others = [one for one in ranked[1:] if one.tokens_in and best.tokens_in]
    if not others:
        return
    time = f", {format_duration(best.latency_p50)} at the median" if best.latency_p50 else ""
    takes = f"A request to {best.name} takes {best.tokens_in:.0f} tokens in and {best.tokens_out:.0f} out{time}"
    low, high = (f"{pick(one.tokens_in for one in others):.0f}" for pick in (min, max))
    yield f"{takes}; the others take {low if low == high else f'{low} to {high}'} tokens in."
