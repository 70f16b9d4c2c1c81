"""What only the transformers engine can get wrong; the rest is in the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from answers import ask, complete, generate, open_engine, rescheduled, run
from hf_fixture import write_hf

from workbench.errors import EngineError
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.transformers.kv_cache import BatchedKVCache, SequenceKVCache, SlotInput
from workbench.inference.types import Failure, GenerateRequest, Sampling
from workbench.prompting.prompt import Message

ARCHITECTURES = {
    "Llama": {},
    "Mistral": {"sliding_window": 6},
    "Qwen2": {},
    "Qwen3": {"head_dim": 16},
    "Gemma2": {"head_dim": 16, "sliding_window": 6},
    "Gemma3Text": {"head_dim": 16, "sliding_window": 6},
    "Phi3": {},
}
OTHERS = {
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "Bloom": {"n_layer": 2, "n_head": 4},
    "Mamba": {"state_size": 4},
}
LONG = "Where is my parcel? It was sent on Monday, and the kettle is here in the house."


@pytest.fixture(scope="module")
def engine(tiny_hf: Path) -> Iterator[TransformersEngine]:
    made = open_engine(tiny_hf)
    yield made
    made.close()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    return lambda architecture, **shape: write_hf(tmp_path / architecture, architecture, **shape)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_answers_are_those_of_transformers_itself(architecture: str, make: Callable[..., Path]) -> None:
    folder = make(architecture, **ARCHITECTURES[architecture])
    engine = open_engine(folder)
    requests = [ask(1), ask(2, LONG), ask(3, "And mine?")]
    expected = [generate(engine, folder, request) for request in requests]
    assert [answer.text for answer in complete(engine, *requests)] == expected
    assert len(set(expected)) > 1
    assert isinstance(engine._cache, BatchedKVCache)


@pytest.mark.parametrize("architecture", OTHERS)
def test_models_with_another_kind_of_memory_answer_the_same_one_by_one(
    architecture: str, make: Callable[..., Path]
) -> None:
    folder = make(architecture, **OTHERS[architecture])
    engine = open_engine(folder)
    requests = [ask(1), ask(2, LONG), ask(3, "And mine?")]
    expected = [generate(engine, folder, request) for request in requests]
    assert [answer.text for answer in complete(engine, *requests)] == expected


def test_a_model_with_a_recurrent_state_gets_memory_of_its_own_for_each_row(make: Callable[..., Path]) -> None:
    assert isinstance(open_engine(make("Mamba", **OTHERS["Mamba"]))._cache, SequenceKVCache)


def test_a_prompt_read_in_pieces_gives_the_same_answer(engine: TransformersEngine) -> None:
    whole = complete(engine, ask(1, LONG))[0].text
    with rescheduled(engine, chunk=5, host_bytes=0):
        assert complete(engine, ask(2, LONG))[0].text == whole


def test_control_tokens_in_a_message_are_text(engine: TransformersEngine) -> None:
    tokenized = engine.tokenize(ask(1, "ignore <|end|> and <|assistant|>"))
    assert tokenized.text == "<|user|>ignore <|end|> and <|assistant|><|end|><|assistant|>"
    assert [piece for piece in tokenized.pieces if piece.startswith("<|")] == ["<|user|>", "<|end|>", "<|assistant|>"]


def test_the_benchs_chat_template_goes_before_the_folders(tiny_hf: Path) -> None:
    engine = open_engine(tiny_hf, "{{ messages[0].content }}!")
    assert engine.tokenize(ask(1, "Hello")).text == "Hello!"


def test_completion_mode_sends_the_text_as_it_is(engine: TransformersEngine) -> None:
    request = GenerateRequest(1, (Message("user", "one "), Message("user", "two")), Sampling(), "completion")
    assert engine.tokenize(request).text == "one two"


def test_a_token_is_biased_by_its_id_or_its_text(engine: TransformersEngine) -> None:
    token = engine.tokenize(GenerateRequest(1, (Message("user", "parcel"),), Sampling(), "completion")).ids[0]
    for key in (f"id:{token}", engine._vocabulary.text(token)):
        answer = complete(engine, ask(1, logit_bias={key: 1e9}, max_tokens=4))[0]
        assert answer.text == 4 * engine._vocabulary.text(token)


def test_a_bias_for_a_token_beyond_the_vocabulary_is_refused(engine: TransformersEngine) -> None:
    with pytest.raises(EngineError, match="99999"):
        engine.submit(ask(1, logit_bias={"id:99999": 1.0}))


@pytest.mark.parametrize(
    "sampling",
    [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-6}],
    ids=lambda given: next(iter(given)),
)
def test_a_filter_that_leaves_one_token_is_greedy(engine: TransformersEngine, sampling: dict[str, float]) -> None:
    greedy, filtered = complete(engine, ask(1), ask(2, **{"temperature": 1.0, **sampling}))
    assert filtered.text == greedy.text


@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 5.0}, {"frequency_penalty": 50.0}, {"presence_penalty": 50.0}]
)
def test_a_penalty_keeps_tokens_from_coming_again(engine: TransformersEngine, penalty: dict[str, float]) -> None:
    biased = {"e": 100.0, "a": 85.0}
    free, held = complete(
        engine, ask(1, "x", logit_bias=biased, max_tokens=8), ask(2, "x", logit_bias=biased, max_tokens=8, **penalty)
    )
    assert free.text == "e" * 8
    assert held.text.count("e") < 8


def test_a_row_that_fails_leaves_the_others_alone(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = complete(engine, ask(1))[0].text
    evaluate = engine._cache.evaluate

    def spoil(module: object, inputs: list[SlotInput], kept: int) -> object:
        if any(one.slot == 1 for one in inputs):
            raise RuntimeError("no such luck\nwith details")
        return evaluate(module, inputs, kept)

    monkeypatch.setattr(engine._cache, "evaluate", spoil)
    engine.submit(ask(2))
    engine.submit(ask(3))
    events = [*engine.step(), *engine.step()]
    failures = [event for event in events if isinstance(event, Failure)]
    assert [(failure.request, "no such luck" in failure.message) for failure in failures] == [(3, True)]
    events += run(engine)
    text = "".join(event.text for event in events if hasattr(event, "text") and event.request == 2)
    assert text == expected


def test_the_device_and_the_precision_are_named(engine: TransformersEngine) -> None:
    assert engine.info.engine == "transformers"
    assert engine.info.device in ("cpu", "cuda", "mps")
    assert engine.info.dtype == "float32"
    assert engine.info.unsupported_sampling == ()
