"""Tests of significance against the reference libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from workbench.statistics.paired import holm, mcnemar

counts = st.integers(0, 80)


@given(counts, counts)
def test_mcnemars_test_is_that_of_statsmodels(a_only, b_only):
    reference = reference_mcnemar([[7, a_only], [b_only, 9]], exact=True).pvalue if a_only + b_only else 1.0
    assert mcnemar(a_only, b_only) == pytest.approx(reference, abs=1e-12)


def test_mcnemars_test_stays_exact_for_very_many_cases():
    assert mcnemar(4_800, 5_200) == pytest.approx(binomtest(4_800, 10_000).pvalue, rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-12)


def test_nothing_is_corrected_for_nothing():
    assert holm([]) == [] == list(np.array([]))
