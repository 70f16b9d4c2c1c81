"""Which layout is chosen, from times that are made up."""

from __future__ import annotations

import itertools

from workbench.engines.llamacpp.layouts import SIZES, Layout, Layouts


def measured(batch: float, single: float, split: float) -> Layouts:
    """Layouts for which a row costs so many seconds more in each way."""
    each: dict[Layout, float] = {"batch": batch, "single": single, "split": split}
    layouts = Layouts()
    ticks = itertools.count()
    layouts.measure(lambda rows, layout: each[layout] * rows, 1e9, lambda: float(next(ticks)))
    return layouts


def test_nothing_measured_means_one_batch():
    layouts = Layouts()
    assert {layouts.choose(rows) for rows in range(1, 40)} == {"batch"}
    assert not layouts.pays_together(1, 1)


def test_the_fastest_way_is_chosen_and_a_tie_goes_to_the_batch():
    assert measured(2.0, 3.0, 1.0).choose(2) == "split"
    assert measured(2.0, 1.0, 1.5).choose(1) == "single"
    assert measured(1.0, 0.99, 0.99).choose(4) == "batch"


def test_two_contexts_go_together_only_where_that_was_measured_to_pay():
    layouts = measured(2.0, 3.0, 1.0)
    assert layouts.pays_together(1, 1)
    assert layouts.pays_together(SIZES[-1] // 2, 1)
    assert not layouts.pays_together(SIZES[-1], SIZES[-1])
    assert not measured(1.0, 3.0, 2.0).pays_together(1, 1)


def test_what_cannot_be_split_is_not_tried():
    tried: list[Layout] = []

    def trial(rows: int, layout: Layout) -> float:
        tried.append(layout)
        return 1.0

    layouts = Layouts(splits=False)
    layouts.measure(trial, 1e9, itertools.count().__next__)
    assert "split" not in tried
    assert "batch" in tried
