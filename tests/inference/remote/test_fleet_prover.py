"""Addresses of one model are probed, and shown to answer alike."""

from __future__ import annotations

import pytest

from tests.inference.remote.server_double import ServerDouble
from workbench.errors import ModelError
from workbench.inference.remote.adapters import ask_prompts
from workbench.inference.remote.fleet_prover import _check_cards, _describe_difference
from workbench.inference.remote.probe import make_card


async def difference(left: ServerDouble, right: ServerDouble) -> str:
    return _describe_difference(await ask_prompts(left, ()), await ask_prompts(right, ()))


async def test_equal_servers_answer_alike() -> None:
    assert await difference(ServerDouble(), ServerDouble()) == ""


async def test_other_weights_show_in_the_log_probabilities() -> None:
    other = ServerDouble(adapters={"hidden": 0.3}, keeps_adapter=True)
    other._stuck = 0.3  # an adapter that was merged into the weights
    assert "mean |Δlogprob| 0.3 on 5 prompts" in await difference(ServerDouble(), other)


async def test_without_log_probabilities_the_texts_decide() -> None:
    silent, other = ServerDouble(refuses=["top_logprobs"]), ServerDouble(refuses=["top_logprobs"])
    assert await difference(silent, other) == ""
    other._stuck = 2.0
    assert await difference(silent, other) == "another answer to 5 of 5 prompts"


async def test_cards_that_differ_are_refused_with_what_differs() -> None:
    first, second = await make_card(ServerDouble()), await make_card(ServerDouble(ignores=["stop"]))
    _check_cards([first, first])
    with pytest.raises(ModelError, match=r"does not serve the same model as .*stop acts → ignored"):
        _check_cards([first, second])
