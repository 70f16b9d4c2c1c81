"""Measurement: the shipped model on the demo data, with the shipped prompts, greedy, in each of its forms.

Knows nothing of how the model was trained. Answers come from llama.cpp; transformers is asked whether it would
have written the same ones.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from llama_cpp import Llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from assets.recipe.demo import draw_topics
from assets.recipe.document import ASSISTANT, END, USER
from assets.recipe.world import load_world
from workbench.library.library import Library
from workbench.prompting.render import render

FORMS = ("f16", "q8_0", "q4_0")
PROMPTS = (
    "queues/plain",
    "queues/described",
    "queues/few-shot",
    "fields/plain",
    "fields/few-shot",
    "change/plain",
    "change/steps",
)
MAX_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as the model sees it, and the answer it should give."""

    tokens: tuple[int, ...]
    expected: str


def measure(assets: Path, split: str, limit: int, threads: int) -> None:
    """Print a table: the share of right answers of each prompt in each form, and how often transformers agrees."""
    torch.set_num_threads(threads)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(assets / "desk")
    reference = LlamaForCausalLM.from_pretrained(assets / "desk", dtype=torch.float32)
    questions = {name: read_questions(assets, tokenizer, name, split, limit) for name in PROMPTS}
    questions["options listed"] = list_options(tokenizer, split, limit)
    rows = {name: [f"{name:18} {len(asked):4}"] for name, asked in questions.items()}
    agreeing = 0
    for form in FORMS:
        model = Llama(str(assets / f"desk-{form}.gguf"), n_ctx=1024, n_threads=threads, verbose=False)
        for name, asked in questions.items():
            answers = [answer(model, question) for question in asked]
            right = sum(
                is_right(name, model, tokens, question) for tokens, question in zip(answers, asked, strict=True)
            )
            rows[name].append(f"{right / len(asked):6.1%}")
            if form == "f16":
                agreeing += sum(
                    agrees(reference, question, tokens) for tokens, question in zip(answers, asked, strict=True)
                )
        model.close()
    print(f"{'prompt':18} {split:>5}" + "".join(f"{form:>8}" for form in FORMS))
    for row in rows.values():
        print("  ".join(row))
    total = sum(len(asked) for asked in questions.values())
    print(f"transformers writes the same as f16 in {agreeing / total:.1%} of {total} cases")


def read_questions(
    assets: Path, tokenizer: PreTrainedTokenizerFast, name: str, split: str, limit: int
) -> list[Question]:
    """The cases of a split in a shipped prompt."""
    prompt = Library(assets.parent / "prompts").open(name).prompt
    lines = (assets / "data" / name.split("/")[0] / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    questions = []
    for row in map(json.loads, lines[:limit]):
        messages = [
            {"role": message.role, "content": message.content} for message in render(prompt, row, prompt.examples)
        ]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        questions.append(Question(tuple(tokenizer.encode(text)), row["expected"]))
    return questions


def list_options(tokenizer: PreTrainedTokenizerFast, split: str, limit: int) -> list[Question]:
    """Messages in the demo's sentence frames, to be sorted into topics that the prompt lists by their names."""
    questions = []
    for system, message, name in draw_topics(load_world(), random.Random(f"options {split}"), min(limit, 200)):
        text = f"<|system|>{system}{END}{USER}{message}{END}{ASSISTANT}"
        questions.append(Question(tuple(tokenizer.encode(text)), name))
    return questions


def answer(model: Llama, question: Question) -> list[int]:
    """The tokens of the greedy answer, with the end token when the model stopped by itself."""
    tokens: list[int] = []
    for token in model.generate(question.tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
        tokens.append(token)
        if token == model.token_eos() or len(tokens) >= MAX_TOKENS:
            break
    return tokens


def is_right(name: str, model: Llama, tokens: Sequence[int], question: Question) -> bool:
    """Whether the text is the expected one; of worked steps, the last number."""
    text = (
        model.detokenize([token for token in tokens if token != model.token_eos()]).decode("utf-8", "replace").strip()
    )
    if name == "change/steps":
        text = (re.findall(r"\d+", text) or [""])[-1]
    if name.startswith("fields/"):
        return same_json(text, question.expected)
    return text == question.expected


def same_json(text: str, expected: str) -> bool:
    try:
        return bool(json.loads(text) == json.loads(expected))
    except ValueError:
        return False


@torch.no_grad()
def agrees(model: LlamaForCausalLM, question: Question, tokens: Sequence[int]) -> bool:
    """Whether transformers finds each of the tokens the likeliest at its place, so would have written the same."""
    ids = torch.tensor([[*question.tokens, *tokens]])
    guesses = model(input_ids=ids[:, :-1]).logits[0, len(question.tokens) - 1 :].argmax(-1)
    return guesses.tolist() == list(tokens)
