from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from workbench.inference.pool import Pool
from workbench.prompting.prompt import Example
from workbench.search.budget import SearchBudget
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchRequest
from workbench.settings import Settings
from workbench.store.store import Store

BENCH = Path(__file__).parents[2] / "prompts" / "demo.bench.yaml"


@pytest.mark.model
def test_examples_of_the_demo_are_searched_on_the_embedded_model(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    request = SearchRequest(
        str(BENCH), "few-shot", budget=SearchBudget(150), max_dev=12, max_test=20, max_examples=8, seed=3
    )
    with contextlib.closing(Pool()) as pool, contextlib.closing(Store(tmp_path / "store.sqlite")) as store:
        search = PromptSearch(request, Settings(), pool, store)
        long = Example("long", {"message": "word " * 3000}, "Lantern")
        search.add_candidate("c0", examples=(long,), reason="far too long")
        result = search.run()
    assert result.refused["context"] == 1  # by the model's own tokenizer, before any call
    assert 24 <= result.spending.calls <= 150
    assert result.spending.prompt_tokens > 100 * result.spending.calls / 2
    assert search.state.score(result.winner.id) >= search.state.score("c0")
    if result.winner != result.seed:
        assert (result.test.n, result.openings) == (20, 1)
        assert result.run
