"""Pictures on llama.cpp: answers equal llama.cpp's own multimodal evaluation, alone and beside other requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from mmproj_fixture import PICTURE_TOKENS, write_mmproj
from msgspec.structs import replace
from mtmd_oracle import MARKER, MtmdOracle
from picture_fixture import make_image, make_picture

from workbench.errors import EngineError, TemplateError, WorkbenchError
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import (
    Chunk,
    Completion,
    Event,
    Failure,
    GenerateRequest,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Outcome,
    Sampling,
    fold,
    is_last,
)
from workbench.inference.worker.request_fit import fit_request
from workbench.models.reference import Model
from workbench.prompting.pictures import Picture
from workbench.prompting.prompt import Example, Message, PictureExample, Prompt
from workbench.prompting.prompt_parts import render_prompt

GREEDY = Sampling(max_tokens=10, temperature=0)
FRAME = "<|user|>{}<|end|><|assistant|>"


@pytest.fixture(scope="module")
def base(tiny_gguf: Callable[..., Path]) -> Path:
    """A model that sees: its projector is beside it."""
    path = tiny_gguf("seeing")
    write_mmproj(path.with_name("mmproj-seeing.gguf"))
    return path


@pytest.fixture(scope="module")
def oracle(base: Path) -> Iterator[MtmdOracle]:
    made = MtmdOracle(base, base.with_name("mmproj-seeing.gguf"))
    yield made
    made.close()


@pytest.fixture
def engine(base: Path) -> Iterator[LlamaEngine]:
    opened = LlamaEngine.open(Model("seeing", base), 1, 8192, lambda _: True)
    yield opened
    opened.close()


def look(number: int, text: str, *seeds: int, **changes: object) -> GenerateRequest:
    """A question in which each `*` is a picture, of these seeds."""
    pieces = text.split("*")
    at, pictures = 0, []
    for piece, seed in zip(pieces, seeds, strict=False):
        at += len(piece)
        pictures.append(make_picture(seed, at))
    message = Message("user", "".join(pieces), pictures=tuple(pictures))
    return replace(GenerateRequest(number, (message,), GREEDY), **changes)


def expect(oracle: MtmdOracle, text: str, *seeds: int, tokens: int = 10) -> str:
    prompt = FRAME.format(text.replace("*", MARKER))
    return oracle.spell(oracle.answer(prompt, [make_image(seed) for seed in seeds], tokens))


def run(engine: LlamaEngine, *requests: GenerateRequest) -> dict[int, Completion]:
    for request in requests:
        engine.submit(request)
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    assert not [event for event in events if isinstance(event, Failure)]
    return {one.id: fold(chunks_of(one.id, events)) for one in requests}


def chunks_of(number: int, events: Sequence[Outcome]) -> list[Chunk]:
    return [event for event in events if isinstance(event, Chunk) and event.request == number]


QUESTIONS = [("What * is in", (1,)), ("*the", (2,)), ("an * and * er", (1, 2)), ("* the * the", (3, 3)), ("the", ())]


@pytest.mark.parametrize("together", [False, True])
def test_answers_equal_llama_cpps_own_evaluation(engine: LlamaEngine, oracle: MtmdOracle, together: bool) -> None:
    requests = [look(number, text, *seeds) for number, (text, seeds) in enumerate(QUESTIONS, 1)]
    groups = [requests] if together else [[request] for request in requests]
    done = {number: one for group in groups for number, one in run(engine, *group).items()}
    for number, (text, seeds) in enumerate(QUESTIONS, 1):
        assert done[number].text == expect(oracle, text, *seeds)
        _, count = oracle.prefill(FRAME.format(text.replace("*", MARKER)), [make_image(seed) for seed in seeds])
        assert done[number].prompt_tokens == count


def test_pictures_in_examples_and_earlier_turns_stand_where_they_were(engine: LlamaEngine, oracle: MtmdOracle) -> None:
    turns = (
        Message("user", "in ", pictures=(make_picture(1, 3),)),
        Message("assistant", "the"),
        Message("user", "er", pictures=(make_picture(2, 0),)),
    )
    text = f"<|user|>in {MARKER}<|end|><|assistant|>the<|end|><|user|>{MARKER}er<|end|><|assistant|>"
    (done,) = run(engine, GenerateRequest(1, turns, GREEDY)).values()
    assert done.text == oracle.spell(oracle.answer(text, [make_image(1), make_image(2)], 10))


def test_a_picture_is_read_once_for_prompts_that_begin_alike(engine: LlamaEngine, oracle: MtmdOracle) -> None:
    run(engine, look(1, "an * he", 1))
    (again,) = run(engine, look(2, "an * er", 1)).values()
    assert again.cached_tokens >= PICTURE_TOKENS
    assert again.text == expect(oracle, "an * er", 1)
    (other,) = run(engine, look(3, "an * er", 2)).values()
    assert other.cached_tokens < PICTURE_TOKENS
    assert other.text == expect(oracle, "an * er", 2)


def test_deterministic_answers_are_the_same_each_time(engine: LlamaEngine, oracle: MtmdOracle) -> None:
    requests = [look(number, "an * er", 1, deterministic=True) for number in (1, 2)]
    done = run(engine, *requests, look(3, "the * the", 2))
    assert done[1].text == done[2].text == expect(oracle, "an * er", 1)
    assert done[1].deterministic


def test_likelihoods_are_those_behind_the_picture(engine: LlamaEngine, oracle: MtmdOracle) -> None:
    message = look(1, "an * er", 1).messages
    engine.loglikelihood(LoglikelihoodRequest(1, message, ("in", "the", " the")))
    found: list[Outcome] = []
    while engine.busy:
        found += engine.step()
    (result,) = [event for event in found if isinstance(event, LoglikelihoodResult)]
    logits, _ = oracle.prefill(FRAME.format(f"an {MARKER} er"), [make_image(1)])
    logits = logits.astype(np.float64)
    token = engine.tokenize(GenerateRequest(0, (Message("user", "in"),), mode="completion")).ids[0]
    wanted = logits[token] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    assert result.likelihoods[0].logprob == pytest.approx(wanted, abs=1e-2)  # keys and values are in half precision


def test_the_prompt_view_tells_a_pictures_tokens_and_pixels(engine: LlamaEngine) -> None:
    shown = engine.tokenize(look(1, "an * er", 1))
    assert shown.text == "<|user|>an  er<|end|><|assistant|>"
    (picture,) = shown.pictures
    assert (picture.name, picture.width, picture.height, picture.tokens) == ("noise.png", 40, 30, PICTURE_TOKENS)
    own = shown.ids[picture.start : picture.start + picture.tokens]
    assert all(token < 0 for token in own)
    assert len(set(own)) == PICTURE_TOKENS
    assert len(shown.ids) == len(shown.pieces) == len(shown.offsets)
    assert engine.count((look(1, "an * er", 1),)) == (len(shown.ids),)


def test_a_cancel_between_two_steps_leaves_the_others_as_they_are(engine: LlamaEngine, oracle: MtmdOracle) -> None:
    engine.submit(look(1, "an * er", 1, sampling=Sampling(max_tokens=100, temperature=0)))
    engine.submit(look(2, "the * in", 2))
    events: list[Outcome] = list(engine.step())
    engine.cancel(1)
    while engine.busy:
        events += engine.step()
    ends = [event for event in events if is_last_event(event) and event.request == 1]
    assert len(ends) == 1
    assert fold(chunks_of(2, events)).text == expect(oracle, "the * in", 2)


def test_a_pictures_tokens_count_where_it_stands(engine: LlamaEngine) -> None:
    prompt = Prompt(
        "look",
        "user:\nin {{ photo }} is\n",
        kinds={"photo": "image"},
        placement="turns",
        examples=(Example("e1", {"photo": "a.png"}, "the"), Example("e2", {"photo": "b.png"}, "he")),
    )
    shots = tuple(
        PictureExample(one.id, one.variables, one.answer, (), {"photo": make_picture(number, name=f"{number}.png")})
        for number, one in enumerate(prompt.examples)
    )
    values = {"photo": make_picture(7, name="7.png")}
    rendered = render_prompt(prompt, values, shots, "drop")
    request = GenerateRequest(1, (), GREEDY, prompt=rendered)
    budget = fit_request(engine, request).budget
    assert [one.text for one in budget.pictures] == [
        f"{number}.png, 40 × 30 pixels, {PICTURE_TOKENS} tokens" for number in (0, 1, 7)
    ]
    assert budget.input == PICTURE_TOKENS
    assert all(count >= PICTURE_TOKENS for count in budget.per_example.values())
    whole = budget.used
    tight = replace(request, sampling=replace(GREEDY, max_tokens=engine.info.context_tokens - (whole - 10) + 1))
    fewer = fit_request(engine, tight)
    assert fewer.budget.dropped == ("e2",)
    assert [one.name for one in fewer.budget.pictures] == ["0.png", "7.png"]
    assert sum(len(message.pictures) for message in fewer.request.messages) == 2


def is_last_event(event: Outcome) -> bool:
    return not isinstance(event, LoglikelihoodResult) and is_last(event)


def test_an_abort_between_encoding_and_decoding_ends_that_request_alone(
    engine: LlamaEngine, oracle: MtmdOracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = engine._projector._embed

    def abort_meanwhile(handle: object, check: object) -> object:
        engine.abort(1)
        return embed(handle, check)

    monkeypatch.setattr(engine._projector, "_embed", abort_meanwhile)
    engine.submit(look(1, "an * er", 1))
    events: list[Event] = list(engine.step())
    monkeypatch.undo()
    assert not chunks_of(1, events)
    engine.cancel(1)
    engine.submit(look(2, "an * er", 1))
    while engine.busy:
        events += engine.step()
    assert fold(chunks_of(1, events)).stop_reason == "cancelled"
    assert fold(chunks_of(2, events)).text == expect(oracle, "an * er", 1)


def test_an_abort_while_a_picture_is_encoded_leaves_the_encoder_in_the_middle(
    engine: LlamaEngine, oracle: MtmdOracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, looks = engine._projector._watch, 0
    begin = watch.begin

    def begin_and_abort(check: Callable[[], None]) -> object:
        def abort_at_the_second_look() -> None:
            nonlocal looks
            looks += 1
            if looks == 2:
                engine.abort(1)
            check()

        return begin(abort_at_the_second_look)

    monkeypatch.setattr(watch, "begin", begin_and_abort)
    engine.submit(look(1, "an * er", 1))
    events: list[Event] = [event for _ in range(4) for event in engine.step()]
    assert looks == 2
    monkeypatch.undo()
    left_at = engine._projector._watch.nodes
    engine.cancel(1)
    engine.submit(look(2, "an * er", 1))
    while engine.busy:
        events += engine.step()
    assert fold(chunks_of(1, events)).stop_reason == "cancelled"
    assert fold(chunks_of(2, events)).text == expect(oracle, "an * er", 1)  # nothing of the half one is kept
    assert 0 < left_at < engine._projector._watch.nodes


def test_penalties_and_long_answers_go_on_behind_a_picture(engine: LlamaEngine) -> None:
    sampling = Sampling(max_tokens=30, temperature=0, frequency_penalty=1.0, dry_multiplier=0.5)
    (done,) = run(engine, look(1, "an * er", 1, sampling=sampling)).values()
    assert done.output_tokens <= 30


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"\x89PNG\r\n\x1a\n" + b"\0" * 16, "is damaged"), (b"\xff\xd8\xff\xe0", "is damaged"), (b"", "is damaged")],
)
def test_a_picture_that_cannot_be_decoded_is_refused_by_name(engine: LlamaEngine, data: bytes, problem: str) -> None:
    message = Message("user", "an ", pictures=(Picture("image/png", data, 3, "[b]cat.png"),))
    with pytest.raises(EngineError, match=problem) as caught:
        engine.submit(GenerateRequest(1, (message,), GREEDY))
    assert "[b]cat.png" in caught.value.message


def test_a_template_that_drops_a_picture_is_refused(base: Path) -> None:
    model = Model("seeing", base, chat_template="{{ messages[0].content[:2] }}<|assistant|>")
    engine = LlamaEngine.open(model, 1, 8192, lambda _: True)
    try:
        with pytest.raises(TemplateError, match="leaves out picture 1"):
            engine.submit(look(1, "an * er", 1))
    finally:
        engine.close()


def test_a_model_without_a_projector_says_so(tiny_gguf: Callable[..., Path]) -> None:
    engine = LlamaEngine.open(Model("blind", tiny_gguf("blind")), 1, 8192, lambda _: True)
    try:
        with pytest.raises(WorkbenchError, match=r"blind cannot be shown pictures: no projector \(mmproj\)"):
            engine.submit(look(1, "an * er", 1))
        (done,) = run(engine, look(2, "the")).values()
        assert done.stop_reason
    finally:
        engine.close()


@pytest.fixture(scope="module")
def flat(tiny_gguf: Callable[..., Path]) -> Path:
    """A model in Qwen2-VL's shape, for which a picture has fewer positions than tokens."""
    path = tiny_gguf("flat", architecture="qwen2vl")
    write_mmproj(path.with_name("mmproj-flat.gguf"), kind="qwen2vl_merger")
    return path


def test_positions_in_two_dimensions_are_llama_cpps_own(flat: Path) -> None:
    oracle = MtmdOracle(flat, flat.with_name("mmproj-flat.gguf"))
    engine = LlamaEngine.open(Model("flat", flat), 1, 8192, lambda _: True)
    try:
        requests = [look(number, text, *seeds) for number, (text, seeds) in enumerate(QUESTIONS, 1)]
        spans = engine._prompts.spans(requests[0])
        assert spans[0].chunk.positions < len(spans[0].chunk.ids)
        done = run(engine, *requests)
        for number, (text, seeds) in enumerate(QUESTIONS, 1):
            assert done[number].text == expect(oracle, text, *seeds)
        again = run(engine, look(11, "an * and * he", 1, 2), look(12, "an * and * he", 1, 3))
        assert again[11].cached_tokens > sum(len(span.chunk.ids) for span in spans)
        assert again[11].text == expect(oracle, "an * and * he", 1, 2)
        assert again[12].text == expect(oracle, "an * and * he", 1, 3)
        engine.loglikelihood(LoglikelihoodRequest(20, look(20, "an * and * he", 1, 2).messages, ("the", "in", "er an")))
        found: list[Outcome] = []
        while engine.busy:
            found += engine.step()
        (result,) = [event for event in found if isinstance(event, LoglikelihoodResult)]
        logits, _ = oracle.prefill(FRAME.format(f"an {MARKER} and {MARKER} he"), [make_image(1), make_image(2)])
        logits = logits.astype(np.float64)
        token = engine.tokenize(GenerateRequest(0, (Message("user", "in"),), mode="completion")).ids[0]
        wanted = logits[token] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        assert result.likelihoods[1].logprob == pytest.approx(wanted, abs=1e-2)  # keys and values are in half precision
    finally:
        engine.close()
        oracle.close()


def test_a_qwen_projector_on_another_family_is_refused_by_name(tmp_path: Path, tiny_gguf: Callable[..., Path]) -> None:
    projector = write_mmproj(tmp_path / "mmproj.gguf", kind="qwen2vl_merger")
    engine = LlamaEngine.open(Model("seeing", tiny_gguf(), mmproj=projector), 1, 8192, lambda _: True)
    try:
        with pytest.raises(WorkbenchError, match="is of the type qwen2vl_merger, and the model is llama"):
            engine.submit(look(1, "an * er", 1))
    finally:
        engine.close()
