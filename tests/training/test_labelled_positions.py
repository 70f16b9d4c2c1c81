"""On a CPU the output head is computed where something is learned, with the losses and gradients of plain TRL."""

from __future__ import annotations

import pytest
import torch  # noqa: TID253
import transformers  # noqa: TID253
from trl.trainer import utils  # noqa: TID253

from workbench.training.child.labelled_positions import score_labelled_positions


def make_batch(learned):
    ids = torch.arange(24).reshape(2, 12) + 5
    labels = ids.clone()
    labels[:, : 12 - learned] = -100
    return {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)}


@pytest.fixture
def scored(monkeypatch):
    """How many positions each call of TRL's head scores."""
    rows = []
    kernel = utils._ChunkedLogProbFunction

    class Counted:
        @staticmethod
        def apply(hidden, *rest):
            rows.append(len(hidden))
            return kernel.apply(hidden, *rest)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counted)
    return rows


@pytest.mark.filterwarnings("ignore")
def test_only_what_is_learned_is_scored_and_nothing_else_changes(tiny_hf, scored):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_hf)
    utils.add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    batch = make_batch(learned=3)

    def learn():
        model.zero_grad()
        found = model(**batch, fused_lm_head=True)
        found.loss.backward()
        return found, [parameter.grad.clone() for parameter in model.parameters()]

    plain, gradients = learn()
    with score_labelled_positions():
        ours, same = learn()
    learn()
    assert scored == [22, 6, 22]
    torch.testing.assert_close(ours.loss, plain.loss)
    torch.testing.assert_close(ours.log_probs, plain.log_probs)
    torch.testing.assert_close(ours.entropy, plain.entropy)
    assert torch.equal(ours.is_top1.bool(), plain.is_top1.bool())
    torch.testing.assert_close(same, gradients)


@pytest.mark.filterwarnings("ignore")
def test_a_batch_in_which_nothing_is_learned_has_no_loss_and_no_error(tiny_hf, scored):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_hf)
    utils.add_fused_lm_head(model)
    with score_labelled_positions():
        found = model(**make_batch(learned=0), fused_lm_head=True)
        found.loss.backward()
    assert scored == [0]
    assert found.loss.item() == 0


def test_a_trl_that_decides_otherwise_is_left_as_it_is(monkeypatch):
    monkeypatch.delattr(utils, "_use_triton")
    with score_labelled_positions():
        assert not hasattr(utils, "_use_triton")
    assert not hasattr(utils, "_use_triton")
