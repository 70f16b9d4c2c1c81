"""The summary of a run in the store."""

from __future__ import annotations

import math
import pickle

import msgspec
import numpy as np
import pytest
from sklearn.metrics import f1_score
from statsmodels.stats.proportion import proportion_confint
from stored_run import EXACT, LABELS, answer, make_cases, plain_variants, store_run

from workbench.analysis.narrative import list_findings
from workbench.analysis.summary import summarize, summarize_run, swap_sides
from workbench.inference.types import Completion, Sampling
from workbench.prompting.prompt import Example, Prompt
from workbench.reports.tables import list_remarks
from workbench.runs.bench import AdapterChoice, Variant
from workbench.runs.cell import Cell
from workbench.scoring.scorer import Score
from workbench.store.runs import MetricRecord

CASES = make_cases(80)


def pick(rate, seed, cases=CASES):
    """An answer for each case, right with this chance."""
    random = np.random.default_rng(seed)
    return [case.expected if random.random() < rate else str(random.choice(LABELS)) for case in cases]


def three(tmp_path, **options):
    """Three variants of falling quality."""
    answers = {"weak": pick(0.1, 1), "good": pick(0.8, 2), "best": pick(0.95, 3)}
    cells = [answer(name, case, texts[at]) for at, case in enumerate(CASES) for name, texts in answers.items()]
    return store_run(tmp_path / "s.sqlite", plain_variants(*answers), CASES, cells, **options), answers


def test_scores_have_wilson_intervals(tmp_path):
    view, answers = three(tmp_path)
    summary = summarize(view)
    for name, texts in answers.items():
        right = sum(text == case.expected for text, case in zip(texts, CASES, strict=True))
        found = summary.variant(name).scores["exact_match"]
        assert (found.value, found.n) == (pytest.approx(right / 80), 80)
        assert (found.low, found.high) == pytest.approx(proportion_confint(right, 80, method="wilson"))
    assert (summary.best, summary.cases, summary.run) == ("best", 80, view.id)


def test_every_pair_of_variants_is_compared_once(tmp_path):
    summary = summarize(three(tmp_path)[0])
    assert [(pair.a, pair.b) for pair in summary.pairs] == [("weak", "good"), ("weak", "best"), ("good", "best")]
    assert summary.pair("weak", "best", "exact_match").verdict == "better"


def test_a_pair_can_be_read_from_either_side(tmp_path):
    summary = summarize(three(tmp_path)[0])
    pair, other = summary.pair("weak", "best", "exact_match"), summary.pair("best", "weak", "exact_match")
    assert (other.verdict, other.difference, other.low, other.high) == (
        "worse",
        -pair.difference,
        -pair.high,
        -pair.low,
    )
    assert swap_sides(other) == pair


def test_the_same_run_gives_the_same_summary_in_another_process_too(tmp_path):
    view, _ = three(tmp_path)
    again = pickle.loads(pickle.dumps(summarize_run))(str(tmp_path / "s.sqlite"), view.id)
    assert pickle.loads(pickle.dumps(again)) == summarize(view)


def test_failed_cells_are_counted_and_noted_and_have_no_score(tmp_path):
    cells = [answer(name, case, case.expected or "") for case in CASES for name in ("a", "b")]
    cells[0] = answer("a", CASES[0], "", error="the model died")
    summary = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, cells))
    assert (summary.variant("a").failed, summary.variant("a").n) == (1, 80)
    assert summary.variant("a").scores["exact_match"].n == 79
    assert summary.pairs[0].n == 79
    assert any("1 of 80 cells failed" in note for note in summary.notes)
    assert any("both have" in note for note in summary.notes)


def test_cached_cells_count_for_scores_and_not_for_latency(tmp_path):
    cells = [answer("a", case, "x", cached=at > 0, seconds=9.0 if at else 0.5) for at, case in enumerate(CASES)]
    found = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells)).variant("a")
    assert (found.cached, found.latency_p50, found.latency_p95) == (79, 0.5, 0.5)
    assert found.scores["exact_match"].n == 80


def test_tokens_latency_and_cost_are_those_of_the_cells(tmp_path):
    cells = [
        answer("a", case, "x", seconds=0.1 * (at + 1), tokens=10 + at % 2, cost=0.002) for at, case in enumerate(CASES)
    ]
    found = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells)).variant("a")
    assert (found.tokens_in, found.tokens_out, found.tokens_per_second) == (10.5, 2, 40)
    assert found.latency_p50 == pytest.approx(4.05)
    assert found.latency_p95 == pytest.approx(np.quantile(0.1 * np.arange(1, 81), 0.95))
    assert found.cost_per_thousand == pytest.approx(2.0)


def test_repeats_count_once_a_case(tmp_path):
    cells = [answer("a", case, case.expected or "", repeat) for case in CASES[:20] for repeat in range(5)]
    cells += [answer("b", case, "x", repeat) for case in CASES[:20] for repeat in range(5)]
    summary = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES[:20], cells))
    assert (summary.variant("a").n, summary.variant("a").scores["exact_match"].n) == (100, 20)
    assert summary.pairs[0].n == 20


def test_confusion_and_macro_f1_where_the_expected_answers_are_labels(tmp_path):
    view, answers = three(tmp_path)
    summary = summarize(view)
    expected = [case.expected for case in CASES]
    for confusion in summary.confusion:
        texts = answers[confusion.variant]
        for row, label in enumerate(confusion.labels):
            for column, said in enumerate(confusion.labels):
                pairs = zip(expected, texts, strict=True)
                assert confusion.counts[row][column] == sum(pair == (label, said) for pair in pairs)
        reference = f1_score(expected, texts, average="macro", labels=LABELS)
        found = summary.variant(confusion.variant).dataset_intervals["exact_match.macro_f1"]
        assert found.value == pytest.approx(reference)
        assert found.low <= found.value <= found.high


def test_texts_as_expected_answers_make_no_confusion_matrix(tmp_path):
    cases = [msgspec.structs.replace(case, expected=f"answer {case.number}") for case in CASES]
    cells = [answer("a", case, "x") for case in cases]
    assert summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells)).confusion == ()


BINARY = (MetricRecord("right", binary=True, threshold=1.0),)


@pytest.mark.parametrize(
    ("scorer", "compares"),
    [
        ({"exact_match": {"name": "right"}}, True),
        ({"regex": {"name": "right", "pattern": r"(\w+)"}}, True),
        ({"accuracy": {"name": "right", "extract": "first_line"}}, True),
        ({"regex": {"name": "right", "pattern": r"(\w+)", "compare": False}}, False),
        ({"contains": {"name": "right"}}, False),
        ({"json_valid": {"name": "right"}}, False),
        ({"exact_match": {"name": "right", "negate": True}}, False),
        ({"edit_distance": {"name": "right", "threshold": 2}}, False),
        ({"accuracy": {"name": "right", "extract_expected": "first_line"}}, False),
        ({"combined": {"name": "right", "parts": ["exact_match"], "how": "all"}}, False),
    ],
)
def test_only_a_scorer_that_compares_with_the_expected_label_has_a_confusion_matrix(tmp_path, scorer, compares):
    cells = []
    for case in CASES:
        cell = answer("a", case, "Lantern")
        score = msgspec.structs.replace(cell.scores[0], scorer="right")
        cells.append(msgspec.structs.replace(cell, scores=(score,)))
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells, BINARY, (scorer,))
    summary = summarize(view)
    assert [one.variant for one in summary.confusion] == (["a"] if compares else [])
    assert ("right.macro_f1" in summary.variant("a").dataset_intervals) == compares


def test_the_confusion_matrix_takes_for_the_same_label_what_the_scorer_does(tmp_path):
    said = ["lantern" if case.expected == "Abacus" else case.expected for case in CASES]
    lenient = {"exact_match": {"name": "right", "ignore_case": True}}
    for place, (scorer, mistaken) in enumerate((({"exact_match": {"name": "right"}}, False), (lenient, True))):
        cells = []
        for case, text in zip(CASES, said, strict=True):
            cell = answer("a", case, text)
            score = msgspec.structs.replace(cell.scores[0], scorer="right")
            cells.append(msgspec.structs.replace(cell, scores=(score,)))
        view = store_run(tmp_path / f"{place}.sqlite", plain_variants("a"), CASES, cells, BINARY, (scorer,))
        (confusion,) = summarize(view).confusion
        row = confusion.counts[confusion.labels.index("Abacus")]
        wrong = sum(case.expected == "Abacus" for case in CASES)
        assert row[confusion.labels.index("Lantern") if mistaken else -1] == wrong


def test_what_scorers_say_of_the_whole_dataset_stands_beside_the_means(tmp_path):
    said = ("the cat sat on a mat", "the cat sat on the mat")
    cells = [
        Cell("a", case.number, Completion(said[case.number % 2]), (Score("bleu", 50.0, "", ""),)) for case in CASES
    ]
    metrics = (MetricRecord("bleu", free=True),)
    cases = [msgspec.structs.replace(case, expected="the cat sat on the mat") for case in CASES]
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells, metrics, scorers=("bleu",))
    found = summarize(view).variant("a")
    assert found.scores["bleu"].value == 50
    assert 0 < found.dataset_scores["bleu.corpus"] < 100
    interval = found.dataset_intervals["bleu.corpus"]
    assert interval.low < interval.value < interval.high < 100 and interval.n == 80


def test_what_kind_a_variant_is_comes_from_what_it_ran_with(tmp_path):
    variants = [
        Variant("a", "zero", "desk"),
        Variant("b", "few", "desk"),
        Variant("c", "zero", "desk", adapters=(AdapterChoice("lora"),)),
        Variant("d", "few", "desk", examples_off=("e1",), adapters=(AdapterChoice("lora", on=False),)),
        Variant("e", "few", "desk", adapters=(AdapterChoice("lora"),)),
    ]
    shown = (Example("e1", {"message": "m"}, "Lantern"),)

    def prompt(variant):
        few = variant.prompt == "few"
        return Prompt(variant.prompt, "body", placement="turns" if few else "none", examples=shown if few else ())

    cells = [answer(variant.name, CASES[0], "x") for variant in variants]
    summary = summarize(store_run(tmp_path / "s.sqlite", variants, CASES[:1], cells, prompt=prompt))
    roles = [variant.role for variant in summary.variants]
    assert roles == ["zero-shot", "few-shot", "adapter", "zero-shot", "adapter, few-shot"]


def test_where_lower_is_better_the_lowest_is_best(tmp_path):
    metrics = (MetricRecord("latency", lower_is_better=True, free=True),)
    cells = [
        Cell(name, case.number, Completion("x"), (Score("latency", value + case.number / 1000, "", ""),))
        for case in CASES
        for name, value in (("slow", 2.0), ("fast", 1.0))
    ]
    view = store_run(tmp_path / "s.sqlite", plain_variants("slow", "fast"), CASES, cells, metrics, scorers=("latency",))
    summary = summarize(view)
    assert (summary.best, summary.pairs[0].verdict, summary.pairs[0].difference) == ("fast", "better", -1.0)


def test_a_run_without_any_cell_is_no_error(tmp_path):
    summary = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, []))
    assert (summary.best, summary.cases, summary.variant("a").scores) == ("", 0, {})
    assert summary.pairs[0].verdict == "not distinguishable"


def test_a_run_under_way_compares_what_both_have_so_far(tmp_path):
    cells = [answer("a", case, "x") for case in CASES] + [answer("b", case, "x") for case in CASES[:3]]
    summary = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, cells, EXACT))
    assert summary.pairs[0].n == 3


def test_examples_that_stand_among_the_cases_are_noted(tmp_path):
    shown = Prompt(
        "few", "user:\n{{ message }}", placement="turns", examples=(Example("e1", {"message": "message 7"}, "x"),)
    )
    cells = [answer("a", case, "x") for case in CASES]
    summary = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells, prompt=lambda _: shown))
    assert any("e1 is case 7 (exact)" in note and "too good" in note for note in summary.notes)


def test_a_value_without_bounds_is_missing_and_not_the_mean(tmp_path):
    metrics = (MetricRecord("perplexity", lower_is_better=True, free=True),)
    cells = [
        Cell(name, case.number, Completion("x"), (Score("perplexity", value, "", ""),))
        for case in CASES[:10]
        for name, value in (("a", math.inf if case.number == 3 else 2.0 + case.number), ("b", 1.0 + case.number))
    ]
    view = store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, cells, metrics, scorers=("perplexity",))
    summary = summarize(view)
    assert (summary.variant("a").scores["perplexity"].n, summary.variant("b").scores["perplexity"].n) == (9, 10)
    assert (summary.pairs[0].n, summary.pairs[0].difference, summary.pairs[0].verdict) == (9, -1.0, "better")


def cut_answer(variant, case, thinking="", text="Lan"):
    cell = answer(variant, case, text)
    done = msgspec.structs.replace(cell.completion, thinking=thinking, stop_reason="length")
    return msgspec.structs.replace(cell, completion=done)


def store_cut(path, cut, reasoning=0):
    """Two variants; of the second's answers so many are cut off."""
    cases = make_cases(40)
    cells = [answer("a", case, case.expected) for case in cases]
    cells += [
        cut_answer("b", case, "so far" if at < reasoning else "", "" if at < reasoning else "Lan")
        for at, case in enumerate(cases[:cut])
    ]
    cells += [answer("b", case, case.expected) for case in cases[cut:]]
    return store_run(path / "s.sqlite", plain_variants("a", "b"), cases, cells)


def test_cut_answers_are_counted_apart_from_those_cut_in_the_reasoning(tmp_path):
    summary = summarize(store_cut(tmp_path, 3, reasoning=2))
    assert [(one.cut, one.cut_in_reasoning) for one in summary.variants] == [(0, 0), (3, 2)]
    assert any("b: 3 of 40 answers were cut off, 2 of them before the reasoning ended" in n for n in summary.notes)


@pytest.mark.parametrize(("cut", "withheld"), [(2, ""), (3, "8% of the answers of b were cut off")])
def test_a_verdict_is_withheld_when_more_than_one_in_twenty_answers_is_cut(tmp_path, cut, withheld):
    (pair,) = summarize(store_cut(tmp_path, cut)).pairs
    assert (pair.withheld, pair.verdict == "withheld") == (withheld, bool(withheld))


def test_a_verdict_on_a_variant_that_has_seen_a_case_is_withheld(tmp_path):
    shown = Prompt(
        "few", "user:\n{{ message }}", placement="turns", examples=(Example("e1", {"message": "message 7"}, "x"),)
    )
    plain = Prompt("plain", "user:\n{{ message }}")
    cells = [answer(name, case, case.expected) for case in CASES for name in ("a", "b")]
    prompts = {"a": plain, "b": shown}
    view = store_run(tmp_path / "s.sqlite", plain_variants("a", "b"), CASES, cells, prompt=lambda v: prompts[v.name])
    summary = summarize(view)
    assert [one.seen for one in summary.variants] == [0, 1]
    (pair,) = summary.pairs
    assert (pair.verdict, pair.withheld) == ("withheld", "b has seen a test case")
    assert "No verdict on" in " ".join(list_findings(summary))


def test_answers_without_a_score_are_counted_by_metric(tmp_path):
    cases = make_cases(4)
    cells = [answer("a", case, case.expected) for case in cases]
    cells[1] = msgspec.structs.replace(cells[1], scores=(Score("exact_match", 0.0, "", "no reply", applies=False),))
    cells[2] = msgspec.structs.replace(cells[2], scores=())
    cells[3] = answer("a", cases[3], "", error="gone")
    (one,) = summarize(store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, cells)).variants
    assert (one.unscored, one.failed, one.scores["exact_match"].n) == ({"exact_match": 2}, 1, 1)


def test_thinking_is_counted_and_timed_apart_and_told_where_it_is_off(tmp_path):
    def think(variant, case, tokens):
        cell = answer(variant, case, case.expected)
        changes = {"thinking": "hm" if tokens else "", "thinking_tokens": tokens, "seconds_to_first_answer_token": 3.0}
        return msgspec.structs.replace(cell, completion=msgspec.structs.replace(cell.completion, **changes))

    thinking_off = [
        msgspec.structs.replace(variant, sampling=Sampling(thinking="off" if variant.name == "b" else "default"))
        for variant in plain_variants("a", "b")
    ]
    cells = [think(name, case, 30 * (case.number < 4)) for name in "ab" for case in CASES[:6]]
    summary = summarize(store_run(tmp_path / "s.sqlite", thinking_off, CASES[:6], cells))
    one, two = summary.variants
    assert (one.thinking_tokens, one.first_answer_p50, one.thought, one.thought_unasked) == (15.0, 3.0, 3, 0)
    assert two.thought_unasked == 3
    assert "b: 3 of 6 answers begin with thinking, which is off." in summary.notes
    assert list_remarks(two)[0] == "3 with thinking, which is off"
