"""Whatever a model remembers with, its answers and likelihoods are those of one plain pass over its tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from memory_kinds import KINDS, WINDOW, PlainModel, write_kind

from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import (
    Chunk,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Sampling,
)
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

END, TOKENS = 1, 12
LONG = "the thing in the house " * 6
ANSWERS = ("in", "in the", "erer the thing the", "a" * 90, "in the house", "")
CLOSE, NEAR = 2e-2, 2e-2
"""Between log-probabilities of one token, over a cache of 16-bit numbers; and of the two likeliest of a near-tie."""


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kind(tmp_path_factory.mktemp("kinds") / f"{request.param}.gguf", request.param)


@pytest.fixture(scope="module")
def plain(path: Path) -> Iterator[PlainModel]:
    model = PlainModel(path)
    yield model
    model.close()


@pytest.fixture
def engine(path: Path) -> Iterator[LlamaEngine]:
    opened = LlamaEngine.open(Model(path.stem, path), 1, 8192, lambda _: True)
    yield opened
    opened.close()


def ask(number: int, text: str, **more: object) -> GenerateRequest:
    return GenerateRequest(number, (Message("user", text),), Sampling(max_tokens=TOKENS), top_logprobs=1, **more)


def drain(engine: LlamaEngine) -> list[Outcome]:
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def weighed(events: Sequence[Outcome], number: int) -> tuple[Likelihood, ...]:
    (found,) = (
        event.likelihoods for event in events if isinstance(event, LoglikelihoodResult) and event.request == number
    )
    return found


class Expected:
    """What a plain pass writes behind a text, and how near each choice was."""

    def __init__(self, engine: LlamaEngine, plain: PlainModel, text: str) -> None:
        prompt = list(engine.tokenize(ask(0, text)).ids)
        written = plain.write(prompt, TOKENS, END)
        self.pieces = [engine._vocabulary.token_to_bytes(token).decode("utf-8", "replace") for token in written]
        ranked = np.sort(plain.read([*prompt, *written])[len(prompt) - 1 :], axis=1)
        self.margins = ranked[:, -1] - ranked[:, -2]

    def check(self, events: Sequence[Outcome], number: int) -> None:
        """A request got the same answer, or one that parts from it at a near-tie."""
        chunks = [event for event in events if isinstance(event, Chunk) and event.request == number]
        found = [token.text for chunk in chunks for token in chunk.tokens]
        assert chunks[-1].stop_reason == ("length" if len(found) == chunks[-1].output_tokens else "eos")
        pairs = itertools.zip_longest(self.pieces, found[: chunks[-1].output_tokens])
        parting = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
        assert parting is None or self.margins[parting] < NEAR


def expect_likelihood(engine: LlamaEngine, plain: PlainModel, text: str, answer: str) -> float:
    messages = (Message("user", text), Message("assistant", answer))
    prompt = list(engine.tokenize(ask(0, text)).ids)
    whole = list(engine.tokenize(GenerateRequest(0, messages)).ids)
    assert whole[: len(prompt)] == prompt
    rows = plain.read(whole)
    return float(sum(rows[place - 1, whole[place]] for place in range(len(prompt), len(whole))))


def check_likelihoods(found: Sequence[Likelihood], expected: Sequence[float], close: float = CLOSE) -> None:
    for one, exact in zip(found, expected, strict=True):
        assert one.logprob == pytest.approx(exact, abs=close * max(1, one.tokens))


def test_answers_side_by_side_and_one_after_another_are_those_of_a_plain_pass(
    engine: LlamaEngine, plain: PlainModel
) -> None:
    """Among them prompts longer than a window, that begin alike, and that are parts of each other."""
    texts = [LONG + "a", LONG + "b", LONG, LONG[:40], "x", LONG + "a", "in " * (2 * WINDOW)]
    expected = [Expected(engine, plain, text) for text in texts]
    for _ in range(2):
        for number, text in enumerate(texts):
            engine.submit(ask(number, text, deterministic=number == 3))
        events = drain(engine)
        for number, one in enumerate(expected):
            one.check(events, number)
    for number, text in reversed(list(enumerate(texts))):
        engine.submit(ask(number, text))
        expected[number].check(drain(engine), number)


@pytest.mark.parametrize("deterministic", [False, True])
def test_likelihoods_are_those_of_a_plain_pass(engine: LlamaEngine, plain: PlainModel, deterministic: bool) -> None:
    expected = [expect_likelihood(engine, plain, LONG, answer) for answer in ANSWERS]
    question = (Message("user", LONG),)
    for number in (1, 2):
        engine.loglikelihood(LoglikelihoodRequest(number, question, ANSWERS, deterministic=deterministic))
        check_likelihoods(weighed(drain(engine), number), expected)


def test_likelihoods_beside_answers_harm_neither(engine: LlamaEngine, plain: PlainModel) -> None:
    expected = [expect_likelihood(engine, plain, LONG, answer) for answer in ANSWERS]
    answer = Expected(engine, plain, LONG + "b")
    many = tuple(f"{'in ' * (place % 7)}{place}" for place in range(30))
    for number in range(3):
        engine.submit(ask(number, LONG + "b"))
        engine.loglikelihood(LoglikelihoodRequest(10 + number, (Message("user", LONG),), ANSWERS))
        engine.loglikelihood(LoglikelihoodRequest(20 + number, (Message("user", LONG + "b"),), many))
    likely = [expect_likelihood(engine, plain, LONG + "b", text) for text in many]
    events = [event for _ in range(4) for event in engine.step()]
    engine.cancel(0)
    engine.cancel(21)
    events += drain(engine)
    for number in (1, 2):
        answer.check(events, number)
    for number in range(10, 13):
        check_likelihoods(weighed(events, number), expected)
    for number in (20, 22):  # beside others the chunks of a prompt differ, and what rounding does with them
        check_likelihoods(weighed(events, number), likely, 1.5 * CLOSE)


def test_work_that_is_called_off_in_the_middle_leaves_no_trace(engine: LlamaEngine, plain: PlainModel) -> None:
    expected = Expected(engine, plain, LONG)
    for number in range(20):
        engine.submit(ask(number, LONG * (number % 3 + 1) + "x" * number))
        engine.loglikelihood(LoglikelihoodRequest(100 + number, (Message("user", LONG + "y" * number),), ANSWERS))
        engine.step()
        for called_off in (number, 100 + number - 1):
            engine.abort(called_off)
            engine.step()
            engine.cancel(called_off)
    engine.submit(ask(50, LONG))
    expected.check(drain(engine), 50)


def test_what_is_parked_and_brought_back_is_as_it_was(path: Path, plain: PlainModel, monkeypatch) -> None:
    monkeypatch.setattr("workbench.models.memory_estimate.kv_cache_tokens", lambda *_: 600)
    engine = LlamaEngine.open(Model(path.stem, path, context_tokens=400), 1, 8192, lambda _: True)
    texts = [f"{place} {LONG}" for place in range(6)]
    expected = [Expected(engine, plain, text) for text in texts]
    for _ in range(2):
        for number, text in enumerate(texts):
            engine.submit(ask(number, text))
            expected[number].check(drain(engine), number)
    engine.close()
