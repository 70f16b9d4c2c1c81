"""What is said of a summary."""

from __future__ import annotations

import math

import msgspec
import pytest

from workbench.analysis.narrative import format_value, narrate
from workbench.analysis.summary import Effect, Estimate, PairSummary, Summary, VariantSummary
from workbench.runs.matrix_rows import Metric
from workbench.units import format_p

EXACT = Metric("exact_match", binary=True, main=True)


def variant(name, value, role="", tokens=60.0):
    scores = {"exact_match": Estimate(value, value - 0.05, value + 0.05, 200)}
    return VariantSummary(name, 200, scores=scores, role=role, tokens_in=tokens, tokens_out=2, latency_p50=0.02)


def pair(a, b, difference, p, needed=None):
    verdict = "not distinguishable" if p > 0.05 else "better" if difference > 0 else "worse"
    interval = (difference - 0.05, difference + 0.05)
    effect = Effect("Cohen's g", 0.1)
    return PairSummary(a, b, "exact_match", 200, difference, *interval, p, p, effect, "McNemar", verdict, needed)


def make(variants, pairs):
    return Summary("r", "demo", 200, (EXACT,), tuple(variants), tuple(pairs), best=variants[0].name)


def test_the_questions_of_the_comparison_are_answered():
    variants = [
        variant("plain", 0.1, "zero-shot"),
        variant("shown", 0.8, "few-shot", 240),
        variant("tuned", 0.97, "adapter"),
    ]
    pairs = [pair("plain", "shown", 0.7, 1e-9), pair("plain", "tuned", 0.87, 1e-9), pair("shown", "tuned", 0.17, 1e-4)]
    said = narrate(make(variants, pairs))
    assert "tuned has the best value: exact match 0.97 (95% interval 0.92 to 1.02) on 200 cases." in said
    assert "shown (few-shot) is better than plain (zero-shot): 0.80 against 0.10, a real difference of +0.70" in said
    assert "tuned (with the adapter) is better than plain" in said
    assert "tuned is better than shown" in said
    assert "p < 0.001" in said
    assert "takes 60 tokens in and 2 out, 20 ms at the median; the others take 60 to 240 tokens in." in said


def test_what_cannot_be_told_apart_says_how_many_cases_would():
    variants = [variant("a", 0.80, "zero-shot"), variant("b", 0.82, "few-shot")]
    said = narrate(make(variants, [pair("a", "b", 0.02, 0.6, 2_345)]))
    assert "b (few-shot) and a (zero-shot) cannot be told apart here: 0.82 against 0.80" in said
    assert "may be chance; if it is the true one, about 2,400 cases would tell." in said
    assert "better than" not in said


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (310, 9_421, "about 2,400 cases would tell (310 to 9,500 by its interval)."),
        (310, None, "about 2,400 cases would tell (310 at the least; its interval sets no upper end)."),
        (310, 5_000_000, "about 2,400 cases would tell (310 at the least; its interval sets no upper end)."),
    ],
)
def test_the_cases_that_would_tell_come_with_their_range(least, most, said):
    one = msgspec.structs.replace(pair("a", "b", 0.02, 0.6, 2_345), needed_least=least, needed_most=most)
    assert said in narrate(make([variant("a", 0.80), variant("b", 0.82)], [one]))


def test_a_verdict_that_the_interval_does_not_suggest_is_explained_in_its_sentence():
    apart = msgspec.structs.replace(
        pair("a", "b", 0.1, 0.2), low=0.01, high=0.19, p=0.03, p_adjusted=0.18, family=6, verdict="not distinguishable"
    )
    variants = [variant("b", 0.9), variant("a", 0.8)]
    said = narrate(make(variants, [apart]))
    assert "the verdict counts that it is one of 6 comparisons) may be chance" in said
    exact = msgspec.structs.replace(apart, p=0.06, p_adjusted=0.06, test="McNemar's exact test")
    assert "the interval is approximate, McNemar's exact test decides" in narrate(make(variants, [exact]))
    real = msgspec.structs.replace(exact, low=-0.001, p=0.04, p_adjusted=0.04, verdict="better")
    assert "just reaches 0, McNemar's exact test decides" in narrate(make(variants, [real]))
    assert "decides" not in narrate(make(variants, [pair("a", "b", 0.1, 0.001)]))


def test_a_missing_interval_says_why():
    scores = {"exact_match": Estimate(0.5, math.nan, math.nan, 7, "too few cases")}
    one, two = VariantSummary("a", scores=scores), VariantSummary("b", scores=scores)
    between = msgspec.structs.replace(pair("a", "b", 0.1, 1.0), low=math.nan, high=math.nan, unknown="too few cases")
    said = narrate(make([one, two], [between]))
    assert "0.50 (no interval: too few cases) on 7 cases" in said
    assert "-0.10 (no interval: too few cases, p = 1.00) may be chance" in said


def test_a_number_of_cases_nobody_has_is_not_named():
    variants = [variant("a", 0.80), variant("b", 0.82)]
    assert "no fewer than 100,000 cases" in narrate(make(variants, [pair("a", "b", 0.02, 0.9, 9_999_999)]))


def test_without_known_kinds_the_best_is_held_against_the_others():
    variants = [variant("a", 0.5), variant("b", 0.6), variant("c", 0.9)]
    pairs = [pair("a", "b", 0.1, 0.2), pair("a", "c", 0.4, 0.001), pair("b", "c", 0.3, 0.002)]
    assert "c is better than b and a." in narrate(make(variants, pairs))


def test_an_adapter_that_made_it_worse_is_called_worse():
    variants = [variant("plain", 0.9, "zero-shot"), variant("tuned", 0.5, "adapter")]
    assert "tuned (with the adapter) is worse than plain" in narrate(
        make(variants, [pair("plain", "tuned", -0.4, 0.001)])
    )


def test_equals_share_the_best_value_and_are_not_set_against_each_other():
    variants = [variant("a", 0.9), variant("b", 0.9)]
    said = narrate(make(variants, [pair("a", "b", 0.0, 1.0)]))
    assert "a and b share the best value" in said
    assert "have the same value here" in said


def test_one_variant_has_no_rival():
    assert narrate(make([variant("only", 0.5)], [])).startswith("only: exact match 0.50")


def test_nothing_scored_is_said():
    assert "Nothing has been scored" in narrate(Summary())
    unscored = VariantSummary("a", scores={"exact_match": Estimate(math.nan, math.nan, math.nan, 0)})
    assert "Nothing has been scored" in narrate(Summary(metrics=(EXACT,), variants=(unscored,)))


@pytest.mark.parametrize(("p", "said"), [(1e-9, "p < 0.001"), (0.0312, "p = 0.031"), (0.449, "p = 0.45")])
def test_p_has_the_digits_that_matter(p, said):
    assert format_p(p) == said


@pytest.mark.parametrize(
    ("value", "free", "n", "said"),
    [
        (0.785, False, 200, "0.79"),
        (0.785, False, 5_000, "0.785"),
        (0.00234, True, 200, "0.00234"),
        (34.75, True, 9, "34.75"),
    ],
)
def test_values_have_the_digits_that_mean_something(value, free, n, said):
    assert format_value(value, Metric("m", free=free), n) == said
