"""Adapter: a LoRA that teaches desk the demo's queues from their train split, in PEFT and in GGUF form.

Knows nothing of how desk was trained; desk's own weights stay as they are.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from assets.recipe.measurement import read_questions
from assets.recipe.tokenizer import load_tokenizer
from workbench.datasets import load_cases
from workbench.datasets.row_digests import Role, RowDigests, digests_path, make_digests, write_digests
from workbench.datasets.spec import Dataset
from workbench.models.lora_to_gguf import convert_lora
from workbench.models.reference import ADAPTER_CONFIG, Adapter, Model

NAME = "queues-lora"
BASE = "desk"
PROMPT = "queues/plain"
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
UNASKED = -100
"""The target where nothing is to be learned."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the adapter is, and how long and how hard it is trained."""

    rank: int = 8
    alpha: int = 16
    epochs: int = 10
    rows: int = 16
    rate: float = 2e-3
    seed: int = 7


class Rows(NamedTuple):
    """rows x length: token ids, and the id that should follow each, or UNASKED."""

    tokens: torch.Tensor
    targets: torch.Tensor


def train_adapter(assets: Path, threads: int, plan: Plan = Plan()) -> None:
    """Train on the train split, print what it brings on the others, and put both forms in place."""
    torch.set_num_threads(threads)
    torch.manual_seed(plan.seed)
    tokenizer = load_tokenizer(assets / BASE)
    splits = {split: encode_split(assets, tokenizer, split) for split in ("train", "validation", "test")}
    base = LlamaForCausalLM.from_pretrained(assets / BASE, dtype=torch.float32)
    before = share_right(base, splits["test"])
    model = get_peft_model(
        base, LoraConfig(r=plan.rank, lora_alpha=plan.alpha, target_modules=LINEAR, task_type="CAUSAL_LM")
    )
    for epoch, loss in enumerate(learn(model, splits["train"], plan), start=1):
        right = share_right(model, splits["validation"])
        print(f"epoch {epoch}/{plan.epochs}  loss {loss:.4f}  validation {right:.1%}", flush=True)
    write(model, assets)
    after = share_right(model, splits["test"])
    print(f"{PROMPT} on the test split, greedy: {BASE} {before:.1%}, with {NAME} {after:.1%}")


def encode_split(assets: Path, tokenizer: PreTrainedTokenizerFast, split: str) -> Rows:
    """The cases of a split in the plain prompt, each with its answer and the end of it to be learned."""
    cases = [
        (list(question.tokens), [*tokenizer.encode(question.expected), tokenizer.eos_token_id])
        for question in read_questions(assets, tokenizer, PROMPT, split, 1000)
    ]
    length = max(len(asked) + len(answer) for asked, answer in cases)
    tokens = torch.full((len(cases), length), tokenizer.pad_token_id)
    targets = torch.full((len(cases), length), UNASKED)
    for row, (asked, answer) in enumerate(cases):
        tokens[row, : len(asked) + len(answer)] = torch.tensor([*asked, *answer])
        targets[row, len(asked) - 1 : len(asked) + len(answer) - 1] = torch.tensor(answer)
    return Rows(tokens, targets)


def learn(model: PeftModel, rows: Rows, plan: Plan) -> Iterator[float]:
    """Go through the rows plan.epochs times, in another order each time; the mean loss of each."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=0.0)
    updates = plan.epochs * -(-len(rows.tokens) // plan.rows)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, updates, pct_start=0.1)
    rng = random.Random(plan.seed)
    for _ in range(plan.epochs):
        order = rng.sample(range(len(rows.tokens)), len(rows.tokens))
        losses = []
        for first in range(0, len(order), plan.rows):
            chosen = order[first : first + plan.rows]
            losses.append(train_step(model, Rows(rows.tokens[chosen], rows.targets[chosen]), optimizer))
            schedule.step()
        yield sum(losses) / len(losses)


def train_step(model: PeftModel, rows: Rows, optimizer: torch.optim.Optimizer) -> float:
    """One update; the mean loss over the answers' tokens."""
    logits = model(input_ids=rows.tokens, use_cache=False).logits
    loss = cross_entropy(logits.flatten(0, 1), rows.targets.flatten(), ignore_index=UNASKED)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


@torch.no_grad()
def share_right(model: LlamaForCausalLM | PeftModel, rows: Rows) -> float:
    """Share of the rows whose every answer token is the likeliest, so that greedy generation writes the answer."""
    right = 0
    for tokens, targets in zip(rows.tokens.split(50), rows.targets.split(50), strict=True):
        guesses = model(input_ids=tokens, use_cache=False).logits.argmax(-1)
        right += int(((guesses == targets) | (targets == UNASKED)).all(dim=1).sum())
    return right / len(rows.tokens)


def write(model: PeftModel, assets: Path) -> None:
    """Put `assets/queues-lora/` and `assets/queues-lora.gguf` in place, each in one step and only when both are made.

    The configuration names the base as it is called here, and its lists are sorted: the same training writes the same
    file.
    """
    model.peft_config["default"].base_model_name_or_path = BASE
    with tempfile.TemporaryDirectory(dir=assets, prefix=f".{NAME}.") as scratch:
        folder, file = Path(scratch) / NAME, Path(scratch) / f"{NAME}.gguf"
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        config = folder / ADAPTER_CONFIG
        values = json.loads(config.read_text(encoding="utf-8"))
        values["target_modules"] = sorted(values["target_modules"])
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        convert_lora(Adapter(NAME, folder), Model(BASE, assets / f"{BASE}-f16.gguf"), file)
        digests = digest_splits(assets)
        for adapter in (folder, file):
            write_digests(adapter, digests)
        for path in (*folder.iterdir(), file, digests_path(file)):
            path.chmod(0o644)
        if (assets / NAME).exists():
            (assets / NAME).rename(Path(scratch) / "old")
        shutil.move(folder, assets / NAME)
        file.replace(assets / file.name)
        digests_path(file).replace(digests_path(assets / file.name))


def digest_splits(assets: Path) -> tuple[RowDigests, ...]:
    """What the adapter has seen, so that a comparison can tell whether its test cases were among it."""
    splits: tuple[Role, ...] = ("train", "validation")
    return tuple(
        make_digests(
            split,
            ("message",),
            (case.variables for case in load_cases(Dataset(str(assets / f"data/queues/{split}.jsonl")), assets)),
        )
        for split in splits
    )
