"""Reproducible answers and likelihoods: the same to the last bit, whatever ran before or runs beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gguf_fixture import write_gguf_adapter
from msgspec.structs import replace

from workbench.engines.engine import Chunk, Likelihood, Outcome, Request, Sampling, TokenChoice, Weighed, Weighing, fold
from workbench.engines.llamacpp.engine import LlamaEngine
from workbench.hosting.pool import Pool
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

TALK = Sampling(max_tokens=24, logit_bias={"1": -1000.0, "2": -1000.0})
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


def ask(number: int, text: str = "Where is my parcel?", reproducible: bool = True, **sampling: object) -> Request:
    messages = (Message("system", "Be kind."), Message("user", text))
    return Request(number, messages, replace(TALK, **sampling), guesses=4, reproducible=reproducible)


def drain(engine: LlamaEngine) -> list[Outcome]:
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def tokens(events: list[Outcome], number: int) -> list[TokenChoice]:
    """Every token with all its numbers: equal ones are equal to the last bit."""
    return [token for event in events if isinstance(event, Chunk) and event.request == number for token in event.tokens]


def likelihoods(events: list[Outcome], number: int) -> tuple[Likelihood, ...]:
    (found,) = (event.likelihoods for event in events if isinstance(event, Weighed) and event.request == number)
    return found


def stir(engine: LlamaEngine) -> None:
    """Leave the caches of every kind as full as others may leave them, some of the work called off."""
    for number in range(100, 112):
        engine.submit(ask(number, "a parcel " * (number - 99), number % 3 == 0, temperature=1.0, seed=number))
    engine.weigh(Weighing(112, QUESTION, ANSWERS, reproducible=True))
    engine.weigh(Weighing(113, QUESTION, ANSWERS))
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
        engine.submit(ask(number, "And mine? " * number, reproducible=number % 2 == 0))
    engine.submit(ask(9, **sampling))
    engine.weigh(Weighing(10, QUESTION, ANSWERS, reproducible=True))
    assert tokens(drain(engine), 9) == alone


def test_likelihoods_are_the_same_to_the_last_bit_alone_after_others_and_beside_them(engine: LlamaEngine) -> None:
    engine.weigh(Weighing(1, QUESTION, ANSWERS, reproducible=True))
    alone = likelihoods(drain(engine), 1)
    assert len({one.logprob for one in alone}) == len(ANSWERS)
    stir(engine)
    engine.weigh(Weighing(2, QUESTION, ANSWERS, reproducible=True))
    assert likelihoods(drain(engine), 2) == alone
    for number in range(3, 9):
        engine.submit(ask(number, "And mine? " * number, reproducible=number % 2 == 0))
    engine.weigh(Weighing(9, QUESTION, ANSWERS, reproducible=True))
    assert likelihoods(drain(engine), 9) == alone


def test_two_engines_of_one_file_agree_to_the_last_bit(engine: LlamaEngine, model: Model) -> None:
    stir(engine)
    engine.submit(ask(1))
    engine.weigh(Weighing(2, QUESTION, ANSWERS, reproducible=True))
    first = drain(engine)
    other = LlamaEngine.open(model, 1, 8192, lambda _: True)
    other.weigh(Weighing(2, QUESTION, ANSWERS, reproducible=True))
    other.submit(ask(1))
    second = drain(other)
    other.close()
    assert tokens(first, 1) == tokens(second, 1)
    assert likelihoods(first, 2) == likelihoods(second, 2)


def test_each_result_says_how_it_was_made(engine: LlamaEngine) -> None:
    engine.submit(ask(1))
    engine.submit(ask(2, reproducible=False))
    engine.weigh(Weighing(3, QUESTION, ANSWERS, reproducible=True))
    engine.weigh(Weighing(4, QUESTION, ANSWERS))
    events = drain(engine)
    made = [[event for event in events if isinstance(event, Chunk) and event.request == number] for number in (1, 2)]
    assert [fold(chunks).reproducible for chunks in made] == [True, False]
    assert all(one.reproducible for one in likelihoods(events, 3))
    assert not any(one.reproducible for one in likelihoods(events, 4))


def test_a_pool_weighs_reproducibly_where_it_is_told_to_and_by_itself(tiny_gguf: Callable[..., Path]) -> None:
    model = Model("tiny", tiny_gguf("tiny"))
    with contextlib.closing(Pool(threads=1, reproducible=True)) as pool:
        first = pool.weigh(model, QUESTION, ANSWERS, "chat").likelihoods.result(30)
        again = pool.weigh(model, QUESTION, ANSWERS, "chat", reproducible=True).likelihoods.result(30)
        plain = pool.weigh(model, QUESTION, ANSWERS, "chat", reproducible=False).likelihoods.result(30)
    assert first == again
    assert [one.reproducible for one in (*first, *plain)] == [True] * 4 + [False] * 4


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
