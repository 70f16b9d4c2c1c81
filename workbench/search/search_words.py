"""The result of a search in sentences, for the command line, the report and the screen."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.analysis.example_effects import ExampleEffect
from workbench.analysis.narrative import format_value, name_metric
from workbench.analysis.summary import Estimate
from workbench.runs.matrix_rows import Metric
from workbench.search.budget import describe_overruns
from workbench.search.request import SearchPart
from workbench.search.result import PartScores, SearchResult
from workbench.search.search_plan import SearchPlan
from workbench.units import format_duration, format_money, format_p, format_plural

_MOST_CASES = 20_000
"""A number of cases that nobody collects."""

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


def describe_outcome(result: SearchResult) -> str:
    """The headline: improved or not, with the figures of the sealed test part."""
    name = name_metric(result.metric)
    if not result.candidates:
        return f"No improvement: no candidate was tried, as {result.stopped}. The test part stays sealed."
    if result.winner == result.seed:
        return (
            f"No improvement: none of {format_plural(result.candidates, 'candidate')} beat the hand-written prompt on"
            " dev. The test part stays sealed."
        )
    if result.test is None:
        return "No verdict: no test case has a score of both prompts."
    test = result.test
    figures = (
        f"{name} {_value(result, test.winner)} on test against {_value(result, test.seed)} for the hand-written prompt"
        f" ({describe_difference(result, test)}; {format_p(test.p_corrected)})"
    )
    if result.improved:
        return f"Improved: {figures}."
    return f"No improvement beyond chance: {figures}."


def describe_optimism(result: SearchResult) -> str:
    """`0.91 on dev, 0.84 on test`, and what the gap is; "" where the test was not opened."""
    if result.dev is None or result.test is None:
        return ""
    dev, test = result.dev.winner, result.test.winner
    gap = (test.value - dev.value) if result.lower_is_better else (dev.value - test.value)
    why = (
        "dev flatters it: it was chosen there out of " + format_plural(result.candidates + 1, "prompt")
        if gap > 0
        else "the test does not show the optimism that choosing on dev usually brings"
    )
    return f"The winner: {_value(result, dev)} on dev, {_value(result, test)} on test; {why}."


def describe_plan(plan: SearchPlan) -> list[str]:
    """What a search is about to do and what it may cost, a line each."""
    parts = ", ".join(f"{count:,} {part}" for part, count in plan.parts.items())
    lines = [
        f"{plan.variant}: {plan.prompt} on {plan.model}, searched with {plan.method} for {name_metric(plan.metric)}",
        f"cases: {parts}; {plan.how}",
    ]
    if plan.openings:
        often = "once" if plan.openings == 1 else f"{plan.openings:,} times"
        lines.append(f"The test part was opened {often} before: its figure is no longer unseen.")
    if plan.calls is not None:
        lines.append(
            f"calls: at most {plan.calls:,}: {plan.calls - plan.test_calls:,} for the search, enough for"
            f" {plan.evaluations:.0f} candidates on all of dev, and {plan.test_calls:,} for the final test"
        )
        lines.append(
            f"tokens: about {plan.prompt_tokens:,} prompt tokens with the prompt as it is, at most"
            f" {plan.completion_tokens:,} completion tokens"
        )
    if plan.cached:
        lines.append(
            f"cached: {format_plural(plan.cached, 'answer')} of the hand-written prompt on dev"
            f" {'is' if plan.cached == 1 else 'are'} known from earlier runs and cost nothing"
        )
    if plan.seconds is not None and plan.seconds >= 1:
        lines.append(f"time: about {format_duration(plan.seconds)}, based on earlier runs")
    if plan.money is None:
        lines.append(
            f"cost: the price of {plan.model} is unknown" if plan.calls is not None else "cost: no limit on calls"
        )
    elif plan.money:
        lines.append(f"cost: at most {format_money(plan.money)}; judges and the reflector not counted")
    if plan.same_reflector:
        lines.append(f"Warning: {plan.reflector} is the model under test; another model usually reflects better.")
    return [*lines, *(f"Warning: {note}" for note in plan.notes)]


def describe_openings(count: int) -> str:
    """How often the test part has been opened; "" for never."""
    if not count:
        return ""
    if count == 1:
        return "The test part was opened for the first time."
    return (
        f"The test part was opened for the {_ORDINALS.get(count, f'{count}th')} time: its figure is no longer unseen."
        f" p is multiplied by {count}."
    )


def describe_difference(result: SearchResult, part: PartScores) -> str:
    """`+0.06, 0.01 to 0.11`; why there is no interval where there is none."""
    digits = 3 if part.n > 500 else 2
    interval = part.unknown if math.isnan(part.low) else f"{part.low:+.{digits}f} to {part.high:+.{digits}f}"
    return f"{part.difference:+.{digits}f}, {interval}" if interval else f"{part.difference:+.{digits}f}"


def describe_effect(effect: ExampleEffect, free: bool = False) -> str:
    """`e3 earns +4.0 points (1.1 to 6.8) over 100 cases, costs 61 tokens.` free: the metric is none between 0 and 1."""
    scale, unit, digits = (1.0, "", 3) if free else (100.0, " points", 1)
    change = f"{effect.change * scale:+.{digits}f}{unit}"
    bounds = (
        f" ({effect.unknown})"
        if math.isnan(effect.low) and effect.unknown
        else ""
        if math.isnan(effect.low)
        else f" ({effect.low * scale:.{digits}f} to {effect.high * scale:.{digits}f})"
    )
    sure = "" if effect.worth != "not distinguishable" else "; not distinguishable from nothing"
    return (
        f"{effect.example} earns {change}{bounds} over {format_plural(effect.n, 'case')},"
        f" costs {format_plural(round(effect.tokens), 'token')}{sure}."
    )


def describe_refusals(result: SearchResult) -> str:
    """What the guards refused, by name; "" for nothing."""
    if not result.refused:
        return ""
    named = ", ".join(f"{guard} {count:,}" for guard, count in sorted(result.refused.items(), key=lambda one: -one[1]))
    return f"Refused before they cost a call: {named}."


def list_reasons(result: SearchResult) -> Iterator[str]:
    """What stands below the headline, a sentence each."""
    tried = f"{format_plural(result.candidates, 'candidate')} tried in {format_plural(result.rounds, 'round')}"
    dropped = f", {result.dropped:,} of them dropped early" if result.dropped else ""
    yield f"{tried}{dropped}. It ended because {result.stopped}."
    if sentence := describe_refusals(result):
        yield sentence
    if optimism := describe_optimism(result):
        yield optimism
    if result.dev is not None:
        yield (
            f"On dev: {describe_difference(result, result.dev)}; {format_p(result.dev.p)}, and"
            f" {format_p(result.dev.p_corrected)} after Bonferroni's"
            f" correction over {format_plural(result.dev.family, 'candidate')}."
        )
    if _may_show(result):
        assert result.test is not None
        yield f"If the difference seen is the true one, about {result.test.needed_cases:,} test cases would show it."
    if result.failed:
        yield f"{format_plural(result.failed, 'answer')} on test failed or have no score: left out of the comparison."
    if result.tokens_winner and result.winner != result.seed:
        change = result.tokens_winner - result.tokens_seed
        yield (
            f"A request takes {result.tokens_winner:.0f} prompt tokens, {abs(change):.0f}"
            f" {'more' if change >= 0 else 'fewer'} than with the hand-written prompt."
        )
    if result.winner.thinking != result.seed.thinking:
        thinking = result.winner.thinking
        yield f"It was found with reasoning {thinking}: set `sampling: {{thinking: {thinking}}}` in the variant."
    if opened := describe_openings(result.openings):
        yield opened
    yield from describe_overruns(result.searched, result.spending, result.budget)
    yield from result.notes


def _may_show(result: SearchResult) -> bool:
    """Whether more test cases could show the gain that was seen."""
    test = result.test
    if test is None or result.improved or test.difference <= 0:
        return False
    return test.needed_cases is not None and test.needed_cases < _MOST_CASES


def list_parts(result: SearchResult) -> list[tuple[SearchPart, PartScores]]:
    """The parts that have figures."""
    parts: list[tuple[SearchPart, PartScores | None]] = [("dev", result.dev), ("test", result.test)]
    return [(part, found) for part, found in parts if found is not None]


def describe_estimate(result: SearchResult, found: Estimate) -> str:
    """A score with its interval."""
    interval = "" if math.isnan(found.low) else f" ({found.low:.2f} – {found.high:.2f})"
    return f"{_value(result, found)}{interval}"


def _value(result: SearchResult, found: Estimate) -> str:
    metric = Metric(result.metric, result.lower_is_better, free=result.free)
    return format_value(found.value, metric, found.n)
