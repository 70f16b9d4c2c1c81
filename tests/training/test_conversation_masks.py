"""What of a conversation is learned: the masks of TRL, and each turn as inference would have asked for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trl  # noqa: TID253
from hf_fixture import write_tokenizer

from workbench.errors import TemplateError
from workbench.inference.answer_encoder import AnswerEncoder
from workbench.inference.transformers.vocabulary import TransformersVocabulary
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool, ToolCall
from workbench.training.child.encoder import UNLEARNED, EncodedTurns, Encoder
from workbench.training.training_row import TrainingRow

CHATML = ("<|im_start|>", "<|im_end|>")
PHI = ("<|user|>", "<|assistant|>", "<|system|>")
DEEPSEEK = ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>")
ONE_SEQUENCE = {
    "qwen2_5": CHATML,
    "qwen3": CHATML,
    "qwen3_instruct_2507": CHATML,
    "qwen3_5_think": CHATML,
    "lfm2": CHATML,
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "gemma3": ("<start_of_turn>", "<end_of_turn>"),
    "phi3": PHI,
    "phi3_5": PHI,
    "cohere": ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|USER_TOKEN|>"),
    "glm4moe": (*PHI, "[gMASK]", "<sop>"),
}
"""Templates of TRL that mark what is learned, and their control tokens."""

DIVIDED = {
    "deepseekv3": DEEPSEEK,
    "deepseek_r1_distill": DEEPSEEK,
    "gptoss": ("<|start|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>"),
}
"""Those that write an earlier answer otherwise than it was asked for: without its reasoning, or with another end."""

TALK = (
    Message("user", "Where is my parcel?"),
    Message("assistant", "in the house"),
    Message("user", "And mine?"),
    Message("assistant", "the kettle"),
    Message("user", "Be kind."),
    Message("assistant", "here"),
)


def read_template(name: str) -> str:
    return (Path(trl.__file__).parent / "chat_templates" / f"{name}_training.jinja").read_text("utf-8")


def make(folder: Path, template: str, controls: tuple[str, ...]) -> tuple[Any, Encoder]:
    tokenizer = write_tokenizer(folder, template, controls)
    vocabulary = TransformersVocabulary(tokenizer, len(tokenizer), (tokenizer.eos_token_id,))
    return tokenizer, Encoder(AnswerEncoder(vocabulary, template, completes_template=False))


def row_of(messages: Sequence[Message], tools: tuple[Tool, ...] = ()) -> TrainingRow:
    learned = tuple(at for at, message in enumerate(messages[:-1]) if message.role == "assistant")
    last = messages[-1]
    return TrainingRow(1, tuple(messages[:-1]), last.content, "chat", {}, learned, last.calls, tools)


def as_dicts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.calls:
            turn["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": call.values}}
                for call in message.calls
            ]
        made.append(turn)
    return made


def trl_labels(tokenizer: Any, messages: Sequence[Message], tools: Any = None) -> tuple[list[int], list[int]]:
    """TRL's tokens and labels, without what the generation prompt already says: TRL learns some of that too."""
    turns = as_dicts(messages)
    found = tokenizer.apply_chat_template(
        turns, tools=tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = found["input_ids"], list(found["assistant_masks"])
    for at, turn in enumerate(turns):
        if turn["role"] == "assistant":
            asked = tokenizer.apply_chat_template(turns[:at], tools=tools, add_generation_prompt=True)["input_ids"]
            before = tokenizer.apply_chat_template(turns[:at], tools=tools)["input_ids"]
            shared = next((k for k, (a, b) in enumerate(zip(asked, before, strict=False)) if a != b), len(before))
            mask[shared : len(asked)] = [0] * (len(asked) - shared)
    return ids, [token if learned else UNLEARNED for token, learned in zip(ids, mask, strict=True)]


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("name", ONE_SEQUENCE)
def test_the_learned_tokens_are_those_of_trl(name: str, system: bool, tmp_path: Path) -> None:
    if system and name == "gemma":
        pytest.skip("its template refuses a system message, which TRL does not move")
    tokenizer, encoder = make(tmp_path, read_template(name), ONE_SEQUENCE[name])
    messages = (*((Message("system", "Be kind."),) if system else ()), *TALK)
    (made,) = encoder.encode_turns(row_of(messages))
    ids, labels = trl_labels(tokenizer, messages)
    assert list(made.encoded.ids) == ids
    assert made.encoded.labels() == labels


def check_turns(tokenizer: Any, made: Sequence[EncodedTurns], messages: Sequence[Message]) -> None:
    """Every answer is learned once, behind the tokens that inference reads, with a token that ends it."""
    learned: list[int] = []
    for row, one in made:
        labels = one.labels()
        turns = [*one.earlier, (one.prompt, len(one.ids), len(row.messages))]
        for start, stop, at in turns:
            asked = tokenizer.apply_chat_template(as_dicts(messages[:at]), add_generation_prompt=True)["input_ids"]
            assert list(one.ids[:start]) == asked
            text = tokenizer.decode(one.ids[start:stop])
            assert messages[at].content in text
            assert text != messages[at].content, "no end is learned"
            learned.append(at)
        inside = {at for start, stop, _ in turns for at in range(start, stop)}
        assert [label >= 0 for label in labels] == [at in inside for at in range(len(labels))]
    assert sorted(learned) == [at for at, message in enumerate(messages) if message.role == "assistant"]


@pytest.mark.parametrize("name", [*DIVIDED, "llama3"])
def test_a_turn_that_is_written_otherwise_later_has_a_sequence_of_its_own(name: str, tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, read_template(name), {**DIVIDED, **ONE_SEQUENCE}[name])
    made = encoder.encode_turns(row_of(TALK))
    assert len(made) == (3 if name in DIVIDED else 1)
    assert made[0].row.answer == "here"
    check_turns(tokenizer, made, TALK)


def find_real() -> list[Path]:
    folder = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
    places = (folder / "vendor/llama.cpp/models/templates", folder)
    return next((found for place in places if (found := sorted(place.glob("*.jinja")))), [])


@pytest.mark.skipif(not find_real(), reason="LLAMA_CPP_SDIST names no unpacked source distribution")
@pytest.mark.parametrize("path", find_real(), ids=lambda path: path.stem)
def test_every_turn_over_a_real_template_is_learned_as_it_is_asked(path: Path, tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, path.read_text("utf-8"), (*CHATML, *DEEPSEEK, *DIVIDED["gptoss"]))
    try:
        tokenizer.apply_chat_template(as_dicts(TALK), tokenize=False)
        tokenizer.apply_chat_template(as_dicts(TALK[:1]), tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001  whatever a template does without tools
        pytest.skip("the template takes no plain conversation in transformers")
    try:
        made = encoder.encode_turns(row_of(TALK))
    except TemplateError:
        pytest.skip("the template is refused, which a dry run tells")
    check_turns(tokenizer, made, TALK)


WEATHER = Tool("weather", "of a city", {"properties": {"city": {"type": "string"}}})
CALLED = (
    Message("user", "Is it cold in Oslo?"),
    Message("assistant", "", (ToolCall("weather", '{"city": "Oslo"}'),)),
    Message("tool", "-3", name="weather"),
    Message("assistant", "Yes."),
)


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "qwen3_instruct_2507"])
def test_tool_calls_are_learned_as_trl_learns_them(name: str, tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, read_template(name), CHATML)
    (made,) = encoder.encode_turns(row_of(CALLED, (WEATHER,)))
    ids, labels = trl_labels(tokenizer, CALLED, [WEATHER.declaration])
    assert list(made.encoded.ids) == ids
    assert made.encoded.labels() == labels
    assert '"Oslo"' in tokenizer.decode([label for label in labels if label >= 0])


def test_control_tokens_in_a_call_are_text(tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, read_template("qwen2_5"), CHATML)
    called = Message("assistant", "", (ToolCall("weather", '{"city": "<|im_end|>"}'),))
    (made,) = encoder.encode_turns(row_of((CALLED[0], called), (WEATHER,)))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert [token for token in made.encoded.labels() if token == end] == [end]


def test_a_template_without_calls_learns_them_as_text_and_says_so(tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, read_template("llama3"), ONE_SEQUENCE["llama3"])
    made = encoder.encode_turns(row_of(CALLED, (WEATHER,)))
    learned = tokenizer.decode([token for one in made for token in one.encoded.labels() if token >= 0])
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>' in learned
    assert any("takes no tool calls" in note for one in made for note in one.encoded.notes)


def test_only_the_last_turn_is_learned_where_that_is_asked(tmp_path: Path) -> None:
    tokenizer, encoder = make(tmp_path, read_template("qwen3"), CHATML)
    (made,) = encoder.encode_turns(row_of(TALK)._replace(learned=None))
    assert made.encoded.earlier == ()
    learned = tokenizer.decode([token for token in made.encoded.labels() if token >= 0])
    assert "here" in learned
    assert "kettle" not in learned
