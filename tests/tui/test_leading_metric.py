"""The metric that the matrix opens on: the one that leads the figures, until a person steps to another."""

from __future__ import annotations

from types import SimpleNamespace

from workbench.runs.matrix_rows import Metric
from workbench.tui.run_browser import RunBrowser

JUDGE = Metric("judge", False, False, False, True)
EXACT = Metric("exact_match", False, True, False, False)


def open_browser():
    browser = RunBrowser(SimpleNamespace(), "r", lambda message: None)
    browser.show(SimpleNamespace(), ("plain",), (JUDGE, EXACT))
    return browser


def test_an_unreliable_judge_does_not_lead_the_matrix():
    browser = open_browser()
    assert browser.metric == "judge"
    assert browser.show_leading_metric(SimpleNamespace(metrics=(EXACT, JUDGE)))
    assert browser.metric == "exact_match"
    assert not browser.show_leading_metric(SimpleNamespace(metrics=(EXACT, JUDGE)))
    browser.close()


def test_a_metric_that_a_person_chose_stays():
    browser = open_browser()
    browser.next_metric()
    browser.next_metric()
    assert browser.metric == "judge"
    assert not browser.show_leading_metric(SimpleNamespace(metrics=(EXACT, JUDGE)))
    assert browser.metric == "judge"
    browser.close()
