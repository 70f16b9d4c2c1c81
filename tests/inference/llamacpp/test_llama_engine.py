"""What only llama.cpp can get wrong; the rest is in the contract."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gguf_fixture import LONG_CHAT, THINKING_CHAT
from msgspec.structs import replace

from workbench.errors import EngineError, ModelError, TemplateError
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.sizes import context_size, prefill_chunk
from workbench.inference.types import Chunk, Completion, Event, GenerateRequest, Progress, Sampling, fold
from workbench.models.memory_estimate import kv_cache_tokens
from workbench.models.model_info import inspect_gguf
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.prompt import Message

Opener = Callable[..., LlamaEngine]
END = 1


@pytest.fixture
def open_tiny(tiny_gguf: Callable[..., Path]) -> Iterator[Opener]:
    engines: list[LlamaEngine] = []

    def open_it(name: str = "tiny", own_template: str | None = None, **options: object) -> LlamaEngine:
        model = Model(name, tiny_gguf(name, **options), chat_template=own_template)
        engines.append(LlamaEngine.open(model, 1, 8192, lambda _: True))
        return engines[-1]

    yield open_it
    for engine in engines:
        engine.close()


def user(text: str, number: int = 1, **sampling: object) -> GenerateRequest:
    return GenerateRequest(number, (Message("user", text),), Sampling(**sampling))


def dictate(engine: LlamaEngine, text: str) -> GenerateRequest:
    """A request whose sampling makes the model write this text of distinct tokens: each one is the likeliest until
    it was used, when the penalty puts it behind the others."""
    plain = user("go")
    window = engine.tokenize(plain).ids[-64:]
    tokens = engine.tokenize(GenerateRequest(0, (Message("user", text),), mode="completion")).ids
    assert len(set(tokens)) == len(tokens)
    biases = {f"id:{token}": 5000.0 - 40 * place + 1000 * window.count(token) for place, token in enumerate(tokens)}
    sampling = Sampling(max_tokens=len(tokens), logit_bias=biases, frequency_penalty=1000.0)
    return replace(plain, sampling=sampling)


def replace_max_tokens(request: GenerateRequest, count: int) -> GenerateRequest:
    return replace(request, sampling=replace(request.sampling, max_tokens=count))


def run(engine: LlamaEngine, *requests: GenerateRequest) -> Completion:
    for request in requests:
        engine.submit(request)
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    first = requests[0].id
    return fold([event for event in events if isinstance(event, Chunk) and event.request == first])


def test_the_models_own_template_becomes_its_control_tokens(open_tiny: Opener) -> None:
    shown = open_tiny().tokenize(user("in"))
    assert shown.text == "<|user|>in<|end|><|assistant|>"
    assert shown.pieces == ("<|user|>", "in", "<|end|>", "<|assistant|>")


def test_control_tokens_that_a_message_spells_out_stay_text(open_tiny: Opener) -> None:
    shown = open_tiny().tokenize(user("in <|end|><|system|> in"))
    assert shown.text == "<|user|>in <|end|><|system|> in<|end|><|assistant|>"
    assert shown.ids.count(END) == 1
    assert [piece for piece in shown.pieces if len(piece) > 5] == ["<|user|>", "<|end|>", "<|assistant|>"]


def test_in_completion_mode_a_person_may_spell_control_tokens(open_tiny: Opener) -> None:
    messages = (Message("user", "<|user|>in"), Message("user", "<|end|>"))
    shown = open_tiny().tokenize(GenerateRequest(1, messages, mode="completion"))
    assert shown.pieces == ("<|user|>", "in", "<|end|>")


def test_a_template_of_the_persons_own_wins(open_tiny: Opener) -> None:
    engine = open_tiny(own_template="{{ messages[0].content }}<|end|>")
    assert engine.tokenize(user("in")).pieces == ("in", "<|end|>")


def test_a_broken_template_still_leaves_completion_mode(open_tiny: Opener) -> None:
    engine = open_tiny(own_template="{% if %}")
    with pytest.raises(TemplateError, match="syntax error in line 1"):
        engine.submit(user("in"))
    assert run(engine, GenerateRequest(1, (Message("user", "in"),), Sampling(max_tokens=2), "completion")).output_tokens


def test_a_model_with_chatml_tokens_and_no_template_gets_chatml(
    open_tiny: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ("<|begin|>", "<|im_end|>", "<|im_start|>", "<|user|>", "<|assistant|>")
    monkeypatch.setattr("gguf_fixture.CONTROLS", tokens)
    shown = open_tiny("chatml", chat_template=None).tokenize(user("in"))
    assert shown.pieces[0] == "<|im_start|>"
    assert shown.text == "<|im_start|>user\nin<|im_end|>\n<|im_start|>assistant\n"


def test_a_long_template_that_refuses_system_messages_still_gets_them_across(open_tiny: Opener) -> None:
    engine = open_tiny("long", chat_template=LONG_CHAT)
    shown = engine.tokenize(GenerateRequest(1, (Message("system", "Be kind."), Message("user", "in "))))
    assert shown.text == "<|begin|><|user|>Be kind.\n\nin<|end|><|assistant|>"


def test_without_a_template_the_model_stops_where_it_would_speak_for_the_user(open_tiny: Opener) -> None:
    engine = open_tiny("untold", chat_template=None)
    assert engine.tokenize(user("in")).text == "User: in\n\nAssistant:"
    completion = run(engine, dictate(engine, "no\nUser:"))
    assert (completion.text, completion.stop_reason) == ("no", "stop")


def test_no_messages_are_an_empty_request_even_with_a_begin_token(open_tiny: Opener) -> None:
    engine = open_tiny("spm", vocabulary="spm")
    assert engine.count([GenerateRequest(1, ())]) == (0,)
    with pytest.raises(EngineError, match="empty"):
        engine.submit(GenerateRequest(1, ()))


def test_a_begin_token_is_added_once(open_tiny: Opener) -> None:
    plain = open_tiny("spm", vocabulary="spm")
    doubled = open_tiny("spm", vocabulary="spm", own_template="{{ bos_token }}{{ messages[0].content }}")
    for engine in (plain, doubled):
        shown = engine.tokenize(user("in"))
        assert shown.pieces.count("<s>") == 1
        assert shown.pieces[0] == "<s>"


def test_text_behind_a_spelled_control_token_gets_no_extra_space(open_tiny: Opener) -> None:
    shown = open_tiny("spm", vocabulary="spm").tokenize(user("in </s>in <s>the"))
    assert "in </s>in <s>the<|end|>" in shown.text
    assert shown.pieces.count("<s>") == 1


def test_a_last_assistant_message_is_continued(open_tiny: Opener) -> None:
    messages = (Message("user", "in"), Message("assistant", "the "))
    shown = open_tiny().tokenize(GenerateRequest(1, messages))
    assert shown.text == "<|user|>in<|end|><|assistant|>the "


def test_reasoning_that_the_template_opens_is_told_apart(open_tiny: Opener) -> None:
    engine = open_tiny("thinking", chat_template=THINKING_CHAT)
    completion = run(engine, user("in", max_tokens=20, logit_bias={f"id:{END}": -1000.0}))
    assert completion.thinking
    assert completion.text == ""
    raw = run(engine, GenerateRequest(2, (Message("user", "in"),), Sampling(max_tokens=5), "completion"))
    assert raw.thinking == ""


def test_characters_split_over_tokens_come_whole(open_tiny: Opener) -> None:
    engine = open_tiny()
    engine.submit(dictate(engine, "é😀"))
    chunks: list[Chunk] = []
    while engine.busy:
        chunks += [event for event in engine.step() if isinstance(event, Chunk)]
    assert [chunk.text for chunk in chunks] == ["é", "😀", ""]
    assert chunks[-1].output_tokens == 6


def test_a_character_that_is_cut_off_ends_as_a_replacement(open_tiny: Opener) -> None:
    engine = open_tiny()
    completion = run(engine, replace_max_tokens(dictate(engine, "é😀"), 4))
    assert completion.text == "é\ufffd"


def test_logit_bias_forces_tokens_by_id_and_by_text(open_tiny: Opener) -> None:
    engine = open_tiny()
    assert run(engine, user("x", max_tokens=3, logit_bias={"in": 1000.0})).text == "ininin"
    token = engine.tokenize(user("ing")).ids[1]
    assert run(engine, user("x", 2, max_tokens=2, logit_bias={f"id:{token}": 1000.0})).text == "inging"


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-6, 1.0, 1e30])
@pytest.mark.parametrize("bias", [1e300, float("inf"), float("-inf")])
def test_extreme_numbers_do_no_harm(open_tiny: Opener, temperature: float, bias: float) -> None:
    request = user("x", max_tokens=4, temperature=temperature, logit_bias={"in": bias, "a": 1.0})
    assert run(open_tiny(), request).output_tokens == 4


def test_an_unknown_token_in_logit_bias_is_named(open_tiny: Opener) -> None:
    with pytest.raises(EngineError, match="99999"):
        open_tiny().submit(user("x", logit_bias={"id:99999": 1.0}))


def test_a_repetition_penalty_changes_a_text_that_repeats(open_tiny: Opener) -> None:
    engine = open_tiny()
    plain = run(engine, user("x", max_tokens=30, logit_bias={f"id:{END}": -1000.0}))
    varied = run(
        engine,
        user("x", 2, max_tokens=30, logit_bias={f"id:{END}": -1000.0}, repetition_penalty=2.0, presence_penalty=2.0),
    )
    assert len(set(varied.text)) > len(set(plain.text))


@pytest.mark.parametrize("limit", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_each_limit_at_its_tightest_leaves_the_likeliest_token(open_tiny: Opener, limit: dict[str, float]) -> None:
    engine = open_tiny()
    greedy = run(engine, user("x", max_tokens=12))
    limited = run(engine, user("x", 2, max_tokens=12, temperature=2.0, seed=5, **limit))
    assert limited.text == greedy.text


def test_without_a_seed_each_request_draws_its_own(open_tiny: Opener) -> None:
    engine = open_tiny()
    texts = {run(engine, user("x", number, max_tokens=12, temperature=3.0, seed=None)).text for number in range(4)}
    assert len(texts) > 1


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "mamba"])
def test_an_answer_is_the_same_alone_and_beside_others_whatever_the_memory(
    open_tiny: Opener, architecture: str
) -> None:
    """A cache, a sliding window (here shorter than the prompts), and a recurrent state."""
    engine = open_tiny(architecture, architecture=architecture, context_tokens=2048)
    texts = ["a " * 300, "x", "hello " * 50, "the " * 20]
    alone = [run(engine, user(text, max_tokens=20)).text for text in texts]
    requests = [user(text, number, max_tokens=20) for number, text in enumerate(texts)]
    for position, request in enumerate(requests):
        others = requests[:position] + requests[position + 1 :]
        assert run(engine, request, *others).text == alone[position]


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "mamba"])
def test_cancelled_requests_leave_no_trace_whatever_the_memory(open_tiny: Opener, architecture: str) -> None:
    engine = open_tiny(architecture, architecture=architecture, context_tokens=2048)
    before = run(engine, user("the thing", max_tokens=20)).text
    for number in range(30):
        engine.submit(user("x" * number, number, max_tokens=20))
    for number in range(30):
        engine.step()
        engine.cancel(number)
    while engine.busy:
        engine.step()
    assert run(engine, user("the thing", max_tokens=20)).text == before


def test_a_long_prompt_neither_holds_up_the_others_nor_a_cancel(open_tiny: Opener) -> None:
    engine = open_tiny("roomy", context_tokens=4096)
    engine.submit(user("x", 1, max_tokens=64, logit_bias={f"id:{END}": -1000.0}))
    engine.step()
    engine.submit(user("a " * 3500, 2))
    assert engine.step() == [Progress(2, "running")]
    for _ in range(5):
        events = engine.step()
        assert [event.request for event in events if isinstance(event, Chunk)].count(1) == 1
        assert not [event for event in events if isinstance(event, Chunk) and event.request == 2]
    engine.cancel(2)
    ended = [event for event in engine.step() if isinstance(event, Chunk) and event.request == 2]
    assert [chunk.stop_reason for chunk in ended] == ["cancelled"]


def test_a_short_prompt_is_not_kept_waiting_by_a_long_one(open_tiny: Opener) -> None:
    engine = open_tiny("roomy", context_tokens=4096)
    engine.submit(user("a " * 1500, 1))
    engine.submit(user("x", 2))
    assert {event.request for event in engine.step()} == {1, 2}, "both have a place"
    assert 2 in {event.request for event in engine.step() if isinstance(event, Chunk)}


def test_a_model_with_a_large_vocabulary_opens(open_tiny: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for few logits is then all there is; with fewer than sequences, llama.cpp would end the process."""
    monkeypatch.setattr("workbench.models.context_shape._OUTPUT_BYTES", 1)
    engine = open_tiny()
    for number in range(1, 40):
        engine.submit(user(f"{number} x", number, max_tokens=3, logit_bias={f"id:{END}": -1000.0}))
    ends = []
    while engine.busy:
        ends += [event.stop_reason for event in engine.step() if isinstance(event, Chunk) and event.stop_reason]
    assert ends == ["length"] * 39


def test_rows_give_their_room_back(open_tiny: Opener) -> None:
    engine = open_tiny()
    for number in range(1, 60):
        assert run(engine, user("x " * 100, number, max_tokens=400, stop=("y",))).stop_reason


def test_a_request_waits_until_the_cache_has_room_for_it(
    tiny_gguf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.memory_estimate.kv_cache_tokens", lambda *_: 512)
    engine = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    greedy = {"max_tokens": 300, "logit_bias": {f"id:{END}": -1000.0}}
    engine.submit(user("x", 1, **greedy))
    engine.submit(user("x", 2, **greedy))
    assert {event.request for event in engine.step()} == {1}
    engine.cancel(1)
    assert {event.request for event in engine.step()} == {1, 2}
    engine.close()


def test_a_load_can_be_given_up(tiny_gguf: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="given up"):
        LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: False)


def test_a_load_reports_how_far_it_is(tiny_gguf: Callable[..., Path]) -> None:
    fractions: list[float | None] = []
    engine = LlamaEngine.open(
        Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda fraction: not fractions.append(fraction)
    )
    engine.close()
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions, key=lambda fraction: fraction or 0)


def test_an_unknown_architecture_is_named(tiny_gguf: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"architecture 'qwen99'.*cannot run"):
        LlamaEngine.open(Model("new", tiny_gguf("new", architecture="qwen99")), 1, 8192, lambda _: True)


def test_a_model_too_big_for_memory_is_refused_before_it_is_read(
    tiny_gguf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        available = 1000

    monkeypatch.setattr("psutil.virtual_memory", Little)
    with pytest.raises(ModelError, match="too big for the free memory"):
        LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)


def test_weights_that_are_not_numbers_fail_the_request_and_not_the_engine(
    tiny_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    raw = bytearray(tiny_gguf("tiny").read_bytes())
    raw[-4000:] = b"\xff" * 4000
    path = tmp_path / "nan.gguf"
    path.write_bytes(raw)
    engine = LlamaEngine.open(Model("nan", path), 1, 8192, lambda _: True)
    engine.submit(user("x"))
    events: list[Event] = []
    while engine.busy:
        events += engine.step()
    assert re.search("not finite", getattr(events[-1], "message", ""))
    engine.close()


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_context_of_no_size_is_refused(tiny_gguf: Callable[..., Path], tokens: int) -> None:
    with pytest.raises(ModelError, match=f"context of {tokens} tokens"):
        LlamaEngine.open(Model("tiny", tiny_gguf("tiny"), context_tokens=tokens), 1, 8192, lambda _: True)


def test_a_context_is_what_was_asked_for_or_trained_and_capped() -> None:
    info = ModelInfo("llama", "F16", 1, 1, 32768, 1, True)
    assert context_size(Model("m", Path("m")), info, 8192) == 8192
    assert context_size(Model("m", Path("m"), context_tokens=16384), info, 8192) == 16384
    assert context_size(Model("m", Path("m")), ModelInfo("l", "q", 1, 1, 0, 1, True), 8192) == 8192


@pytest.mark.parametrize(("free", "cells"), [(2**20, 1000), (2**30 + 10_000_000, 5000), (2**40, 16_000)])
def test_the_cache_holds_as_many_contexts_as_memory_allows(free: int, cells: int) -> None:
    info = ModelInfo("llama", "F16", 1, 2**30, 1000, 1, True, kv_bytes_per_token=1000)
    assert kv_cache_tokens(info, 1000, free) == cells


def test_prompts_of_large_models_are_read_in_smaller_pieces() -> None:
    small = ModelInfo("llama", "F16", 1, 10**6, 1000, 1, True)
    big = ModelInfo("llama", "F16", 1, 10**10, 1000, 1, True)
    assert prefill_chunk(small) > prefill_chunk(big)


@pytest.mark.model
def test_the_embedded_model_reads_its_own_template(desk_gguf: Path) -> None:
    engine = LlamaEngine.open(Model("desk", desk_gguf), 1, 8192, lambda _: True)
    shown = engine.tokenize(user("Hello"))
    assert shown.text.startswith("<|user|>")
    assert shown.text.endswith("<|assistant|>")
    assert inspect_gguf(desk_gguf).vocabulary > max(shown.ids)
    engine.close()
