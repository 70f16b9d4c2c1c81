"""Where the parts of a prompt stand among its tokens, told from one reading of the whole conversation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.types import GenerateRequest, Sampling
from workbench.inference.vocabulary import Vocabulary
from workbench.inference.worker.request_fit import fit_request, measure_request
from workbench.prompting.chat_template import CHATML
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.prompt_parts import render_prompt

CONTROLS = ("<s>", "<|im_start|>", "<|im_end|>")
TRIMS = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}{% endfor %}"
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}"
)


class ByteTokenizer(Vocabulary):
    """A token is a byte, or a control token from 300 on. read: the texts that were tokenized."""

    def __init__(self, bos: int | None = None) -> None:
        self.read: list[str] = []
        super().__init__(400, bos, 302, {300 + n: text for n, text in enumerate(CONTROLS)}, bos is not None)
        self.read.clear()

    def tokenize(self, text: str, special: bool) -> list[int]:
        self.read.append(text)
        ids: list[int] = []
        while text:
            control = next((one for one in CONTROLS if special and text.startswith(one)), "")
            ids += [300 + CONTROLS.index(control)] if control else text[0].encode()
            text = text[len(control) or 1 :]
        return ids

    def token_to_bytes(self, token: int) -> bytes:
        return CONTROLS[token - 300].encode() if token >= 300 else bytes((token,))

    def ends(self, token: int) -> bool:
        return token == 302


class EncodingEngine:
    """As much of an engine as fitting a prompt needs."""

    def __init__(self, template: str, bos: int | None = None) -> None:
        self.vocabulary = ByteTokenizer(bos)
        self.encoder = PromptEncoder(self.vocabulary, template)
        self.vocabulary.read.clear()
        self.info = SimpleNamespace(context_tokens=100_000)

    def count(self, requests: Any) -> tuple[int, ...]:
        return tuple(len(self.encoder.read(request)[1]) for request in requests)

    def tokenize(self, request: GenerateRequest) -> Any:
        return self.encoder.show(request)


TEXT = st.text("ab ü€\n", max_size=12)


@pytest.mark.parametrize("bos", [None, 300])
@pytest.mark.parametrize("template", [CHATML, TRIMS, NO_SYSTEM])
@given(system=TEXT.filter(str.strip), turns=st.lists(TEXT.filter(str.strip), min_size=1, max_size=4))
def test_each_content_begins_where_it_is_said_to(bos: int | None, template: str, system: str, turns: list[str]) -> None:
    roles = ["user", "assistant"]
    messages = (Message("system", system), *(Message(roles[n % 2], text) for n, text in enumerate(turns)))  # type: ignore[arg-type]
    if messages[-1].role == "assistant":
        messages = (*messages, Message("user", "a"))
    found = EncodingEngine(template, bos).encoder.show(GenerateRequest(0, messages))
    for message, start in zip(messages, found.starts, strict=True):
        wanted = message.content if template != TRIMS else message.content.strip()
        assert found.text.startswith(wanted, start)
    assert list(found.starts) == sorted(found.starts)
    assert len(found.offsets) == len(found.ids)
    for offset, piece in zip(found.offsets, found.pieces, strict=True):
        assert piece.startswith("\ufffd") or found.text.startswith(piece, offset)


EXAMPLES = tuple(Example(f"e{number}", {"m": f"message {number}"}, f"answer {number}") for number in range(80))
PROMPT = Prompt("p", "system:\nSort.\nuser:\nMessage: {{ m }}", placement="turns", examples=EXAMPLES)


def test_a_keystroke_reads_one_conversation_however_many_examples_there_are() -> None:
    engine: Any = EncodingEngine(CHATML)
    for text in ("hell", "hello"):
        engine.vocabulary.read.clear()
        request = GenerateRequest(1, (), Sampling(), prompt=render_prompt(PROMPT, {"m": text}, EXAMPLES))
        budget = measure_request(engine, request)  # the context meter
        fitted = fit_request(engine, request)  # the pane
        engine.encoder.begin_answer(fitted.request, 0.0)
        assert len(engine.vocabulary.read) == 1
        assert fitted.budget == budget
        assert budget.input == len(text)
        assert set(budget.per_example) == {example.id for example in EXAMPLES}


def test_what_switched_off_examples_would_cost_is_read_once() -> None:
    engine: Any = EncodingEngine(CHATML, 300)
    on = EXAMPLES[:3]
    for text, readings in (("hell", 1 + 77 + 1), ("hello", 1)):
        engine.vocabulary.read.clear()
        prompt = render_prompt(PROMPT, {"m": text}, on)
        budget = measure_request(engine, GenerateRequest(1, (), Sampling(), prompt=prompt))
        assert len(engine.vocabulary.read) == readings
    more = render_prompt(PROMPT, {"m": "hello"}, EXAMPLES[:4])
    larger = measure_request(engine, GenerateRequest(1, (), Sampling(), prompt=more))
    assert larger.used - budget.used == budget.per_example["e3"]


def test_a_batch_is_only_counted() -> None:
    engine: Any = EncodingEngine(CHATML)
    prompt = render_prompt(PROMPT, {"m": "hello"}, EXAMPLES, parts=False)
    fitted = fit_request(engine, GenerateRequest(1, (), Sampling(), priority=1, prompt=prompt))
    assert fitted.budget.per_example == {}
    assert fitted.budget.used == len(engine.encoder.read(fitted.request)[1]) + Sampling().max_tokens
