"""Reproducible answers and likelihoods: the same to the last bit, whatever ran before or runs beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gguf_fixture import write_gguf_adapter
from msgspec.structs import replace

from tests.inference.listener import loglikelihood
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.pool import Pool
from workbench.inference.types import (
    Chunk,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Sampling,
    TokenLogprob,
    fold,
)
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

TALK = Sampling(max_tokens=24, logit_bias={"id:1": -1000.0, "id:2": -1000.0})
QUESTION = (Message("system", "Be kind."), Message("user", "Where is my parcel? It was sent on Monday."))
ANSWERS = ("It is on its way", "It is lost", "Sorry, we do not know where it is", "")


@pytest.fixture(params=["tiny", pytest.param("desk", marks=pytest.mark.model)])
def model(request: pytest.FixtureRequest) -> Model:
    """The embedded model in 8 bits rounds with the size of a batch, so that a neighbour would show."""
    path = request.getfixturevalue("tiny_gguf")("tiny") if request.param == "tiny" else None
    return Model(request.param, path or request.getfixturevalue("desk_gguf"), context_tokens=400)


@pytest.fixture
def engine(model: Model) -> Iterator[LlamaEngine]:
    opened = LlamaEngine.open(model, 1, 8192, lambda _: True)
    yield opened
    opened.close()


def ask(
    number: int, text: str = "Where is my parcel?", deterministic: bool = True, **sampling: object
) -> GenerateRequest:
    messages = (Message("system", "Be kind."), Message("user", text))
    return GenerateRequest(number, messages, replace(TALK, **sampling), top_logprobs=4, deterministic=deterministic)


def drain(engine: LlamaEngine) -> list[Outcome]:
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def tokens(events: list[Outcome], number: int) -> list[TokenLogprob]:
    """Every token with all its numbers: equal ones are equal to the last bit."""
    return [token for event in events if isinstance(event, Chunk) and event.request == number for token in event.tokens]


def likelihoods(events: list[Outcome], number: int) -> tuple[Likelihood, ...]:
    (found,) = (
        event.likelihoods for event in events if isinstance(event, LoglikelihoodResult) and event.request == number
    )
    return found


def stir(engine: LlamaEngine) -> None:
    """Leave the caches of every kind as full as others may leave them, some of the work called off."""
    for number in range(100, 112):
        engine.submit(ask(number, "a parcel " * (number - 99), number % 3 == 0, temperature=1.0, seed=number))
    engine.loglikelihood(LoglikelihoodRequest(112, QUESTION, ANSWERS, deterministic=True))
    engine.loglikelihood(LoglikelihoodRequest(113, QUESTION, ANSWERS))
    for _ in range(6):
        engine.step()
    for number in range(100, 114, 5):
        engine.cancel(number)
    drain(engine)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.2, "seed": 7}, {"repetition_penalty": 1.3}])
def test_an_answer_is_the_same_to_the_last_bit_alone_after_others_and_beside_them(
    engine: LlamaEngine, sampling: dict[str, object]
) -> None:
    engine.submit(ask(1, **sampling))
    alone = tokens(drain(engine), 1)
    assert len(alone) == 24
    stir(engine)
    engine.submit(ask(2, **sampling))
    assert tokens(drain(engine), 2) == alone
    for number in range(3, 9):
        engine.submit(ask(number, "And mine? " * number, deterministic=number % 2 == 0))
    engine.submit(ask(9, **sampling))
    engine.loglikelihood(LoglikelihoodRequest(10, QUESTION, ANSWERS, deterministic=True))
    assert tokens(drain(engine), 9) == alone


def test_likelihoods_are_the_same_to_the_last_bit_alone_after_others_and_beside_them(engine: LlamaEngine) -> None:
    engine.loglikelihood(LoglikelihoodRequest(1, QUESTION, ANSWERS, deterministic=True))
    alone = likelihoods(drain(engine), 1)
    assert len({one.logprob for one in alone}) == len(ANSWERS)
    stir(engine)
    engine.loglikelihood(LoglikelihoodRequest(2, QUESTION, ANSWERS, deterministic=True))
    assert likelihoods(drain(engine), 2) == alone
    for number in range(3, 9):
        engine.submit(ask(number, "And mine? " * number, deterministic=number % 2 == 0))
    engine.loglikelihood(LoglikelihoodRequest(9, QUESTION, ANSWERS, deterministic=True))
    assert likelihoods(drain(engine), 9) == alone


def test_two_engines_of_one_file_agree_to_the_last_bit(engine: LlamaEngine, model: Model) -> None:
    stir(engine)
    engine.submit(ask(1))
    engine.loglikelihood(LoglikelihoodRequest(2, QUESTION, ANSWERS, deterministic=True))
    first = drain(engine)
    other = LlamaEngine.open(model, 1, 8192, lambda _: True)
    other.loglikelihood(LoglikelihoodRequest(2, QUESTION, ANSWERS, deterministic=True))
    other.submit(ask(1))
    second = drain(other)
    other.close()
    assert tokens(first, 1) == tokens(second, 1)
    assert likelihoods(first, 2) == likelihoods(second, 2)


def test_each_result_says_how_it_was_made(engine: LlamaEngine) -> None:
    engine.submit(ask(1))
    engine.submit(ask(2, deterministic=False))
    engine.loglikelihood(LoglikelihoodRequest(3, QUESTION, ANSWERS, deterministic=True))
    engine.loglikelihood(LoglikelihoodRequest(4, QUESTION, ANSWERS))
    events = drain(engine)
    made = [[event for event in events if isinstance(event, Chunk) and event.request == number] for number in (1, 2)]
    assert [fold(chunks).deterministic for chunks in made] == [True, False]
    assert all(one.deterministic for one in likelihoods(events, 3))
    assert not any(one.deterministic for one in likelihoods(events, 4))


def test_log_likelihoods_are_deterministic_where_the_pool_or_request_says_so(
    tiny_gguf: Callable[..., Path],
) -> None:
    model = Model("tiny", tiny_gguf("tiny"))
    with contextlib.closing(Pool(threads=1, deterministic=True)) as pool:
        first = loglikelihood(pool, model, QUESTION, ANSWERS, "chat").likelihoods.result(120)
        again = loglikelihood(pool, model, QUESTION, ANSWERS, "chat", deterministic=True).likelihoods.result(120)
    with contextlib.closing(Pool(threads=1)) as pool:
        asked = loglikelihood(pool, model, QUESTION, ANSWERS, "chat", deterministic=True).likelihoods.result(120)
        plain = loglikelihood(pool, model, QUESTION, ANSWERS, "chat").likelihoods.result(120)
    assert first == again == asked
    assert [one.deterministic for one in (*first, *plain)] == [True] * 4 + [False] * 4


def test_two_adapters_are_added_up_in_the_same_order_in_every_engine(tiny_gguf: Callable[..., Path], tmp_path) -> None:
    """The native code would take them by their addresses."""
    base = tiny_gguf("tiny")
    made = [
        Applied(Adapter(name, write_gguf_adapter(tmp_path / f"{name}.gguf", base, seed), "gguf"), 0.6)
        for seed, name in enumerate("abcd")
    ]
    pairs = [(one, other) for one in made for other in made if one.adapter.name < other.adapter.name]
    found = []
    for order in (made, made[::-1]):
        engine = LlamaEngine.open(Model("tiny", base), 1, 8192, lambda _: True)
        for number, one in enumerate(order):  # loads them in this order
            engine.submit(replace(ask(number), adapters=(one,)))
        drain(engine)
        for number, pair in enumerate(pairs):
            engine.submit(replace(ask(number), adapters=pair))
        events = drain(engine)
        found.append([tokens(events, number) for number in range(len(pairs))])
        engine.close()
    assert found[0] == found[1]
