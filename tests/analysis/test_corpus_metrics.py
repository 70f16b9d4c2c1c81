"""What is said of a whole dataset: one value that cannot be worked out leaves the others, and a case counts once."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from stored_run import LABELS, answer, make_cases, plain_variants, store_run

from workbench.analysis.summary import summarize
from workbench.analysis.thresholds import find_misses
from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.reports.html import render_html
from workbench.reports.json import render_json
from workbench.reports.markdown import render_markdown
from workbench.runs.bench import Bench, Threshold
from workbench.runs.cell import Cell
from workbench.scoring.scorer import Score
from workbench.scoring.scorers.bleu_chrf import Bleu, ChrF
from workbench.store.runs import MetricRecord

WORDS = ("river", "lamp", "stone", "glass", "paper", "garden", "clock", "window", "bread", "train")
BOTH = (MetricRecord("bleu", free=True), MetricRecord("chrf", free=True))


def translate(count, also=True, seed=1):
    """Cases with two references, and answers that are mostly the second one."""
    random = np.random.default_rng(seed)
    cases, texts = [], []
    for number in range(1, count + 1):
        first, second = (" ".join(random.choice(WORDS, 9)) for _ in range(2))
        kept = [word if random.random() < 0.85 else "well" for word in second.split()]
        cases.append(Case(number, {"message": f"m {number}"}, first, number, (second,) if also else ()))
        texts.append(" ".join(kept))
    return cases, texts


def store_texts(tmp_path, cases, texts, repeats=1, name="s"):
    cells = [
        Cell("a", case.number, Completion(text), (Score("bleu", 50.0, "", ""), Score("chrf", 50.0, "", "")), repeat=at)
        for case, text in zip(cases, texts, strict=True)
        for at in range(repeats)
    ]
    path = tmp_path / f"{name}.sqlite"
    return store_run(path, plain_variants("a"), cases, cells, BOTH, scorers=("bleu", "chrf"))


def test_a_corpus_value_over_several_references_lies_in_its_interval_and_its_signature_counts_them(tmp_path):
    summary = summarize(store_texts(tmp_path, *translate(60)))
    for key in ("bleu.corpus", "chrf.corpus"):
        found = summary.variant("a").dataset_intervals[key]
        assert found.low < found.value < found.high and found.value > 60, key
    assert any(note.startswith("bleu: nrefs:2|") for note in summary.notes)
    assert any(note.startswith("chrf: nrefs:2|") for note in summary.notes)


def test_references_of_one_case_alone_make_their_number_vary(tmp_path):
    cases, texts = translate(30, also=False)
    cases[0] = Case(1, cases[0].variables, cases[0].expected, 1, ("another one",))
    notes = summarize(store_texts(tmp_path, cases, texts)).notes
    assert any(note.startswith("bleu: nrefs:var|") for note in notes)


def test_the_interval_of_a_corpus_value_is_no_narrower_for_equal_repeats(tmp_path):
    cases, texts = translate(50)
    once, thrice = (
        summarize(store_texts(tmp_path, cases, texts, repeats, f"s{repeats}")).variant("a").dataset_intervals
        for repeats in (1, 3)
    )
    for key in ("bleu.corpus", "chrf.corpus"):
        assert (thrice[key].low, thrice[key].high) == pytest.approx((once[key].low, once[key].high))
        assert once[key].n == thrice[key].n == 50


@pytest.mark.parametrize("count", [3, 40])
def test_answers_without_a_character_in_common_have_a_corpus_value(tmp_path, count):
    cases = [Case(number, {"message": "m"}, "zzz qqq", number) for number in range(1, count + 1)]
    found = summarize(store_texts(tmp_path, cases, ["hello world"] * count)).variant("a")
    assert found.problems == {}
    assert found.dataset_scores == {"bleu.corpus": 0, "chrf.corpus": 0}
    assert found.dataset_intervals["chrf.corpus"].unknown.startswith("too few cases")


def fail(*_):
    raise ZeroDivisionError("no word at all")


def test_one_scorers_dataset_value_fails_alone_and_says_why_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(Bleu, "summarize", fail)
    view = store_texts(tmp_path, *translate(40))
    summary = summarize(view)
    found = summary.variant("a")
    assert found.problems == {"bleu": "ZeroDivisionError: no word at all"}
    assert "bleu.corpus" not in found.dataset_scores
    assert found.dataset_intervals["chrf.corpus"].low < found.dataset_scores["chrf.corpus"]
    assert found.scores["bleu"].value == 50
    reason = "bleu could not be worked out: ZeroDivisionError: no word at all"
    assert any(reason in note for note in summary.notes)
    assert reason in render_markdown(summary)
    assert reason in render_html(view, summary)
    assert json.loads(render_json(summary))["variants"][0]["problems"] == found.problems


def test_an_interval_fails_without_its_value(tmp_path, monkeypatch):
    monkeypatch.setattr(ChrF, "corpus_sums", fail)
    found = summarize(store_texts(tmp_path, *translate(40))).variant("a")
    assert list(found.problems) == ["the interval of chrf"]
    assert found.dataset_scores["chrf.corpus"] > 0
    assert "chrf.corpus" not in found.dataset_intervals and "bleu.corpus" in found.dataset_intervals


def test_a_threshold_on_a_value_that_could_not_be_worked_out_is_missed_and_not_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(Bleu, "summarize", fail)
    summary = summarize(store_texts(tmp_path, *translate(40)))
    bench = Bench((), thresholds={"bleu.corpus": Threshold(min=10), "chrf.corpus": Threshold(min=10)})
    assert [str(miss) for miss in find_misses(bench, summary)] == [
        "bleu.corpus of a: expected at least 10, found nothing to measure"
    ]


def test_macro_f1_has_the_same_interval_when_every_case_is_asked_again_with_the_same_answer(tmp_path):
    cases, random = make_cases(80), np.random.default_rng(4)
    texts = [case.expected if random.random() < 0.8 else str(random.choice(LABELS)) for case in cases]

    def summary(repeats):
        cells = [answer("a", case, text, at) for case, text in zip(cases, texts, strict=True) for at in range(repeats)]
        view = store_run(tmp_path / f"{repeats}.sqlite", plain_variants("a"), cases, cells)
        return summarize(view).variant("a").dataset_intervals["exact_match.macro_f1"]

    once, often = summary(1), summary(4)
    assert (once.value, once.n) == (pytest.approx(often.value), often.n) == (pytest.approx(once.value), 80)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert once.high - once.low > 0.1


def test_a_label_that_hardly_any_case_expects_leaves_the_macro_f1_without_an_interval(tmp_path):
    cases = make_cases(60)
    cases = [Case(one.number, one.variables, "Abacus" if one.number > 3 else "Lantern", one.number) for one in cases]
    cells = [answer("a", case, "Abacus") for case in cases]
    found = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells)).variant("a")
    assert found.dataset_intervals["exact_match.macro_f1"].unknown == "too few cases of a label"
    assert found.dataset_scores["exact_match.macro_f1"] == pytest.approx(0.487, abs=0.001)


def test_a_variant_of_which_every_cell_failed_has_no_value_instead_of_0(tmp_path):
    cases = make_cases(4)
    cells = [answer("good", case, "x") for case in cases] + [
        answer("lost", case, "", error="It fell.") for case in cases
    ]
    right = Score("tool_calls", 1.0, "", "", parts={"well formed": 1.0, "right tool": 1.0, "right arguments": 1.0})
    scored = [msgspec.structs.replace(one, scores=() if one.error else (right,)) for one in cells]
    metrics = (MetricRecord("tool_calls"),)
    view = store_run(
        tmp_path / "s.sqlite", plain_variants("good", "lost"), cases, scored, metrics, scorers=("tool_calls",)
    )
    summary = summarize(view)
    assert summary.variant("good").dataset_scores["tool_calls.well formed"] == 1.0
    assert summary.variant("lost").dataset_scores == {}
    assert "0.00" not in render_markdown(summary)
