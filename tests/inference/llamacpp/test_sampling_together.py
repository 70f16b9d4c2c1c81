"""What a request samples does not depend on its neighbours: alternatives, penalties, biases, seeds and grammars."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import Chunk, GenerateRequest, Outcome, Sampling, TokenLogprob, fold
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

ENDLESS = {"id:1": -1000.0}
SCHEMA = {
    "type": "object",
    "properties": {"sent": {"type": "boolean"}, "days": {"enum": [1, 2, 3]}},
    "required": ["sent", "days"],
}
DATE = 'root ::= year "-" [0-1] [0-9]\nyear ::= [0-9] [0-9] [0-9] [0-9]'
KINDS = {
    "greedy": Sampling(max_tokens=20, logit_bias=ENDLESS),
    "penalties": Sampling(
        max_tokens=20, logit_bias=ENDLESS, repetition_penalty=1.3, frequency_penalty=0.5, presence_penalty=0.5
    ),
    "bias": Sampling(max_tokens=20, logit_bias={**ENDLESS, "the": 12.0, "in": 11.0}),
    "warm": Sampling(max_tokens=20, logit_bias=ENDLESS, temperature=1.0, seed=11),
    "min_p": Sampling(max_tokens=20, logit_bias=ENDLESS, temperature=1.5, min_p=0.1, seed=21),
    "top": Sampling(max_tokens=20, logit_bias=ENDLESS, temperature=1.5, top_k=9, top_p=0.9, seed=13),
    "json": Sampling(max_tokens=80, json_schema=SCHEMA),
    "warm json": Sampling(max_tokens=80, json_schema=SCHEMA, temperature=1.0, seed=5),
    "grammar": Sampling(max_tokens=20, grammar=DATE),
}


@pytest.fixture
def engine(tiny_gguf: Callable[..., Path]) -> Iterator[LlamaEngine]:
    opened = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    yield opened
    opened.close()


def ask(number: int, sampling: Sampling, top_logprobs: int = 0, **more: object) -> GenerateRequest:
    return GenerateRequest(
        number, (Message("user", "where is the thing"),), sampling, top_logprobs=top_logprobs, **more
    )


def run(engine: LlamaEngine, *requests: GenerateRequest) -> list[Outcome]:
    for request in requests:
        engine.submit(request)
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def text_of(events: Sequence[Outcome], number: int) -> str:
    return fold([event for event in events if isinstance(event, Chunk) and event.request == number]).text


def tokens_of(events: Sequence[Outcome], number: int) -> list[TokenLogprob]:
    return [token for event in events if isinstance(event, Chunk) and event.request == number for token in event.tokens]


def test_every_kind_of_sampling_is_the_same_alone_together_and_reproducibly(engine: LlamaEngine) -> None:
    """In 32 bits, where a near-tie would have to be nearer than any of these."""
    alone = [text_of(run(engine, ask(1, sampling)), 1) for sampling in KINDS.values()]
    assert len(set(alone)) == len(KINDS)
    for deterministic in (False, True):
        requests = [ask(number, one, deterministic=deterministic) for number, one in enumerate(KINDS.values())]
        events = run(engine, *requests, *(ask(100 + number, Sampling(max_tokens=9)) for number in range(9)))
        assert [text_of(events, number) for number in range(len(KINDS))] == alone


def test_each_of_many_rows_draws_by_its_own_seed(engine: LlamaEngine) -> None:
    warm = KINDS["warm"]
    alone = {seed: text_of(run(engine, ask(1, replace(warm, seed=seed))), 1) for seed in range(12)}
    assert len(set(alone.values())) > 6
    events = run(engine, *(ask(seed, replace(warm, seed=seed)) for seed in reversed(range(12))))
    assert {seed: text_of(events, seed) for seed in range(12)} == alone
    twins = run(engine, *(ask(number, warm) for number in range(6)))
    assert len({text_of(twins, number) for number in range(6)}) == 1


def test_a_row_that_leaves_does_not_move_the_draws_of_the_others(engine: LlamaEngine) -> None:
    alone = text_of(run(engine, ask(1, KINDS["warm"])), 1)
    for number in range(1, 7):
        engine.submit(ask(number, replace(KINDS["warm"], seed=11 if number == 1 else number)))
    events = [event for _ in range(5) for event in engine.step()]
    for number in (2, 4, 6):
        engine.cancel(number)
    engine.submit(ask(9, KINDS["top"]))
    assert text_of([*events, *run(engine)], 1) == alone


@pytest.mark.parametrize("kind", ["json", "warm json"])
def test_json_of_the_wanted_form_comes_from_each_of_many_rows(engine: LlamaEngine, kind: str) -> None:
    seeds = range(10)
    requests = [ask(number, replace(KINDS[kind], seed=number)) for number in seeds]
    events = run(engine, *requests, *(ask(100 + number, KINDS["warm"]) for number in range(5)))
    for number in seeds:
        found = json.loads(text_of(events, number))
        assert isinstance(found["sent"], bool)
        assert found["days"] in (1, 2, 3)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_likeliest_alternatives_are_told_whatever_was_chosen(engine: LlamaEngine, count: int) -> None:
    requests = [ask(number, one, top_logprobs=count) for number, one in enumerate(KINDS.values())]
    events = run(engine, *requests)
    for number, (kind, sampling) in enumerate(KINDS.items()):
        told = tokens_of(events, number)
        assert told, kind
        for token in told:
            logprobs = [guess.logprob for guess in token.top_logprobs]
            assert len(logprobs) == count
            assert logprobs == sorted(logprobs, reverse=True)
            assert token.logprob <= logprobs[0]
        if sampling == KINDS["greedy"]:
            assert all(token.logprob == token.top_logprobs[0].logprob for token in told)


def test_all_alternatives_together_are_certain(engine: LlamaEngine) -> None:
    request = ask(1, KINDS["greedy"], top_logprobs=engine.info.vocabulary)
    for token in tokens_of(run(engine, request), 1):
        assert np.exp([guess.logprob for guess in token.top_logprobs]).sum() == pytest.approx(1.0, abs=1e-5)


def test_telling_alternatives_changes_no_choice(engine: LlamaEngine) -> None:
    plain = run(engine, *(ask(number, one) for number, one in enumerate(KINDS.values())))
    told = run(engine, *(ask(number, one, top_logprobs=5) for number, one in enumerate(KINDS.values())))
    for number in range(len(KINDS)):
        assert text_of(plain, number) == text_of(told, number)


def test_penalties_count_what_the_row_itself_has_written(engine: LlamaEngine) -> None:
    """A token that is by far the likeliest comes once where its presence costs more than that, in each of many rows."""
    forced = Sampling(max_tokens=10, logit_bias={**ENDLESS, "in": 50.0}, presence_penalty=1000.0)
    events = run(engine, *(ask(number, forced) for number in range(8)))
    assert {text_of(events, number).count("in") for number in range(8)} == {1}
