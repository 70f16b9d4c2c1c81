"""Pictures on transformers: answers equal its own `generate` with the folder's processor."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
import transformers  # noqa: TID253 - the yardstick
from answers import complete, open_engine, run
from hf_vision_fixture import IMAGE, PICTURE_TOKENS, write_gemma3, write_llava, write_qwen_vl
from picture_fixture import make_image, make_picture

from workbench.errors import EngineError, ModelError
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.transformers.pictures import ProcessorPictures
from workbench.inference.transformers.processor import load_processor
from workbench.inference.types import Chunk, GenerateRequest, LoglikelihoodRequest, LoglikelihoodResult, Sampling, fold
from workbench.models.reference import Adapter, Applied
from workbench.prompting.pictures import Picture
from workbench.prompting.prompt import Message

GREEDY = Sampling(max_tokens=10, temperature=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("llava") / "tiny")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    made = open_engine(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Oracle:
    return Oracle(folder)


class Oracle:
    """transformers' own model and processor."""

    def __init__(self, folder: Path) -> None:
        self.model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.processor = load_processor(folder)

    def answer(self, text: str, *seeds: int, tokens: int = 10) -> str:
        """The greedy answer to a user's message in which each `*` is a picture."""
        inputs = self.read(text, *seeds)
        made = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        new = made[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(new, skip_special_tokens=True))

    def read(self, text: str, *seeds: int) -> transformers.BatchFeature:
        parts: list[dict[str, str]] = []
        for number, piece in enumerate(text.split("*")):
            parts += [{"type": "image"}] * bool(number) + [{"type": "text", "text": piece}] * bool(piece)
        prompt = self.processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
        )
        images = [make_image(seed) for seed in seeds] or None
        return self.processor(text=[prompt], images=images, return_tensors="pt", add_special_tokens=False)


def look(number: int, text: str, *seeds: int) -> GenerateRequest:
    pieces = text.split("*")
    at, pictures = 0, []
    for piece, seed in zip(pieces, seeds, strict=False):
        at += len(piece)
        pictures.append(make_picture(seed, at))
    return GenerateRequest(number, (Message("user", "".join(pieces), pictures=tuple(pictures)),), GREEDY)


QUESTIONS = [("What * is in", (1,)), ("*the parcel", (2,)), ("in * and * here", (1, 2)), ("Where is it?", ())]


@pytest.mark.parametrize("together", [False, True])
def test_answers_are_those_of_transformers_itself(engine: TransformersEngine, oracle: Oracle, together: bool) -> None:
    requests = [look(number, text, *seeds) for number, (text, seeds) in enumerate(QUESTIONS, 1)]
    done = complete(engine, *requests) if together else [complete(engine, one)[0] for one in requests]
    for completion, (text, seeds) in zip(done, QUESTIONS, strict=True):
        assert completion.text == oracle.answer(text, *seeds)
        assert completion.prompt_tokens == oracle.read(text, *seeds)["input_ids"].shape[1]
        assert not completion.notes


def test_a_picture_is_read_once_for_prompts_that_begin_alike(engine: TransformersEngine, oracle: Oracle) -> None:
    complete(engine, look(1, "an * here", 3))
    (again,) = complete(engine, look(2, "an * house", 3))
    assert again.cached_tokens >= PICTURE_TOKENS
    assert again.text == oracle.answer("an * house", 3)
    (other,) = complete(engine, look(3, "an * house", 4))
    assert other.cached_tokens < PICTURE_TOKENS
    assert other.text == oracle.answer("an * house", 4)


def test_a_placeholder_that_a_person_writes_is_text(engine: TransformersEngine) -> None:
    shown = engine.tokenize(look(1, f"an * {IMAGE}", 1))
    assert sum(token < 0 for token in shown.ids) == PICTURE_TOKENS
    assert f"an  {IMAGE}" in shown.text
    assert len(shown.pictures) == 1


def test_likelihoods_are_those_behind_the_picture(engine: TransformersEngine, oracle: Oracle) -> None:
    asked = look(1, "an * here", 1)
    engine.loglikelihood(LoglikelihoodRequest(1, asked.messages, ("in", "the")))
    (result,) = [event for event in run(engine) if isinstance(event, LoglikelihoodResult)]
    with torch.inference_mode():
        logits = oracle.model(**oracle.read("an * here", 1)).logits[0, -1].log_softmax(-1)
    token = oracle.processor.tokenizer.encode("in", add_special_tokens=False)
    assert len(token) == 1
    assert result.likelihoods[0].logprob == pytest.approx(float(logits[token[0]]), abs=1e-3)


def test_a_cancel_leaves_the_others_as_they_are(engine: TransformersEngine, oracle: Oracle) -> None:
    engine.submit(look(1, "an * here", 1))
    engine.submit(look(2, "the * in", 2))
    events = list(engine.step())
    engine.cancel(1)
    events += run(engine)
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert fold([chunk for chunk in chunks if chunk.request == 2]).text == oracle.answer("the * in", 2)
    assert [chunk.stop_reason for chunk in chunks if chunk.request == 1][-1] in ("cancelled", "length", "eos")


def write_lora(folder: Path, target: Path, pattern: str) -> Applied:
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=pattern, init_lora_weights=False))
        made.save_pretrained(target)
    return Applied(Adapter(target.name, target))


def test_an_adapter_of_the_text_model_acts_behind_the_picture(
    engine: TransformersEngine, folder: Path, oracle: Oracle, tmp_path: Path
) -> None:
    applied = write_lora(folder, tmp_path / "text", r".*language_model.*(q_proj|v_proj)")
    asked = look(1, "an * here", 1)
    plain, adapted = complete(engine, asked, GenerateRequest(2, asked.messages, GREEDY, adapters=(applied,)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        laid = peft.PeftModel.from_pretrained(
            transformers.AutoModelForImageTextToText.from_pretrained(folder), tmp_path / "text"
        ).eval()
    inputs = oracle.read("an * here", 1)
    made = laid.generate(**inputs, max_new_tokens=10, do_sample=False)
    new = made[0, inputs["input_ids"].shape[1] :]
    assert adapted.text == oracle.processor.tokenizer.decode(new, skip_special_tokens=True)
    assert plain.text == oracle.answer("an * here", 1) != adapted.text


def test_an_adapter_that_changes_how_it_sees_is_refused_by_name(
    engine: TransformersEngine, folder: Path, tmp_path: Path
) -> None:
    applied = write_lora(folder, tmp_path / "eyes", r".*(q_proj|v_proj)")
    asked = GenerateRequest(1, look(1, "an * here", 1).messages, GREEDY, adapters=(applied,))
    with pytest.raises(ModelError, match="eyes changes how the model sees"):
        engine.submit(asked)


def test_a_damaged_picture_is_refused_by_name(engine: TransformersEngine) -> None:
    message = Message("user", "an ", pictures=(Picture("image/png", b"\x89PNG\r\n\x1a\n", 3, "cat.png"),))
    with pytest.raises(EngineError, match=r"The picture cat\.png is damaged"):
        engine.submit(GenerateRequest(1, (message,), GREEDY))


FAMILIES = {
    "gemma3": write_gemma3,  # sees a picture in both directions
    "qwen2_vl": write_qwen_vl,  # counts its positions in two dimensions
    "qwen2_5_vl": lambda folder: write_qwen_vl(folder, "Qwen2_5_VL"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_with_attention_or_positions_of_their_own_answer_as_by_themselves(tmp_path: Path, family: str) -> None:
    folder = FAMILIES[family](tmp_path / "tiny")
    engine, oracle = open_engine(folder), Oracle(folder)
    try:
        requests = [look(number, text, *seeds) for number, (text, seeds) in enumerate(QUESTIONS, 1)]
        for completion, (text, seeds) in zip(complete(engine, *requests), QUESTIONS, strict=True):
            assert completion.text == oracle.answer(text, *seeds)
        (longer,) = complete(engine, look(8, "in * and * house", 1, 2))  # goes on from what others have seen
        assert longer.cached_tokens > 0
        assert longer.text == oracle.answer("in * and * house", 1, 2)
    finally:
        engine.close()


def test_a_model_that_reads_pictures_in_a_way_of_its_own_is_refused_by_its_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessorPictures, "_evaluate", lambda self, parts: torch.zeros(1))
    engine = open_engine(folder)
    try:
        with pytest.raises(ModelError, match="models of the type llava read them in a way of their own") as caught:
            engine.submit(look(1, "an * here", 1))
        assert "GGUF form with a projector" in caught.value.hint
        (done,) = complete(engine, look(2, "an here"))
        assert done.stop_reason
    finally:
        engine.close()


def test_a_cancel_leaves_the_encoder_between_two_layers(
    engine: TransformersEngine, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine._pictures is not None
    preemption = engine._pictures._cache.preemption
    check, looks = preemption.check, 0

    def abort_at_the_second_layer() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            engine.abort(1)
        check()

    engine.submit(look(1, "an * here", 77))
    monkeypatch.setattr(preemption, "check", abort_at_the_second_layer)
    events = [event for _ in range(4) for event in engine.step()]
    assert looks == 2
    monkeypatch.undo()
    engine.cancel(1)
    events += run(engine)
    assert fold([event for event in events if isinstance(event, Chunk)]).stop_reason == "cancelled"
    (done,) = complete(engine, look(2, "an * here", 77))
    assert done.text == oracle.answer("an * here", 77)
