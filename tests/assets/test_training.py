"""A training that was stopped goes on as if it never had been, and the first weights are what they claim to be."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, mode

import pytest
import torch  # noqa: TID253 - what is tested is a training
from transformers import LlamaForCausalLM  # noqa: TID253 - what is tested is a training

from assets.recipe import training
from assets.recipe.model import build_model
from assets.recipe.tokenizer import load_tokenizer
from assets.recipe.training import Plan, train
from assets.recipe.world import load_world

TOKENIZER = load_tokenizer(Path(__file__).parents[2] / "assets" / "desk")
PLAN = Plan(steps=4, rows=2, length=64, evaluate_seconds=0, save_seconds=0, compiled=False)


def _build() -> LlamaForCausalLM:
    return build_model(
        len(TOKENIZER), TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, seed=3, width=64, inner=64, layers=2
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


def test_heads_start_out_looking_one_token_back_two_back_and_at_the_last_few() -> None:
    model = build_model(len(TOKENIZER), TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, seed=3)
    ids = torch.randint(5, len(TOKENIZER), (1, 60), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = model(input_ids=ids, output_attentions=True).attentions[0][0]
    back = [[place - int(head[place].argmax()) for place in range(8, 60)] for head in seen[:3]]
    assert (mode(back[0]), mode(back[1])) == (1, 2)
    assert 2 < mean(back[2]) < 6
