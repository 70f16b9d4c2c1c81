"""What each example is worth, and at which strength an adapter does best."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.adapter_scales import SCALES, describe_scales, measure_scale, scale_variants
from workbench.analysis.example_effects import describe_effects, leave_one_out, measure_effects
from workbench.errors import BenchError, StoreError
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import AdapterChoice, Variant

CASES = make_cases(60)
EXAMPLES = tuple(Example(f"e{at}", {"message": f"shown {at}"}, "Lantern") for at in (1, 2, 3))
SHOWN = Prompt("queues/few-shot", "user:\n{{ message }}", placement="turns", examples=EXAMPLES)
FEW = Variant("few-shot", "queues/few-shot", "desk")
TUNED = Variant("tuned", "queues/plain", "desk", adapters=(AdapterChoice("lora"),))


def store_forms(tmp_path, variants, right, tokens=lambda name: 100, prompt=SHOWN):
    """right: how many of the cases each variant has right, by name."""
    cells = [
        answer(
            one.name, case, (case.expected or "") if case.number <= right[one.name] else "no", tokens=tokens(one.name)
        )
        for case in CASES
        for one in variants
    ]
    return store_run(tmp_path / "s.sqlite", variants, CASES, cells, prompt=lambda variant: prompt)


def test_each_example_that_is_on_is_left_out_once():
    variants = leave_one_out(msgspec.structs.replace(FEW, examples_off=("e2",)), SHOWN)
    assert [one.name for one in variants] == ["few-shot", "few-shot without e1", "few-shot without e3"]
    assert [one.examples_off for one in variants] == [("e2",), ("e2", "e1"), ("e2", "e3")]


def test_a_variant_without_examples_has_none_to_leave_out():
    with pytest.raises(BenchError, match="shows no example"):
        leave_one_out(FEW, msgspec.structs.replace(SHOWN, placement="none"))


def test_an_examples_effect_is_the_score_with_it_minus_the_score_without(tmp_path):
    variants = leave_one_out(FEW, SHOWN)
    right = {"few-shot": 50, "few-shot without e1": 20, "few-shot without e2": 50, "few-shot without e3": 49}
    cost = {"few-shot": 100, "few-shot without e1": 88, "few-shot without e2": 70, "few-shot without e3": 90}
    found = measure_effects(store_forms(tmp_path, variants, right, cost.get), "few-shot")
    assert found.value.value == pytest.approx(50 / 60)
    first, second, third = found.effects
    assert (first.example, first.worth, first.tokens) == ("e1", "helps", 12)
    assert first.change == pytest.approx(0.5)
    assert first.low < 0.5 < first.high
    assert (second.worth, second.change, second.tokens) == ("not distinguishable", 0, 30)
    assert (third.worth, third.n, third.shown) == ("not distinguishable", 60, "shown 3")
    said = describe_effects(found)
    assert said.startswith("e1 earns its place beyond chance.")
    assert "Of 2 examples these cases cannot tell" in said and "40 tokens a request" in said


def test_an_example_that_does_harm_is_said_to(tmp_path):
    variants = leave_one_out(FEW, SHOWN)
    right = {"few-shot": 20, "few-shot without e1": 50, "few-shot without e2": 52, "few-shot without e3": 20}
    said = describe_effects(measure_effects(store_forms(tmp_path, variants, right), "few-shot"))
    assert said.startswith("e1, e2 do harm beyond chance.")
    assert "Of 1 example these cases cannot tell whether the score needs it;" in said


def test_a_run_without_the_forms_says_what_is_missing(tmp_path):
    view = store_forms(tmp_path, [FEW], {"few-shot": 3})
    with pytest.raises(StoreError, match="no variant that leaves an example of few-shot out"):
        measure_effects(view, "few-shot")
    with pytest.raises(StoreError, match="has no metric 'bleu'"):
        measure_effects(view, "few-shot", "bleu")
    with pytest.raises(StoreError, match="was not found when run"):
        bare = store_run(tmp_path / "bare.sqlite", plain_variants("a"), CASES, [])
        measure_effects(bare, "a")


def test_an_adapter_is_tried_from_nothing_to_one_and_a_half():
    variants = scale_variants(TUNED)
    assert [one.adapters[0].scale for one in variants] == list(SCALES)
    assert [one.name for one in variants][:3] == ["tuned × 0", "tuned × 0.25", "tuned × 0.5"]


def test_the_first_adapter_that_is_on_is_meant_unless_one_is_named():
    both = msgspec.structs.replace(TUNED, adapters=(AdapterChoice("one", on=False), AdapterChoice("two", 0.7)))
    assert [choice.scale for choice in scale_variants(both, (1.5,))[0].adapters] == [1.0, 1.5]
    named = scale_variants(both, (1.5,), "one")[0].adapters
    assert [(choice.scale, choice.on) for choice in named] == [(1.5, True), (0.7, True)]


@pytest.mark.parametrize("scales", [(), (float("nan"),), (-1.0, 1.0)])
def test_scales_are_numbers_from_0(scales):
    with pytest.raises(BenchError, match="Scales are numbers from 0"):
        scale_variants(TUNED, scales)


def test_a_variant_without_adapter_has_no_scale():
    with pytest.raises(BenchError, match="does not have an adapter that is on"):
        scale_variants(FEW)
    with pytest.raises(BenchError, match="does not have the adapter 'other'"):
        scale_variants(TUNED, adapter="other")


def test_the_curve_names_its_best_point_and_what_cannot_be_told_from_it(tmp_path):
    variants = scale_variants(TUNED, (0.0, 0.5, 1.0, 1.5))
    right = {"tuned × 0": 5, "tuned × 0.5": 40, "tuned × 1": 58, "tuned × 1.5": 57}
    curve = measure_scale(store_forms(tmp_path, variants, right), TUNED)
    assert [point.scale for point in curve.points] == [0, 0.5, 1, 1.5]
    assert [point.verdict for point in curve.points] == ["worse", "worse", None, "not distinguishable"]
    assert (curve.best, curve.adapter) == (1.0, "lora")
    assert describe_scales(curve).startswith("lora does best at scale 1: exact match 0.97")
    assert describe_scales(curve).endswith("Not distinguishable from it: 1.5.")


def test_the_best_scale_is_corrected_for_having_been_chosen(tmp_path):
    """45 against 37 of 60 is apart as one of two scales, and not as the best of seven, any of which might have led."""
    two = scale_variants(TUNED, (0.5, 1.0))
    alone = measure_scale(store_forms(tmp_path / "two", two, {"tuned × 0.5": 37, "tuned × 1": 45}), TUNED)
    assert [point.verdict for point in alone.points] == ["worse", None]
    seven = scale_variants(TUNED)
    right = {one.name: 37 for one in seven} | {"tuned × 1": 45}
    curve = measure_scale(store_forms(tmp_path / "seven", seven, right), TUNED)
    assert {point.verdict for point in curve.points} == {"not distinguishable", None}
    widths = [next(point.value for point in one.points if point.scale == 1.0) for one in (alone, curve)]
    assert widths[1].high - widths[1].low > widths[0].high - widths[0].low


def test_what_to_expect_of_a_chosen_scale_comes_from_the_cases_it_was_not_chosen_on(tmp_path):
    """Where all scales are alike the best of seven looks better than it is, and its half-by-half value does not."""
    random = np.random.default_rng(3)
    seven = scale_variants(TUNED)
    cells = [
        answer(one.name, case, (case.expected or "") if random.random() < 0.5 else "no")
        for case in CASES
        for one in seven
    ]
    view = store_run(tmp_path / "s.sqlite", seven, CASES, cells, prompt=lambda variant: SHOWN)
    curve = measure_scale(view, TUNED)
    best = next(point for point in curve.points if point.scale == curve.best)
    assert curve.chosen < best.value.value
    assert "Chosen on one half of the cases and measured on the other" in describe_scales(curve)
    assert "for all 7 scales at once" in describe_scales(curve)


def test_of_equal_scales_the_weakest_is_best(tmp_path):
    variants = scale_variants(TUNED, (0.5, 1.0))
    curve = measure_scale(store_forms(tmp_path, variants, {"tuned × 0.5": 30, "tuned × 1": 30}), TUNED)
    assert curve.best == 0.5


def test_a_run_without_scales_says_so(tmp_path):
    view = store_forms(tmp_path, [FEW], {"few-shot": 3})
    with pytest.raises(StoreError, match="has no scales of tuned"):
        measure_scale(view, TUNED)


def test_scales_that_were_not_scored_are_no_error(tmp_path):
    view = store_run(tmp_path / "s.sqlite", scale_variants(TUNED, (0.5, 1.0)), CASES, [])
    assert "Nothing has been scored" in describe_scales(measure_scale(view, TUNED))
