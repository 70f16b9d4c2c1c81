from __future__ import annotations

import pytest

from tests.inference.remote.server_double import ServerDouble
from workbench.inference.remote.card import CapabilityCard, compare_cards
from workbench.inference.remote.card_text import describe_card
from workbench.inference.remote.probe import make_card

FIELDS = (
    "seed", "stop", "logit_bias", "frequency_penalty", "presence_penalty", "repetition_penalty", "json_schema", "regex",
    "grammar", "continuation",
)  # fmt: skip


def _states(card: CapabilityCard) -> dict[str, str]:
    return {one.name: one.state for one in card.fields}


async def test_every_field_of_an_honest_server_acts():
    card = await make_card(ServerDouble())
    assert set(_states(card).values()) == {"acts"}
    assert set(_states(card)) == {*FIELDS, "top_logprobs"}
    assert card.ignored == ()
    assert (card.logprobs, card.likelihood) == ("raw", "forced tokens")
    assert card.requests <= 20


@pytest.mark.parametrize("field", FIELDS)
async def test_a_field_without_effect_is_found_out(field):
    card = await make_card(ServerDouble(ignores=[field]))
    assert _states(card).pop(field) == "ignored"
    assert card.ignored == (field,)


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "continuation"])
async def test_a_field_that_is_refused_is_told_apart(field):
    card = await make_card(ServerDouble(refuses=[field]))
    found = card.find(field)
    assert found is not None
    assert found.state == "refused"
    assert found.evidence == f"no {field} here"


@pytest.mark.parametrize("way", ["ignores", "refuses"])
async def test_without_logprobs_no_likelihood_is_promised(way):
    card = await make_card(ServerDouble(**{way: ["top_logprobs"]}))
    assert (card.logprobs, card.likelihood) == ("none", "none")
    assert "log-probabilities" in card.likelihood_evidence
    assert _states(card)["stop"] == "acts"


async def test_logprobs_that_follow_the_temperature_are_processed():
    assert (await make_card(ServerDouble(logprobs="processed"))).logprobs == "processed"


async def test_a_forced_token_with_another_logprob_than_among_the_alternatives_is_not_believed():
    card = await make_card(ServerDouble(forced_offset=0.2))
    assert card.likelihood == "none"
    assert "among the alternatives" in card.likelihood_evidence


async def test_dialects_without_a_way_to_likelihoods_say_so():
    assert (await make_card(ServerDouble("ollama"))).likelihood == "none"


async def test_the_known_conversation_is_counted_by_whoever_can():
    double = ServerDouble(prompt_tokens=25)

    async def count(request):
        return 21

    own = (await make_card(double, count)).count
    assert (own.counted, own.source) == (21, "our tokenizer")
    told = (await make_card(double)).count
    assert (told.source, told.reported) == ("the server's own tokenizer", 25)
    assert told.counted is not None
    unknown = (await make_card(ServerDouble("openai"))).count
    assert (unknown.counted, unknown.reported) == (None, 20)


async def test_a_changed_card_says_what_changed():
    before = await make_card(ServerDouble(adapters={"queues": 0.5}))
    assert compare_cards(before, await make_card(ServerDouble(adapters={"queues": 0.5}))) == ()
    after = await make_card(ServerDouble(ignores=["stop"]))
    assert set(compare_cards(before, after)) == {"adapters queues → none", "stop acts → ignored"}
    assert before.identity != after.identity


async def test_the_card_in_words_names_every_field_and_signs_what_does_not_act():
    card = await make_card(ServerDouble(ignores=["stop"], adapters={"queues": 0.5}))
    rows = {row.label: row for row in describe_card(card)}
    assert rows["stop"].sign == "✗"
    assert rows["stop"].value.startswith("ignored: the server's own")
    assert rows["seed"].sign == "✓"
    assert rows["adapters"].value == "queues: not proved yet"
    assert set(FIELDS) <= set(rows)
