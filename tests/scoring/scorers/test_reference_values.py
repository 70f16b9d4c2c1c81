"""The values of scorers beside those of the libraries and definitions they are named after."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.datasets import Case
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoredSample, ScoringInput
from workbench.scoring.scorers.accuracy import OTHER, classify

PAIRS = (
    ("The cat sat on the mat.", "The cat is sitting on the mat."),
    ("A completely different sentence", "The quick brown fox jumps over the lazy dog"),
    ("The quick brown fox jumped over the lazy dogs today", "The quick brown fox jumps over the lazy dog"),
    ("the same words here", "the same words here"),
    ("", "Something was expected."),
    ("Der Fuchs läuft über die Straße.", "Der Fuchs rennt über die Straße!"),
    ("ok", "ok then, that is fine"),
)
WORDS = st.lists(st.sampled_from(["a", "the", "cat", "dog,", "sat", "sat.", "on", "Mat"]), max_size=8).map(" ".join)


def make(spec):
    (scorer,) = make_scorers([spec])
    return scorer


def judge_all(scorer):
    return [ScoredSample(text, expected, scorer.score(text, Case(1, {}, expected))) for text, expected in PAIRS]


@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"tokenize": "char"}])
def test_bleu_is_that_of_sacrebleu(options):
    import sacrebleu

    scorer = make({"bleu": options})
    samples = judge_all(scorer)
    tokenizer = {"lowercase": options.get("lowercase", False), "tokenize": options.get("tokenize", "13a")}
    for one in samples:
        reference = sacrebleu.sentence_bleu(one.text, [one.expected], **tokenizer)
        assert one.score.value == pytest.approx(reference.score, abs=1e-9)
    hypotheses, references = zip(*PAIRS, strict=True)
    corpus = sacrebleu.corpus_bleu(list(hypotheses), [list(references)], **tokenizer)
    assert scorer.summarize(samples) == {"corpus": pytest.approx(corpus.score)}
    assert f"tok:{tokenizer['tokenize']}|smooth:exp|version:{sacrebleu.__version__}" in scorer.signature


@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_is_that_of_sacrebleu(word_order):
    import sacrebleu

    scorer = make({"chrf": {"word_order": word_order}})
    samples = judge_all(scorer)
    for one in samples:
        reference = sacrebleu.sentence_chrf(one.text, [one.expected], word_order=word_order)
        assert one.score.value == pytest.approx(reference.score, abs=1e-9)
    hypotheses, references = zip(*PAIRS, strict=True)
    corpus = sacrebleu.corpus_chrf(list(hypotheses), [list(references)], word_order=word_order)
    assert scorer.summarize(samples) == {"corpus": pytest.approx(corpus.score)}
    assert f"nw:{word_order}" in scorer.signature


def test_bleu_takes_all_right_answers_as_references():
    import sacrebleu

    scorer = make("bleu")
    case = Case(1, {}, "the cat is here", also=("a cat sits here", "here is a cat"))
    score = scorer.score("a cat is here", case)
    reference = sacrebleu.sentence_bleu("a cat is here", [case.expected, *case.also])
    assert score.value == pytest.approx(reference.score)
    samples = [ScoredSample("a cat is here", case.expected, score, case.also), ScoredSample("ok", "ok", score)]
    streams = [["the cat is here", "ok"], ["a cat sits here", None], ["here is a cat", None]]
    corpus = sacrebleu.corpus_bleu(["a cat is here", "ok"], streams)
    assert scorer.summarize(samples)["corpus"] == pytest.approx(corpus.score)


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_that_of_rouge_score(name, stemmer):
    from rouge_score.rouge_scorer import RougeScorer

    reference = RougeScorer([name], use_stemmer=stemmer)
    for measure in ("fmeasure", "precision", "recall"):
        scorer = make({name: {"measure": measure, "stemmer": stemmer}})
        for one in judge_all(scorer):
            assert one.score.value == pytest.approx(getattr(reference.score(one.expected, one.text)[name], measure))


def test_edit_distance_is_that_of_rapidfuzz():
    from rapidfuzz.distance import Levenshtein

    for one in judge_all(make("edit_distance")):
        assert one.score.value == Levenshtein.distance(one.text, one.expected)
    for one in judge_all(make("edit_similarity")):
        assert one.score.value == pytest.approx(Levenshtein.normalized_similarity(one.text, one.expected))


def squad_normalize(text):
    """SQuAD's evaluation script, step by step: lower case, punctuation, articles, white space."""
    lowered = text.lower()
    bare = "".join(character for character in lowered if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@given(WORDS.filter(squad_normalize), WORDS.filter(squad_normalize))
def test_token_f1_and_normalized_match_are_those_of_squad(text, expected):
    found, gold = squad_normalize(text).split(), squad_normalize(expected).split()
    shared = sum((Counter(found) & Counter(gold)).values())
    if not found or not gold:
        f1 = float(found == gold)
    elif not shared:
        f1 = 0.0
    else:
        f1 = 2 * (shared / len(found)) * (shared / len(gold)) / (shared / len(found) + shared / len(gold))
    assert make("token_f1").score(text, Case(1, {}, expected)).value == pytest.approx(f1)
    exact = squad_normalize(text) == squad_normalize(expected)
    assert make("normalized_match").score(text, Case(1, {}, expected)).value == exact


LABELS = st.sampled_from(["Lantern", "Abacus", "Harbour"])


@settings(max_examples=40)
@given(st.lists(st.tuples(LABELS, LABELS | st.just("no idea")), min_size=1, max_size=12))
def test_the_figures_of_classes_are_those_of_scikit_learn(pairs):
    from sklearn import metrics

    scorer = make("accuracy")
    samples = [ScoredSample(found, expected, scorer.score(found, Case(1, {}, expected))) for expected, found in pairs]
    values = scorer.summarize(samples)
    truth, found = zip(*pairs, strict=True)
    classes = sorted(set(truth))
    told = [each if each in classes else OTHER for each in found]
    options = {"labels": classes, "zero_division": 0}
    accuracy = scorer.classify(samples).accuracy
    assert accuracy == pytest.approx(metrics.accuracy_score(truth, told))
    assert accuracy == pytest.approx(sum(one.score.value for one in samples) / len(samples))
    assert values["macro_f1"] == pytest.approx(metrics.f1_score(truth, told, average="macro", **options))
    assert values["micro_f1"] == pytest.approx(metrics.f1_score(truth, told, average="micro", **options))
    for at, label in enumerate(classes):
        assert values[f"precision[{label}]"] == pytest.approx(
            metrics.precision_score(truth, told, average=None, **options)[at]
        )
        assert values[f"recall[{label}]"] == pytest.approx(
            metrics.recall_score(truth, told, average=None, **options)[at]
        )
    counts = scorer.classify(samples).counts
    assert [list(row) for row in counts] == metrics.confusion_matrix(truth, told, labels=[*classes, OTHER])[
        :-1
    ].tolist()


def test_classes_are_the_labels_in_their_order_and_any_further_expected_ones():
    found = classify(["b", "A", "c"], ["B.", "a", "nothing"], labels=["A", "B"])
    assert [label.name for label in found.labels] == ["A", "B", "c"]
    assert found.counts == ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1))
    assert found.labels[2].recall == 0


def test_the_class_named_in_an_answer_is_found_where_it_is_the_only_one():
    scorer = make({"accuracy": {"labels": ["Lantern", "Abacus"], "within": True}})
    assert scorer.score("It goes to LANTERN, I think.", Case(1, {}, "lantern")).value == 1
    assert scorer.find_label("Lantern or Abacus") == "Lantern or Abacus"
    assert scorer.find_label("Lanterns") == "Lanterns"
    assert scorer.score("abacus!", Case(1, {}, "Lantern")).extracted == "Abacus"


ALL = (
    *("exact_match", "normalized_match", "numeric_match", "contains", "accuracy", "token_f1", "bleu", "chrf"),
    *("rouge1", "rouge2", "rougeL", "edit_distance", "edit_similarity", "json_valid", "json_fields"),
    *("log_likelihood", "perplexity", "latency", "output_length", "cost"),
    {"regex": {"pattern": "(a+)"}},
    {"json_schema": {"schema": {"type": "object", "properties": {"a": {"pattern": "^a+$"}}}}},
    {"multiple_choice": {"choices": ["a", "b"]}},
    {"judge": {"model": "m", "rubric": "Good?"}},
    {"pairwise": {"model": "m"}},
    {"exact_match": {"name": "last", "extract": ["final_line", "last_number"]}},
    {"combined": {"parts": ["exact_match", {"bleu": {"threshold": 20, "negate": True, "weight": 2}}]}},
)


@settings(max_examples=60)
@given(st.text(), st.none() | st.text() | st.just('{"a": 1}'), st.lists(st.text(), max_size=2))
def test_no_text_upsets_a_scorer(text, expected, also):
    case = Case(1, {"question": text}, expected, also=tuple(also))
    for scorer in make_scorers(ALL):
        score = scorer.score_input(ScoringInput(text, case))
        assert score.scorer == scorer.name
        top = {"unit": 1, "percent": 100, "free": float("inf")}[scorer.scale]
        assert 0 <= score.value <= top
        assert not scorer.binary or score.value in (0, 1)
        assert scorer.score(text, case) == score
        scorer.grader_requests(text, case)
