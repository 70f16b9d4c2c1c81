"""Prepared weights multiply as the plain ones do, and are never used for others."""

from __future__ import annotations

import copy

import pytest
import torch  # noqa: TID253 - what is prepared

from workbench.inference.transformers.prepacked import PrepackedLinear, prepack


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def model(request: pytest.FixtureRequest) -> torch.nn.Sequential:
    torch.manual_seed(1)
    made = torch.nn.Sequential(torch.nn.Linear(48, 32, dtype=request.param), torch.nn.Linear(32, 16, False))
    made[1].to(request.param)
    return made.requires_grad_(False)


@torch.inference_mode()
def test_the_same_comes_out_for_any_number_of_rows(model: torch.nn.Sequential) -> None:
    plain = copy.deepcopy(model)
    if not prepack(model, 2**30):
        pytest.skip("this build of torch prepares no weights")
    assert isinstance(model[0], PrepackedLinear)
    for shape in ((1, 1, 48), (8, 1, 48), (2, 33, 48)):
        states = torch.randn(shape, dtype=model[0].weight.dtype)
        assert torch.allclose(model(states), plain(states), rtol=0.02, atol=0.02)


@torch.inference_mode()
def test_a_copied_layer_with_other_weights_uses_those(model: torch.nn.Sequential) -> None:
    prepack(model, 2**30)
    other = copy.deepcopy(model)
    other[0].weight.mul_(3)
    states = torch.randn((2, 1, 48), dtype=model[0].weight.dtype)
    expected = torch.nn.functional.linear(states, other[0].weight, other[0].bias)
    assert torch.allclose(other[0](states), expected, rtol=0.02, atol=0.02)


def test_without_memory_for_a_second_copy_nothing_changes(model: torch.nn.Sequential) -> None:
    assert prepack(model, 100) == 0
    assert type(model[0]) is torch.nn.Linear
