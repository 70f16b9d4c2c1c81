"""Recall, reciprocal rank and nDCG equal scikit-learn's on random rankings."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, recall_score

from workbench.retrieval.passage import Passage, Reference, read_reference, read_references
from workbench.retrieval.relevance import find_gains, ndcg, recall, reciprocal_rank


def make_passages(count: int) -> list[Passage]:
    return [Passage(f"doc{number}", 0, 10, "text") for number in range(count)]


@pytest.mark.parametrize("seed", range(60))
def test_equal_to_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    passages = make_passages(rng.randint(2, 30))
    relevant = rng.sample(passages, rng.randint(1, len(passages)))
    ranking = rng.sample(passages, len(passages))
    k = rng.randint(1, len(passages))
    gains = find_gains(ranking, [Reference(one.document) for one in relevant])

    truth = np.array([[float(one in relevant) for one in passages]])
    scores = np.array([[float(len(ranking) - ranking.index(one)) for one in passages]])
    assert ndcg(gains, len(relevant), k) == pytest.approx(ndcg_score(truth, scores, k=k))
    found = np.array([one in ranking[:k] for one in passages], dtype=int)
    assert recall(gains, len(relevant), k) == pytest.approx(recall_score(truth[0].astype(int), found))
    first = next(one for one in ranking if one in relevant)
    single = np.array([[int(one == first) for one in passages]])
    expected = label_ranking_average_precision_score(single, scores)  # with one relevant label: its reciprocal rank
    assert reciprocal_rank(gains, len(passages)) == pytest.approx(expected)


def test_a_second_chunk_of_a_document_finds_nothing_new() -> None:
    ranking = [Passage("a", 0, 10, "x"), Passage("a", 10, 20, "y"), Passage("b", 0, 10, "z")]
    gains = find_gains(ranking, [Reference("a"), Reference("b")])
    assert gains == [1, 0, 1]
    assert recall(gains, 2, 2) == 0.5


def test_a_span_is_covered_by_a_passage_that_holds_a_part_of_it() -> None:
    passage = Passage("a", 100, 200, "x")
    assert Reference("a", 150, 160).covers(passage)
    assert Reference("a", 199, 300).covers(passage)
    assert not Reference("a", 200, 300).covers(passage)
    assert not Reference("b", 150, 160).covers(passage)


def test_nothing_found_is_zero_everywhere() -> None:
    gains = find_gains(make_passages(3), [Reference("elsewhere")])
    assert (recall(gains, 1, 3), reciprocal_rank(gains, 3), ndcg(gains, 1, 3)) == (0.0, 0.0, 0.0)


def test_references_are_read_in_each_form() -> None:
    assert read_references("guide.md") == (Reference("guide.md"),)
    assert read_references('["guide.md", "faq.md:10-20"]') == (Reference("guide.md"), Reference("faq.md", 10, 20))
    assert read_references('[{"document": "a", "start": 3, "end": 9}]') == (Reference("a", 3, 9),)
    assert read_references("  ") == ()
    assert read_reference("c:4-4") == Reference("c:4-4")
    for passage in make_passages(3):
        assert read_reference(passage.id) == Reference(passage.document, 0, 10)
    with pytest.raises(ValueError, match="found 5"):
        read_references("[5]")
    with pytest.raises(ValueError, match="expected document"):
        read_references('[{"doc": "a"}]')
