"""The specification suites of Prompty and Dotprompt: every case passes, or stands among the deviations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.deviations import DEVIATIONS
from tests.interop.spec_table import PASSED, SpecSuite, list_suites

SUITES = [pytest.param(suite, id=suite.name) for suite in list_suites()]
DOCS = Path(__file__).parents[2] / "docs/import.md"


@pytest.mark.parametrize("suite", SUITES)
def test_what_was_recorded_passed_or_is_a_deviation(suite: SpecSuite):
    recorded = suite.read_record()
    other = {name for name, found in recorded.items() if found["outcome"] != PASSED}
    assert other == set(DEVIATIONS[suite.name])
    assert len(recorded) - len(other) > 60


@pytest.mark.parametrize("suite", SUITES)
def test_every_deviation_is_in_the_documents(suite: SpecSuite):
    text = DOCS.read_text()
    cases = {name.split(": ", 1)[1].split()[0] for name in DEVIATIONS[suite.name]}
    assert [name for name in cases if name not in text] == []


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_comes_out_as_it_was_recorded(suite: SpecSuite):
    if suite.folder is None:
        pytest.skip(f"{suite.variable} names no folder")
    found, recorded = suite.run_all(suite.folder), suite.read_record()
    assert found  # not all of a suite need be there
    assert found == {name: recorded[name] for name in found}
