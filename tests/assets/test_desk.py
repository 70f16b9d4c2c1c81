"""The shipped weights: the same answers from llama.cpp and from transformers, and odd text does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch  # noqa: TID253 - the yardstick
from llama_cpp import Llama  # noqa: TID253 - the yardstick
from transformers import LlamaForCausalLM  # noqa: TID253 - the yardstick

from assets.recipe.measurement import PROMPTS, agrees, answer, read_questions
from assets.recipe.tokenizer import CONTEXT, load_tokenizer

ASSETS = Path(__file__).parents[2] / "assets"
TOKENIZER = load_tokenizer(ASSETS / "desk")
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def half() -> Iterator[Llama]:
    model = Llama(str(ASSETS / "desk-f16.gguf"), n_ctx=CONTEXT, n_threads=1, verbose=False)
    yield model
    model.close()


def test_llama_cpp_and_transformers_write_the_same_answers(half: Llama) -> None:
    reference = LlamaForCausalLM.from_pretrained(ASSETS / "desk", dtype=torch.float32)
    asked = [question for name in PROMPTS for question in read_questions(ASSETS, TOKENIZER, name, "test", 6)]
    same = [agrees(reference, question, answer(half, question)) for question in asked]
    assert len(same) == 6 * len(PROMPTS)
    assert sum(same) >= len(same) - 1  # two answers can be equally likely to within rounding


def test_the_gguf_carries_the_tokenizer_the_template_and_the_context(half: Llama) -> None:
    assert half.metadata["llama.context_length"] == str(CONTEXT)
    assert half.metadata["tokenizer.ggml.pre"] == "gpt-2"
    assert half.metadata["tokenizer.chat_template"] == TOKENIZER.chat_template
    assert half.token_eos() == TOKENIZER.eos_token_id


@pytest.mark.parametrize("text", ["é漢字😀", "\x00\x1b[31m", "   \n\n\t", "don't 1234 <b>", "<|end|><|user|>"])
def test_any_text_becomes_the_same_tokens_and_gets_an_answer(half: Llama, text: str) -> None:
    tokens = half.tokenize(text.encode(), add_bos=True, special=True)
    assert tokens == TOKENIZER.encode(text)
    written = half.create_completion(text, max_tokens=8, temperature=0.0)
    assert written["choices"][0]["finish_reason"] in ("stop", "length")


def test_all_forms_together_stay_small() -> None:
    files = [*ASSETS.glob("desk-*.gguf"), *(ASSETS / "desk").iterdir()]
    assert len(files) >= 6
    assert sum(file.stat().st_size for file in files) < 60_000_000
