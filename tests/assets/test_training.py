"""A training that was stopped goes on as if it never had been, and the first weights are what they claim to be."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, mode

import pytest
import torch  # noqa: TID253 - what is tested is a training
from transformers import LlamaForCausalLM  # noqa: TID253 - what is tested is a training

from assets.recipe import training
from assets.recipe.document import ANSWER, TEXT
from assets.recipe.model import build_model, tell_apart
from assets.recipe.tokenizer import load_tokenizer
from assets.recipe.training import Plan, counted_places, train
from assets.recipe.world import load_world

TOKENIZER = load_tokenizer(Path(__file__).parents[2] / "assets" / "desk")
PLAN = Plan(steps=4, rows=2, length=64, evaluate_seconds=0, save_seconds=0, compiled=False)


def _build() -> LlamaForCausalLM:
    return build_model(
        len(TOKENIZER), TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, seed=3, width=64, inner=64, heads=4, layers=2
    )


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _build()
    train(whole, TOKENIZER, load_world(), PLAN, tmp_path / "whole")
    steps = iter([training.train_step, training.train_step])
    with monkeypatch.context() as patched:
        patched.setattr(training, "train_step", lambda *arguments: next(steps)(*arguments))
        with pytest.raises(StopIteration):
            train(_build(), TOKENIZER, load_world(), PLAN, tmp_path / "stopped")
    resumed = _build()
    train(resumed, TOKENIZER, load_world(), PLAN, tmp_path / "stopped")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert not torch.equal(whole.model.norm.weight, _build().model.norm.weight)


def test_every_answer_counts_and_some_of_the_rest_counts_for_all_of_it() -> None:
    weights = torch.full((30,), TEXT)
    weights[::6] = ANSWER
    places, counted = counted_places(weights)
    assert len(set(places.tolist())) == len(places) == 10
    assert {0, 6, 12, 18, 24} <= set(places.tolist())
    assert float(counted.sum()) == pytest.approx(float(weights.sum()))


def test_where_answers_fill_the_room_nothing_else_counts() -> None:
    weights = torch.full((30,), TEXT)
    weights[4:20] = ANSWER
    places, counted = counted_places(weights)
    assert len(places) == 10
    assert counted.tolist() == [ANSWER] * 10


def test_heads_start_out_looking_one_token_back_two_back_and_at_the_last_few() -> None:
    model = build_model(len(TOKENIZER), TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, seed=3)
    ids = torch.randint(5, len(TOKENIZER), (1, 60), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = model(input_ids=ids, output_attentions=True).attentions[0][0]
    back = [[place - int(head[place].argmax()) for place in range(8, 60)] for head in seen[:3]]
    assert (mode(back[0]), mode(back[1])) == (1, 2)
    assert 2 < mean(back[2]) < 6


def test_words_that_were_drawn_together_get_vectors_of_their_own() -> None:
    table = torch.randn(20, 64, generator=torch.Generator().manual_seed(1)) * 0.3 + 1.0
    before = table.clone()
    words = [(2, 12), (3, 13), (5, 15)]
    tell_apart(table, words, seed=7)

    def likeness(one: int, other: int) -> float:
        return float(torch.nn.functional.cosine_similarity(table[one], table[other], dim=0))

    assert likeness(2, 3) < 0.5 < 0.9 < likeness(2, 12)
    assert likeness(13, 15) < 0.5 < 0.9 < likeness(5, 15)
    others = [place for place in range(20) if place not in (2, 3, 5, 12, 13, 15)]
    assert torch.equal(table[others], before[others])
    assert torch.equal(table[:, 0], before[:, 0])
