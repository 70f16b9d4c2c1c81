"""Training: from a random start to weights, resumable, with an evaluation now and then.

Knows nothing of where the finished model is put.
"""

from __future__ import annotations

import ctypes
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, linear
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from assets.recipe.batch import Batch, draw_batch
from assets.recipe.document import ANSWER
from assets.recipe.evaluation import check_demo, check_tasks
from assets.recipe.mix import stage_at
from assets.recipe.model import tell_apart
from assets.recipe.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to train."""

    steps: int = 20000
    rows: int = 6
    length: int = 256
    short_share: float = 0.07
    """the first share of the steps has twice as many rows of half the length"""
    late_share: float = 0.12
    """the last share of the steps has rows of up to the whole context"""
    decay_share: float = 0.3
    apart_share: float = 0.71
    """the share of the steps after which the days of the week get vectors of their own"""
    rate: float = 1.5e-3
    curriculum_steps: int = 0
    """steps over which the difficulty rises; 0: all of them"""
    evaluate_seconds: float = 420.0
    """0: never"""
    save_seconds: float = 60.0
    seed: int = 7
    compiled: bool = True


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, plan: Plan, folder: Path) -> None:
    """Train until plan.steps, saving to `folder` so that a later call goes on from there."""
    keep_memory()
    optimizers = make_optimizers(model, plan)
    first = resume(model, optimizers, folder)
    loss_of = torch.compile(make_loss(model), dynamic=False) if plan.compiled else make_loss(model)
    started = checked = saved = time.monotonic()
    tokens, mean = 0, 0.0
    for step in range(first, plan.steps):
        if step == int(plan.steps * plan.apart_share):
            days = [[tokenizer.encode(form + day)[0] for form in ("", " ")] for day in world.people["days"]]
            tell_apart(model.get_input_embeddings().weight, days, plan.seed)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate_at(step, plan)
        batch = batch_at(step, plan, world, tokenizer)
        loss = train_step(model, loss_of, batch, optimizers)
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


def keep_memory() -> None:
    """Let glibc keep what a step has freed for the next one: a tenth of the time went into fetching it anew."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for threshold in (-1, -3):  # for giving memory back, and for large pieces, as malloc.h numbers them
        if mallopt:
            mallopt(threshold, 1 << 30)


def train_step(
    model: LlamaForCausalLM, loss_of: Callable[..., torch.Tensor], batch: Batch, optimizers: list[torch.optim.Optimizer]
) -> float:
    """One update; the mean loss over the weighted tokens."""
    places, weights = counted_places(batch.weights.flatten())
    loss = loss_of(batch.tokens, places, batch.targets.flatten()[places], weights)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def make_loss(model: LlamaForCausalLM) -> Callable[..., torch.Tensor]:
    """The mean loss of a batch at some of its places, as one function, so that it can be compiled as a whole."""

    def loss_of(
        tokens: torch.Tensor, places: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        positions = torch.arange(tokens.shape[1])[None]
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=tokens, position_ids=positions, use_cache=False).last_hidden_state
            logits = linear(hidden.flatten(0, 1)[places], model.lm_head.weight)
        losses = cross_entropy(logits.float(), targets, reduction="none")
        return (losses * weights).sum() / weights.sum()

    return loss_of


def counted_places(weights: torch.Tensor, share: float = 1 / 3) -> tuple[torch.Tensor, torch.Tensor]:
    """A third of the places, and what each counts: the answers, then as many of the others as there is room for.

    The others come evenly from the whole batch and count for those left out. The logits are a third of the work, and
    a number of places that never changes is compiled once.
    """
    size = int(len(weights) * share)
    answers = int((weights >= ANSWER / 2).sum())
    order = torch.argsort((weights >= ANSWER / 2).float(), descending=True, stable=True)
    others = order[answers:]
    room = max(0, size - answers)
    if not room:
        return order[:size], weights[order[:size]]
    spread = others[torch.arange(room) * len(others) // room]
    places = torch.cat([order[:answers], spread])
    return places, torch.cat([weights[order[:answers]], weights[spread] * (len(others) / room)])


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
        rows, length = rng.choice(
            [(rows, length), (rows // 2, 2 * length), (rows, 2 * length), (rows // 3, 4 * length)]
        )
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
