"""Training: from a random start to weights, resumable, with an evaluation now and then.

Knows nothing of where the finished model is put.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, linear
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from assets.recipe.batch import Batch, draw_batch
from assets.recipe.evaluation import check_demo, check_tasks
from assets.recipe.mix import stage_at
from assets.recipe.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to train."""

    steps: int = 15000
    rows: int = 6
    length: int = 256
    short_share: float = 0.06
    """the first share of the steps has twice as many rows of half the length"""
    late_share: float = 0.17
    """the last share of the steps has rows of up to the whole context"""
    decay_share: float = 0.3
    rate: float = 1.5e-3
    curriculum_steps: int = 0
    """steps over which the difficulty rises; 0: all of them"""
    evaluate_seconds: float = 240.0
    """0: never"""
    save_seconds: float = 60.0
    seed: int = 7
    compiled: bool = True


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, plan: Plan, folder: Path) -> None:
    """Train until plan.steps, saving to `folder` so that a later call goes on from there."""
    optimizers = make_optimizers(model, plan)
    first = resume(model, optimizers, folder)
    body = torch.compile(model.model, dynamic=False) if plan.compiled else model.model
    started = checked = saved = time.monotonic()
    tokens, mean = 0, 0.0
    for step in range(first, plan.steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate_at(step, plan)
        batch = batch_at(step, plan, world, tokenizer)
        loss = train_step(model, body, batch, optimizers)
        tokens += batch.tokens.numel()
        mean = loss if not mean else 0.98 * mean + 0.02 * loss
        now = time.monotonic()
        if step % 20 == 0:
            speed = tokens / (now - started)
            print(
                f"\rstep {step}/{plan.steps}  loss {mean:.3f}  {speed:,.0f} tokens/s  {now - started:,.0f} s",
                end="",
                flush=True,
            )
        if plan.evaluate_seconds and (now - checked > plan.evaluate_seconds or step == plan.steps - 1):
            checked = now
            report(model, tokenizer, world, step, mean)
        if now - saved >= plan.save_seconds or step == plan.steps - 1:
            saved = now
            save(model, optimizers, step + 1, folder)


def train_step(
    model: LlamaForCausalLM, body: torch.nn.Module, batch: Batch, optimizers: list[torch.optim.Optimizer]
) -> float:
    """One update; the mean loss over the weighted tokens."""
    positions = torch.arange(batch.tokens.shape[1])[None]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = body(input_ids=batch.tokens, position_ids=positions, use_cache=False).last_hidden_state
        chosen = weighted_places(batch.weights)
        logits = linear(hidden.flatten(0, 1)[chosen], model.lm_head.weight)
    weights = batch.weights.flatten()[chosen]
    losses = cross_entropy(logits.float(), batch.targets.flatten()[chosen], reduction="none")
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def weighted_places(weights: torch.Tensor, block: int = 256) -> torch.Tensor:
    """The places that count, filled up with others to a whole number of blocks: few shapes keep memory in one piece."""
    order = torch.argsort(weights.flatten(), descending=True, stable=True)
    counted = int((weights > 0).sum())
    return order[: min(len(order), -(-counted // block) * block)]


def batch_at(step: int, plan: Plan, world: World, tokenizer: PreTrainedTokenizerFast) -> Batch:
    """The batch of a step, the same whenever it is asked for; late ones are longer and larger."""
    rng = random.Random(f"{plan.seed} {step}")
    stage = stage_at(step / (plan.curriculum_steps or plan.steps))
    rows, length = plan.rows, plan.length
    if step < plan.steps * plan.short_share:
        rows, length = 2 * rows, length // 2
    elif step < plan.steps * (1 - plan.late_share):
        rows, length = rng.choice([(rows, length), (rows // 2, 2 * length)])
    else:
        rows, length = rng.choice([(rows, length), (rows, 2 * length), (rows // 2, 4 * length)])
    return draw_batch(world, tokenizer, rng, stage, rows, length)


def rate_at(step: int, plan: Plan) -> float:
    """Share of the full learning rate: a short rise, a plateau, a fall to nothing."""
    warm = min(1.0, (step + 1) / 200)
    left = (plan.steps - step) / (plan.steps * plan.decay_share)
    return min(warm, 1.0 if left >= 1 else left)


def make_optimizers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    group = {"params": list(model.parameters()), "base": plan.rate}
    return [torch.optim.AdamW([group], lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]


def report(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, step: int, loss: float) -> None:
    figures = {**check_tasks(model, tokenizer, world), **check_demo(model, tokenizer, limit=48)}
    print(
        f"\rstep {step}  loss {loss:.3f}  " + "  ".join(f"{name} {value:.0%}" for name, value in figures.items()),
        flush=True,
    )


def save(model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], step: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "state.pt.new"
    torch.save(
        {"step": step, "model": model.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in optimizers]},
        temporary,
    )
    temporary.replace(folder / "state.pt")


def resume(model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], folder: Path) -> int:
    """Take up a saved state; the step to go on with."""
    path = folder / "state.pt"
    if not path.is_file():
        return 0
    state = torch.load(path)
    model.load_state_dict(state["model"])
    if optimizers:
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    return int(state["step"])
