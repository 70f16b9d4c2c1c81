"""Evaluation: how often the model's likeliest tokens are the right answer, by task and on the demo.

Knows nothing of training. An answer counts when every token of it, and the end after it, is the likeliest one, which
is what greedy generation needs to write it.
"""

from __future__ import annotations

import json
import random
import re
from itertools import permutations
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from assets.recipe.batch import encode
from assets.recipe.demo import read_examples
from assets.recipe.document import ANSWER, Document, Turn, chat
from assets.recipe.mix import FINISH, TASKS, draw_task
from assets.recipe.tasks.arithmetic import work_change
from assets.recipe.world import World

ROOT = Path(__file__).parent.parent.parent


@torch.no_grad()
def check(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, documents: list[Document], last: bool = False
) -> float:
    """Share of right answers in the documents; only each one's last answer when `last`."""
    right = total = 0
    for document in documents:
        ids, weights = encode(tokenizer, document)
        ids, weights = ids[:1024], weights[:1024]
        with torch.autocast("cpu", torch.bfloat16):
            guesses = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0].argmax(-1).tolist()
        runs: list[list[bool]] = []
        for place, (guess, token) in enumerate(zip(guesses, ids[1:], strict=True), start=1):
            if weights[place] < ANSWER:
                continue
            if weights[place - 1] < ANSWER:
                runs.append([])
            runs[-1].append(guess == token)
        runs = runs[-1:] if last else [run for run in runs if len(run) > 1]
        right += sum(all(run) for run in runs)
        total += len(runs)
    return right / max(1, total)


def check_tasks(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, count: int = 10
) -> dict[str, float]:
    """Every training task at its final difficulty, on documents of its own."""
    figures = {}
    for task in TASKS[:-1]:
        rng = random.Random(f"check {task}")
        figures[task] = check(
            model, tokenizer, [draw_task(task, world, rng, FINISH.difficulty, 240) for _ in range(count)]
        )
    return figures


def check_demo(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, split: str = "validation", limit: int = 1000
) -> dict[str, float]:
    """The shipped prompts on a split of the demo data."""
    figures = {}
    queues = _rows("queues", split, limit)
    for name in ("plain", "described", "few-shot"):
        shown = _examples("queues") if name == "few-shot" else []
        system = _system("queues", name)
        documents = [chat(system, [*shown, Turn(row["message"], row["expected"])]) for row in queues]
        figures[f"queues/{name}"] = check(model, tokenizer, documents, last=True)
    system = _system("fields", "plain")
    figures["fields/plain"] = check(
        model,
        tokenizer,
        [chat(system, [Turn(row["message"], row["expected"])]) for row in _rows("fields", split, limit)],
        last=True,
    )
    for name in ("plain", "steps"):
        system = _system("change", name)
        documents = [
            chat(
                system,
                [
                    Turn(
                        row["question"],
                        row["expected"] if name == "plain" else _worked(row["question"], int(row["expected"])),
                    )
                ],
            )
            for row in _rows("change", split, limit)
        ]
        figures[f"change/{name}"] = check(model, tokenizer, documents, last=True)
    return figures


def _worked(question: str, answer: int) -> str:
    """The steps that lead to the answer; how many comes from the number that no euros follow."""
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    for count, price, paid in permutations(numbers, 3):
        if paid - count * price == answer and re.search(rf"\b{count}\b(?! euros)", question):
            return work_change(count, price, paid)
    raise ValueError(f"the answer {answer} does not follow from the numbers in: {question}")


def _rows(task: str, split: str, limit: int) -> list[dict[str, str]]:
    lines = (ROOT / "assets" / "data" / task / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:limit]]


def _examples(task: str) -> list[Turn]:
    return [Turn(row["message"], row["answer"], 0.0) for row in read_examples(task)]


def _system(task: str, name: str) -> str:
    body = (ROOT / "prompts" / task / f"{name}.prompty").read_text(encoding="utf-8").split("---\n", 2)[2]
    return re.search(r"system:\n(.*?)\n+user:", body, re.DOTALL).group(1).strip()
