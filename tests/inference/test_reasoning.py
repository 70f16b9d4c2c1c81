"""What frames reasoning and ends a turn comes from the model's own chat template."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.inference.chunk_builder import ChunkBuilder
from workbench.inference.constraints import Constraint
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.reasoning import TAGS, Tags, read_format, read_schema_tags
from workbench.inference.sampler import Sampler
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState, is_free
from workbench.inference.types import Chunk, Completion, GenerateRequest, Sampling, fold
from workbench.inference.vocabulary import Vocabulary
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message

_LOOP = "{% for m in messages %}{% if m.role == 'assistant' %}"
HARMONY = (
    f"{_LOOP}<|start|>assistant{{% if m.thinking %}}<|channel|>analysis<|message|>{{{{ m.thinking }}}}<|end|>"
    "<|start|>assistant{% endif %}<|channel|>final<|message|>{{ m.content }}{% if loop.last %}<|return|>{% else %}"
    "<|end|>{% endif %}{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
SEED = (
    f"{_LOOP}<bos>assistant\n{{% if m.reasoning_content %}}<seed:think>{{{{ m.reasoning_content }}}}</seed:think>\n"
    "{% endif %}{{ m.content }}<seed:eos>{% else %}<bos>{{ m.role }}\n{{ m.content }}<seed:eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<bos>assistant\n{% endif %}"
)
OPENED = (
    f"{_LOOP}<a><think>\n{{{{ m.reasoning_content }}}}\n</think>\n\n{{{{ m.content }}}}<end>{{% else %}}<u>"
    "{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<a><think>\n{% endif %}"
)
MARKED = (
    f"{_LOOP}<a>{{% if m.reasoning %}}<|think|>{{{{ m.reasoning }}}}<|end|><a>{{% endif %}}<|content|>"
    "{{ m.content }}<|end|>{% else %}<u>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"


@pytest.mark.parametrize(
    ("source", "tags", "opening", "end"),
    [
        (
            HARMONY,
            Tags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
            "<|channel|>final<|message|>",
            "<|return|>",
        ),
        (SEED, Tags("<seed:think>", "</seed:think>"), "", "<seed:eos>"),
        (OPENED, Tags("<think>", "</think>"), "", "<end>"),
        (MARKED, Tags("<|think|>", "<|end|><a><|content|>"), "<|content|>", "<|end|>"),
        (PLAIN, TAGS[0], "", ""),
    ],
)
def test_a_template_shows_what_it_frames_reasoning_with(source: str, tags: Tags, opening: str, end: str) -> None:
    found = read_format(ChatTemplate(source))
    assert found.tags[0] == tags
    assert (found.answer_opening, found.turn_end) == (opening, end)
    assert set(TAGS) <= set(found.tags)


@pytest.mark.parametrize(
    ("pattern", "tags"),
    [
        (r"(?:<think>\n?(?P<thinking>.+?)\n?</think>)?\s*(?P<content>.*)", ("<think>", "</think>")),
        (
            r"^(?:<\|channel\|>analysis<\|message\|>(?P<thinking>.*?)<\|end\|>)?(?P<content>.*?)$",
            ("<|channel|>analysis<|message|>", "<|end|>"),
        ),
        (
            "(\\<\\|channel\\>thought\n(?P<thinking>.*?)\\<channel\\|\\>)?(?P<content>.*)",
            ("<|channel>thought", "<channel|>"),
        ),
        (r"\[THINK\](?P<reasoning_content>[^<]*)\[/THINK\]", ("[THINK]", "[/THINK]")),
    ],
)
def test_a_response_schema_shows_the_tags_too(pattern: str, tags: tuple[str, str]) -> None:
    assert read_schema_tags({"x-regex": pattern}) == (Tags(*tags),)
    assert Tags(*tags) in read_format(ChatTemplate(PLAIN), {"x-regex": pattern}).tags


@pytest.mark.parametrize(
    "schema", [None, {}, {"x-regex": 7}, {"x-regex": "(?P<content>.*)"}, {"x-regex": "(?P<thinking>"}]
)
def test_a_response_schema_without_tags_shows_none(schema: object) -> None:
    assert read_schema_tags(schema) == ()


REAL = {
    "openai-gpt-oss-120b": ("<|channel|>analysis<|message|>", "<|return|>"),
    "ByteDance-Seed-OSS": ("<seed:think>", "<seed:eos>"),
    "Qwen-Qwen3-0.6B": ("<think>", "<|im_end|>"),
    "Qwen3.5-4B": ("<think>", "<|im_end|>"),
    "Cohere2MoE": ("<|START_THINKING|>", "<|END_TEXT|>"),
    "upstage-Solar-Open-100B": ("<|think|>", "<|end|>"),
    "MiniMax-M3": ("<mm:think>", "[e~["),
    "tencent-Hy3": ("<think:opensource>", ""),
    "Kimi-K3": ("<|open|>think<|sep|>", "<|close|>"),
    "Apriel-1.6-15b-Thinker-fixed": ("Here are my reasoning steps:", ""),
    "GLM-4.7-Flash": ("<think>", ""),
    "google-gemma-2-2b-it": ("<think>", "<end_of_turn>"),
    "google-gemma-4-31B-it": ("<think>", "<turn|>"),
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": ("<think>", "<|END_RESPONSE|>"),
}


def find_real(name: str) -> Path | None:
    folder = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
    places = (folder / "vendor/llama.cpp/models/templates", folder)
    return next((path for place in places if (path := place / f"{name}.jinja").is_file()), None)


@pytest.mark.skipif(find_real("Kimi-K3") is None, reason="LLAMA_CPP_SDIST names no unpacked source distribution")
@pytest.mark.parametrize("name", REAL)
def test_real_templates_are_read_as_they_are_meant(name: str) -> None:
    path = find_real(name)
    assert path is not None
    found = read_format(ChatTemplate(path.read_text("utf-8"), {"bos_token": "<s>", "eos_token": "</s>"}))
    opening, end = REAL[name]
    assert found.tags[0].opening == opening
    assert found.turn_end.startswith(end)
    assert bool(found.turn_end) == bool(end)


CONTROLS = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|think|>", "<|content|>", "<end>")


class Pieces(Vocabulary):
    """A token is a letter's code point, or one of CONTROLS from 200 on. eos: as the folder names it, if it does."""

    def __init__(self, eos: str = "<|return|>") -> None:
        controls = {200 + place: text for place, text in enumerate(CONTROLS)}
        self.known_end = 200 + CONTROLS.index(eos) if eos else None
        super().__init__(256, None, self.known_end, controls, False)

    def tokenize(self, text: str, special: bool) -> list[int]:
        ids: list[int] = []
        while text:
            control = next((one for one in CONTROLS if special and text.startswith(one)), "")
            ids.append(200 + CONTROLS.index(control) if control else ord(text[0]))
            text = text[len(control) or 1 :]
        return ids

    def token_to_bytes(self, token: int) -> bytes:
        return CONTROLS[token - 200].encode() if token >= 200 else bytes((token,))

    def ends(self, token: int) -> bool:
        return token == self.known_end or token in self._turn_ends


def answer(source: str, written: str, eos: str = "<|return|>", **sampling: object) -> Completion:
    """What comes of a model that writes these tokens."""
    vocabulary = Pieces(eos)
    prompts = PromptEncoder(vocabulary, source)
    request = GenerateRequest(1, (Message("user", "Hm?"),), Sampling(**{"max_tokens": 999, **sampling}))
    rows = SequenceQueue(vocabulary, 9999, lambda: 0.0, lambda row, failed: rows.running.clear())
    row = SequenceState(prompts.begin_answer(request, 0.0))
    rows.running.append(row)
    events = []
    for token in vocabulary.tokenize(written, special=True):
        if rows.running:
            row.advance(len(row.pending))
            events += rows.write(row, token)
    return fold([event for event in events if isinstance(event, Chunk)])


ANALYSIS = "<|channel|>analysis<|message|>So it is.<|end|><|start|>assistant"


@pytest.mark.parametrize(
    ("source", "written", "thinking", "text"),
    [
        (HARMONY, f"{ANALYSIS}<|channel|>final<|message|>Yes.<|return|>", "So it is.", "Yes."),
        (HARMONY, "<|channel|>final<|message|>Yes.<|return|>", "", "Yes."),
        (HARMONY, "Yes.<|return|>", "", "Yes."),
        (MARKED, "<|think|>Hm.<|end|><a><|content|>No.<|end|>", "Hm.", "No."),
        (MARKED, "<|content|>No.<|end|>", "", "No."),
        (SEED, "<seed:think>Hm.</seed:think>\nNo.<end>", "Hm.", "No."),
        (OPENED, "Hm.\n</think>\n\nNo.<end>", "Hm.\n", "No."),
        (PLAIN, "<think>Hm.</think>No.<|return|>", "Hm.", "No."),
    ],
)
def test_reasoning_is_told_apart_by_the_models_own_frames(source: str, written: str, thinking: str, text: str) -> None:
    found = answer(source, written, "<end>" if written.endswith("<end>") else "<|return|>")
    assert (found.thinking, found.text, found.stop_reason) == (thinking, text, "eos")


@pytest.mark.parametrize(
    ("source", "written", "text"),
    [
        (OPENED, "It is seven.<end>", "It is seven."),
        (PLAIN, "<think>It is seven.<|return|>", "It is seven."),
        (HARMONY, "<|channel|>analysis<|message|>It is seven.<|return|>", "It is seven."),
    ],
)
def test_a_text_that_ended_by_itself_inside_reasoning_is_the_answer(source: str, written: str, text: str) -> None:
    found = answer(source, written)
    assert (found.thinking, found.text, found.stop_reason) == ("", text, "eos")


def test_a_text_that_was_cut_inside_reasoning_stays_reasoning() -> None:
    found = answer(OPENED, "It is seven.", max_tokens=6)
    assert (found.thinking, found.text, found.stop_reason) == ("It is ", "", "length")


def test_the_control_token_behind_an_answer_ends_it_where_the_folder_names_no_end() -> None:
    found = answer(OPENED, "a</think>Yes.<end> and more", eos="")
    assert (found.text, found.stop_reason) == ("Yes.", "eos")
    assert not found.notes


def test_a_model_without_an_end_is_said_to_have_none() -> None:
    found = answer(PLAIN, "Yes", eos="", max_tokens=3)
    assert found.notes == ("The model has no end token: its answers end at max_tokens or at a stop text.",)


@pytest.mark.parametrize("stop", ["<|content|>", "<|content|>\n", "<|con"])
def test_a_stop_string_that_is_a_control_tokens_text_stops(stop: str) -> None:
    found = answer(PLAIN, "Yes.<|content|>no<|return|>", stop=(stop,))
    assert (found.text, found.stop_reason) == ("Yes.", "stop")


def test_another_control_token_than_the_stop_string_names_does_not_stop() -> None:
    assert answer(PLAIN, "Yes.<|content|>no<|return|>", stop=("<|other|>",)).text == "Yes.no"


class Letters(Constraint):
    """Allows only these letters, in this order, and then the end."""

    finished = False

    def __init__(self, text: str, end: int) -> None:
        self.left = [*map(ord, text), end]

    def allows(self, token: int) -> bool:
        return token == self.left[0]

    def allowed_tokens(self) -> NDArray[np.intp]:
        return np.array(self.left[:1], dtype=np.intp)

    def accept(self, token: int) -> None:
        self.left.pop(0)


def write_by_rules(source: str, wanted: str, allowed: str, eos: str) -> Completion:
    """What a model writes that would write `wanted`, under rules for the answer."""
    vocabulary = Pieces(eos)
    request = GenerateRequest(1, (Message("user", "Hm?"),), Sampling(max_tokens=99))
    begun: ChunkBuilder = PromptEncoder(vocabulary, source).begin_answer(request, 0.0)
    assert vocabulary.known_end is not None
    sampler = Sampler(request.sampling, constraint=Letters(allowed, vocabulary.known_end))
    rows = SequenceQueue(vocabulary, 9999, lambda: 0.0, lambda row, failed: rows.running.clear())
    row = SequenceState(begun)
    rows.running.append(row)
    tokens = vocabulary.tokenize(wanted, special=True)
    check: Callable[[int], bool] = lambda token: is_free(begun, vocabulary, token)  # noqa: E731
    events = []
    while rows.running:
        logits = np.zeros(256, np.float32)
        logits[tokens.pop(0) if tokens else vocabulary.known_end] = 9
        row.advance(len(row.pending))
        events += rows.write(row, sampler.choose(logits, check))
    return fold([event for event in events if isinstance(event, Chunk)])


@pytest.mark.parametrize(
    ("source", "wanted", "thinking"),
    [
        (OPENED, "Let me see.\n</think>It is 7", "Let me see.\n"),
        (HARMONY, f"{ANALYSIS}<|channel|>final<|message|>It is 7", "So it is."),
        (OPENED, "Let me see.<end>", "Let me see."),  # it would end inside its reasoning
        (HARMONY, "It is 7", ""),
    ],
)
def test_a_grammar_begins_behind_the_reasoning(source: str, wanted: str, thinking: str) -> None:
    found = write_by_rules(source, wanted, "[7]", "<|return|>" if source == HARMONY else "<end>")
    assert (found.thinking, found.text) == (thinking, "[7]")
    assert found.stop_reason == "eos"
