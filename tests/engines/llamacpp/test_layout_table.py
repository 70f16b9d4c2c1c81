"""Which layout is chosen, from times that are made up."""

from __future__ import annotations

import itertools

from workbench.engines.llamacpp.layouts import SIZES, Layout, Layouts
from workbench.engines.llamacpp.tuning import Tuning


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


class GrantingLease:
    """Grants as many threads as it is told."""

    def __init__(self, cores: int, granted: int) -> None:
        self.cores, self.granted = cores, granted

    def threads(self) -> int:
        return self.granted


class TimedCrew:
    """Takes as long as a batch has rows; a split is free."""

    def __init__(self) -> None:
        self.cores: set[int] = set()
        self.stopped = False

    def try_out(self, contexts, scratch, cores, rows, layout):
        self.cores.add(cores)
        if self.stopped:
            return None
        return 0.0 if layout == "split" else float(rows)


def test_a_model_is_measured_once_as_soon_as_all_its_threads_are_granted():
    layouts, crew, lease = Layouts(), TimedCrew(), GrantingLease(cores=8, granted=1)
    tuning = Tuning(layouts, crew, (), 0, lease, 2, itertools.count(0.0, 1e-6).__next__)
    tuning.measure()
    assert tuning.left
    assert layouts.choose(2) == "batch"
    lease.granted = 2  # of eight cores: more than two are never asked for
    tuning.measure()
    assert not tuning.left
    assert layouts.choose(2) == "split"
    assert crew.cores == {2}


def test_a_measuring_that_made_way_goes_on_in_the_next_lull():
    layouts, crew = Layouts(), TimedCrew()
    tuning = Tuning(layouts, crew, (), 0, GrantingLease(2, 2), 2, itertools.count(0.0, 1e-6).__next__)
    crew.stopped = True
    tuning.measure()
    assert tuning.left
    assert layouts.choose(2) == "batch"
    crew.stopped = False
    tuning.measure()
    assert not tuning.left
    assert layouts.choose(2) == "split"
