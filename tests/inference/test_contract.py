"""What every engine must do, run over each of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.inference.newcomer_engine import NewcomerEngine
from workbench.errors import EngineError
from workbench.inference.script import Rule, Script
from workbench.inference.scripted import ScriptedEngine
from workbench.inference.types import (
    Chunk,
    Completion,
    Engine,
    Event,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Progress,
    Sampling,
    fold,
)
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

REPLY = "The parcel was sent on Monday, and it comes tomorrow; sorry for the wait, dear customer."


@dataclass
class EngineUnderTest:
    """An engine, and sampling under which it writes at least a dozen tokens."""

    engine: Engine
    talk: Sampling

    def request(self, number: int = 1, text: str = "Where is my parcel?", **sampling: object) -> GenerateRequest:
        messages = (Message("system", "Be kind."), Message("user", text))
        return GenerateRequest(number, messages, replace(self.talk, **sampling))

    def run(self, *requests: GenerateRequest) -> list[Event]:
        for request in requests:
            self.engine.submit(request)
        return [event for event in self.drain() if not isinstance(event, LoglikelihoodResult)]

    def drain(self) -> list[Outcome]:
        events: list[Outcome] = []
        while self.engine.busy:
            events += self.engine.step()
        return events

    def loglikelihood(
        self, *answers: str, text: str = "Where is my parcel?", number: int = 1
    ) -> tuple[Likelihood, ...]:
        self.engine.loglikelihood(LoglikelihoodRequest(number, self.request(text=text).messages, answers))
        (weighed,) = (event for event in self.drain() if isinstance(event, LoglikelihoodResult))
        assert weighed.request == number
        return weighed.likelihoods

    def complete(self, request: GenerateRequest) -> Completion:
        return fold(chunks(self.run(request), request.id))


def chunks(events: Sequence[Event], request: int) -> list[Chunk]:
    return [event for event in events if isinstance(event, Chunk) and event.request == request]


def _open_scripted(_: pytest.FixtureRequest) -> EngineUnderTest:
    script = Script(rules=(Rule(reply=(REPLY, REPLY[::-1])),), context_tokens=200)
    return EngineUnderTest(
        ScriptedEngine(script, Model("script", Path("script.json"), "scripted")), Sampling(max_tokens=64)
    )


def _open_tiny(request: pytest.FixtureRequest) -> EngineUnderTest:
    write: Callable[..., Path] = request.getfixturevalue("tiny_gguf")
    return _open_llama(Model("tiny", write("tiny", context_tokens=200)))


def _open_desk(request: pytest.FixtureRequest) -> EngineUnderTest:
    # not q8_0: it rounds with the size of a batch, which turns the balance where two tokens are about as likely
    path = request.getfixturevalue("desk_gguf").with_name("desk-f16.gguf")
    return _open_llama(Model("desk", path, context_tokens=200))


def _open_llama(model: Model) -> EngineUnderTest:
    """The engine, and sampling under which its model never ends by itself."""
    from workbench.inference.llamacpp.engine import LlamaEngine

    engine = LlamaEngine.open(model, 1, 8192, lambda _: True)
    ends = [token for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)]
    return EngineUnderTest(engine, Sampling(max_tokens=24, logit_bias={f"id:{token}": -1000.0 for token in ends}))


def _open_tiny_hf(request: pytest.FixtureRequest) -> EngineUnderTest:
    return _open_transformers(Model("tiny", request.getfixturevalue("tiny_hf"), "hf"))


def _open_desk_hf(request: pytest.FixtureRequest) -> EngineUnderTest:
    return _open_transformers(Model("desk", request.getfixturevalue("desk_hf"), "hf", context_tokens=200))


def _open_transformers(model: Model) -> EngineUnderTest:
    """The engine, and sampling under which its model never ends by itself."""
    from workbench.inference.transformers.engine import TransformersEngine

    engine = TransformersEngine.open(model, 1, 8192, lambda _: True)
    ends = [token for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)]
    return EngineUnderTest(engine, Sampling(max_tokens=24, logit_bias={f"id:{token}": -1000.0 for token in ends}))


def _open_newcomer(_: pytest.FixtureRequest) -> EngineUnderTest:
    return EngineUnderTest(NewcomerEngine(), Sampling(max_tokens=24))


OPENERS = {
    "newcomer": _open_newcomer,
    "scripted": _open_scripted,
    "tiny": _open_tiny,
    "tiny hf": _open_tiny_hf,
    "desk": _open_desk,
    "desk hf": _open_desk_hf,
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.model) if "desk" in name else name for name in OPENERS])
def bench(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    made = OPENERS[request.param](request)
    yield made
    made.engine.close()


def test_the_streamed_pieces_add_up_to_the_same_text_each_time(bench: EngineUnderTest) -> None:
    events = bench.run(bench.request())
    streamed = "".join(chunk.text for chunk in chunks(events, 1))
    assert len(chunks(events, 1)) > 5
    assert streamed == bench.complete(bench.request(2)).text != ""


def test_a_request_ends_with_exactly_one_stop_reason(bench: EngineUnderTest) -> None:
    events = bench.run(bench.request(1), bench.request(2, "And mine?"))
    for number in (1, 2):
        reasons = [chunk.stop_reason for chunk in chunks(events, number)]
        assert [reason for reason in reasons if reason] == reasons[-1:]
    assert not bench.engine.busy


def test_a_request_says_that_it_runs_before_it_writes(bench: EngineUnderTest) -> None:
    events = [event for event in bench.run(bench.request()) if event.request == 1]
    assert events[0] == Progress(1, "running")


def test_cancel_takes_effect_within_one_step(bench: EngineUnderTest) -> None:
    bench.engine.submit(bench.request())
    events: list[Event] = []
    while not chunks(events, 1):
        events += bench.engine.step()
    bench.engine.cancel(1)
    last = chunks(bench.engine.step(), 1)
    assert last[-1].stop_reason == "cancelled"
    assert last[-1].output_tokens >= 1
    while bench.engine.busy:  # it may tidy up
        assert not bench.engine.step()


def test_a_request_cancelled_before_its_first_step_writes_nothing(bench: EngineUnderTest) -> None:
    bench.engine.submit(bench.request())
    bench.engine.cancel(1)
    assert fold(chunks(bench.engine.step(), 1)) == Completion(
        prompt_tokens=bench.engine.count([bench.request()])[0],
        stop_reason="cancelled",
        elapsed_seconds=pytest.approx(0, abs=1),
    )


def test_cancelling_one_request_leaves_the_others_alone(bench: EngineUnderTest) -> None:
    alone = bench.complete(bench.request(9)).text
    bench.engine.submit(bench.request(1))
    bench.engine.submit(bench.request(2))
    events = list(bench.engine.step())
    bench.engine.cancel(1)
    bench.engine.cancel(777)
    while bench.engine.busy:
        events += bench.engine.step()
    assert fold(chunks(events, 1)).stop_reason == "cancelled"
    assert fold(chunks(events, 2)).text == alone


def test_the_same_seed_gives_the_same_text(bench: EngineUnderTest) -> None:
    first, again = (bench.complete(bench.request(seed=7, temperature=1.5)) for _ in range(2))
    assert first.text == again.text


def test_another_seed_gives_another_text(bench: EngineUnderTest) -> None:
    texts = {bench.complete(bench.request(seed=seed, temperature=1.5)).text for seed in range(1, 9)}
    assert len(texts) > 1


def test_the_counts_add_up(bench: EngineUnderTest) -> None:
    request = bench.request(max_tokens=8)
    completion = bench.complete(request)
    tokenized = bench.engine.tokenize(request)
    assert completion.prompt_tokens == len(tokenized.ids) == len(tokenized.pieces)
    assert bench.engine.count([request, request]) == (completion.prompt_tokens,) * 2
    assert (completion.output_tokens, completion.stop_reason) == (8, "length")
    assert 0 < completion.seconds_to_first_token <= completion.elapsed_seconds
    assert completion.tokens_per_second > 0


def test_the_final_prompt_is_shown_as_the_model_sees_it(bench: EngineUnderTest) -> None:
    tokenized = bench.engine.tokenize(bench.request(text="a parcel with ünïcode €"))
    assert "Be kind." in tokenized.text
    assert "a parcel with ünïcode €" in tokenized.text


def test_a_stop_string_split_over_tokens_ends_the_text_before_it(bench: EngineUnderTest) -> None:
    pieces = [chunk.text for chunk in chunks(bench.run(bench.request()), 1) if chunk.text]
    text = "".join(pieces)
    stop = pieces[3][-1] + pieces[4][:1]
    events = bench.run(bench.request(2, stop=(stop,)))
    completion = fold(chunks(events, 2))
    assert completion.text == text[: text.index(stop)]
    assert completion.stop_reason == "stop"


def test_a_stop_string_that_never_comes_changes_nothing(bench: EngineUnderTest) -> None:
    text = bench.complete(bench.request(1)).text
    assert bench.complete(bench.request(2, stop=(text + "never",))).text == text


def test_requests_are_answered_side_by_side(bench: EngineUnderTest) -> None:
    for number in range(1, 6):
        bench.engine.submit(bench.request(number))
    together = set()
    while bench.engine.busy:
        writing = {event.request for event in bench.engine.step() if isinstance(event, Chunk)}
        together.add(len(writing))
    assert max(together) == 5


def test_more_requests_than_there_is_room_for_wait_their_turn(bench: EngineUnderTest) -> None:
    events = bench.run(*(bench.request(number) for number in range(1, 41)))
    found = [fold(chunks(events, number)) for number in range(1, 41)]
    alone = bench.complete(bench.request(99))
    assert {one.stop_reason for one in found} == {alone.stop_reason}
    # batches of another size round differently, which may turn the balance where two tokens are as likely
    assert {one.text[:4] for one in found} == {alone.text[:4]}


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(bench: EngineUnderTest) -> None:
    with pytest.raises(EngineError, match="holds 200"):
        bench.engine.submit(bench.request(text="word " * 400))


def test_a_bad_request_fails_alone(bench: EngineUnderTest) -> None:
    bench.engine.submit(bench.request(1))
    with pytest.raises(EngineError):
        bench.engine.submit(bench.request(2, max_tokens=0))
    events = bench.run()
    assert fold(chunks(events, 1)).text
    assert not [event for event in events if isinstance(event, Failure) or event.request == 2]


def test_every_setting_out_of_range_is_named_at_once(bench: EngineUnderTest) -> None:
    with pytest.raises(EngineError, match=r"(?s)temperature.*top_p.*max_tokens.*repetition_penalty"):
        bench.engine.submit(bench.request(temperature=-1.0, top_p=0.0, max_tokens=0, repetition_penalty=0.0))


def test_an_empty_request_is_refused(bench: EngineUnderTest) -> None:
    with pytest.raises(EngineError, match="empty"):
        bench.engine.submit(GenerateRequest(1, (), bench.talk, "completion"))


def test_the_context_ends_an_answer_that_fills_it(bench: EngineUnderTest) -> None:
    text = "Where is my parcel?"
    while bench.engine.count([bench.request(text=text)])[0] < 190:
        text += " a"
    completion = bench.complete(bench.request(text=text, max_tokens=1000))
    assert completion.stop_reason == "context"
    assert completion.prompt_tokens + completion.output_tokens == 200


def test_an_engine_can_be_closed_in_the_middle_of_its_work(bench: EngineUnderTest) -> None:
    bench.engine.submit(bench.request())
    bench.engine.step()
    bench.engine.close()
    assert not bench.engine.busy


def test_each_token_is_told_with_its_likeliest_alternatives_where_they_are_asked_for(bench):
    request = replace(bench.request(), top_logprobs=3)
    told = [token for chunk in chunks(bench.run(request), request.id) for token in chunk.tokens]
    completion = bench.complete(bench.request(2))
    assert len(told) == completion.output_tokens
    for token in told:
        logprobs = [guess.logprob for guess in token.top_logprobs]
        assert len(logprobs) == 3
        assert logprobs == sorted(logprobs, reverse=True)
        assert token.logprob <= 0
    assert not any(chunk.tokens for chunk in chunks(bench.run(bench.request(3)), 3))


def test_each_answer_gets_a_likelihood_in_its_place(bench: EngineUnderTest) -> None:
    answers = ("The parcel", "The parcel is lost for good, dear customer.", "", "ünïcode €")
    found = bench.loglikelihood(*answers)
    assert [one.bytes for one in found] == [len(answer.encode()) for answer in answers]
    assert [one.tokens > 0 for one in found] == [True, True, False, True]
    assert found[2] == Likelihood(0.0, 0, 0, True)
    assert all(one.logprob < 0 for one in found if one.tokens)
    assert found == bench.loglikelihood(*answers)


def test_an_answer_weighs_the_same_alone_and_among_others(bench: EngineUnderTest) -> None:
    answers = ("The parcel", "The parcels are late", "Sorry", "The parcel is lost for good, dear customer.")
    together = bench.loglikelihood(*answers)
    for answer, found in zip(answers, together, strict=True):
        (alone,) = bench.loglikelihood(answer)
        assert found.logprob == pytest.approx(alone.logprob, abs=2e-2, rel=3e-4)
        assert found.tokens == alone.tokens


def test_what_the_model_writes_weighs_as_much_as_its_tokens(bench: EngineUnderTest) -> None:
    request = replace(bench.request(max_tokens=5), top_logprobs=1)
    events = bench.run(request)
    written = [token for chunk in chunks(events, 1) for token in chunk.tokens]
    (found,) = bench.loglikelihood(fold(chunks(events, 1)).text)
    if found.tokens == len(written):  # written text may be read as other tokens
        assert found.logprob == pytest.approx(sum(token.logprob for token in written), abs=2e-2)
        assert found.greedy == all(token.text == token.top_logprobs[0].text for token in written)


def test_weighing_and_writing_go_on_side_by_side(bench: EngineUnderTest) -> None:
    alone = bench.complete(bench.request(1)).text
    weighed = bench.loglikelihood("The parcel", "Sorry, we do not know.")
    bench.engine.submit(bench.request(1))
    bench.engine.step()
    messages = bench.request().messages
    bench.engine.loglikelihood(LoglikelihoodRequest(2, messages, ("The parcel", "Sorry, we do not know.")))
    bench.engine.submit(bench.request(3))
    events = bench.drain()
    (found,) = (event for event in events if isinstance(event, LoglikelihoodResult))
    for one, other in zip(found.likelihoods, weighed, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=2e-2, rel=3e-4)
    assert fold([event for event in events if isinstance(event, Chunk) and event.request == 3]).text == alone


def test_a_weighing_can_be_cancelled(bench: EngineUnderTest) -> None:
    bench.engine.loglikelihood(LoglikelihoodRequest(1, bench.request().messages, ("The parcel",)))
    bench.engine.cancel(1)
    (end,) = bench.engine.step()
    assert isinstance(end, Chunk)
    assert end.stop_reason == "cancelled"
    assert not bench.engine.busy


def test_a_weighing_that_does_not_fit_is_refused_with_the_numbers(bench: EngineUnderTest) -> None:
    with pytest.raises(EngineError, match="holds 200"):
        bench.loglikelihood("yes", text="word " * 400)
    with pytest.raises(EngineError, match="holds 200"):
        bench.loglikelihood("yes", "word " * 400)
    with pytest.raises(EngineError, match="empty"):
        bench.engine.loglikelihood(LoglikelihoodRequest(1, (), ("yes",), "completion"))
    assert not bench.engine.busy


def test_an_answer_is_json_of_the_wanted_form_where_the_engine_can(bench: EngineUnderTest) -> None:
    schema = {"type": "object", "properties": {"sent": {"type": "boolean"}}, "required": ["sent"]}
    request = bench.request(json_schema=schema, max_tokens=100)
    if "json_schema" in bench.engine.info.unsupported_sampling:
        with pytest.raises(EngineError, match="json_schema is set, which this engine cannot honour"):
            bench.engine.submit(request)
        assert not bench.engine.busy
    else:
        completion = bench.complete(request)
        assert isinstance(json.loads(completion.text)["sent"], bool)
        assert completion.stop_reason == "eos"


def test_a_grammar_is_followed_or_refused_by_name(bench: EngineUnderTest) -> None:
    request = bench.request(grammar='root ::= "a" | "b"')
    if "grammar" in bench.engine.info.unsupported_sampling:
        with pytest.raises(EngineError, match="grammar is set"):
            bench.engine.submit(request)
    else:
        assert bench.complete(request).text in ("a", "b")


def test_a_reproducible_answer_is_the_same_whatever_runs_beside_it(bench: EngineUnderTest) -> None:
    request = replace(bench.request(1), deterministic=True)
    alone = bench.complete(request)
    events = bench.run(request, *(bench.request(number, "a " * number) for number in range(2, 7)))
    assert fold(chunks(events, 1)).text == alone.text
    assert not bench.complete(bench.request(9)).deterministic
    if bench.engine.info.engine == "llama.cpp":
        assert alone.deterministic


def test_a_step_that_is_called_off_harms_nothing(bench: EngineUnderTest) -> None:
    alone = bench.complete(bench.request(9)).text
    bench.engine.submit(bench.request(1))
    bench.engine.submit(bench.request(2))
    bench.engine.abort(1)
    events = list(bench.engine.step())
    bench.engine.cancel(1)
    events += bench.drain()
    assert fold(chunks(events, 1)).stop_reason == "cancelled"
    assert fold(chunks(events, 2)).text == alone


def test_a_new_engine_is_short() -> None:
    assert len(inspect.getsource(NewcomerEngine).splitlines()) < 80
