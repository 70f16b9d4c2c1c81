"""Training: tokens a second through the workbench's job, a plain TRL script with the same settings, and a bare loop.

Each is a process of its own on one thread, in turns; times are those of the processor, so that other programs do not
count. Run as a module with a way, a folder and the number of updates, it is one measured process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

UPDATES, WARM, ROUNDS = 40, 8, 2
BATCH, RANK, RATE = 16, 8, 2e-3
WAYS = ("ours", "trl", "bare")
RECIPE = """\
base: desk
bench: {bench}
variant: plain
method: {{rank: {rank}}}
training: {{max_steps: {steps}, batch_size: {batch}, learning_rate: {rate}, device: cpu, dtype: float32}}
evaluation: {{eval_steps: 100000, cases: 0}}
"""


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for way in WAYS:
                found[way].append(_run(way, Path(folder)))
    speed = {way: statistics.median(one["tokens_per_second"] for one in runs) for way, runs in found.items()}
    memory = {way: max(one["memory"] for one in runs) for way, runs in found.items()}
    rates = f"{speed['ours']:.0f} / {speed['trl']:.0f} / {speed['bare']:.0f} tokens/s"
    sizes = f"{memory['ours'] / 2**20:.0f} / {memory['trl'] / 2**20:.0f} MiB"
    return [
        ("training speed: ours / plain TRL", f"{speed['ours'] / speed['trl']:.2f}  ({rates})", "at least 0.95"),
        ("training speed: ours / a bare loop", f"{speed['ours'] / speed['bare']:.2f}", "said, not aimed at"),
        ("training memory: ours / plain TRL", f"{memory['ours'] / memory['trl']:.2f}  ({sizes})", "at most 1.1"),
    ]


def _run(way: str, folder: Path) -> dict[str, float]:
    checkout = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "WORKBENCH_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "HF_DATASETS_CACHE": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "tests.benchmarks.training", way, str(folder), str(UPDATES)]
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class StepClock:
    """Processor time and tokens from the end of the warm updates on."""

    def __init__(self) -> None:
        self.tokens = 0
        self._begun: float | None = None

    def count(self, update: int, tokens: int) -> None:
        """An update is about to begin."""
        if update == WARM:
            self._begun = time.process_time()
        if update >= WARM:
            self.tokens += tokens

    def read(self) -> dict[str, float]:
        import psutil

        assert self._begun is not None
        taken = time.process_time() - self._begun
        return {"tokens_per_second": self.tokens / taken, "memory": psutil.Process().memory_info().rss}


def watch(trainer: Any, clock: StepClock) -> None:
    """Let a clock count a trainer's batches."""
    step = trainer.training_step

    def counted(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        clock.count(int(trainer.state.global_step), int(inputs["attention_mask"].sum()))
        return step(model, inputs, *rest, **named)

    trainer.training_step = counted


def train_ours(folder: Path, updates: int) -> dict[str, float]:
    from workbench import yaml_document
    from workbench.training.child import run as child
    from workbench.training.job_dir import create_job_dir

    clock = StepClock()
    found: dict[str, float] = {}
    make = child.make_trainer

    def make_timed(*arguments: Any) -> Any:
        trainer = make(*arguments)
        watch(trainer, clock)
        train = trainer.train

        def run(*given: Any, **named: Any) -> Any:
            made = train(*given, **named)
            found.update(clock.read())
            return made

        trainer.train = run
        return trainer

    child.make_trainer = make_timed
    ended = child.run_job(create_job_dir("speed", yaml_document.encode(_recipe(updates)), folder, datetime.now()))
    assert ended.outcome == "done", ended
    return found


def train_trl(folder: Path, updates: int) -> dict[str, float]:
    import datasets
    import peft
    import transformers
    from trl import SFTConfig, SFTTrainer

    task = _open(updates)
    from workbench.training.rows import render_training

    rows = [
        {
            "prompt": [{"role": message.role, "content": message.content} for message in row.messages],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in render_training(task).rows
    ]
    config = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=BATCH,
        max_steps=updates,
        learning_rate=RATE,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=7,
    )
    trainer = SFTTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(task.base.path),
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=transformers.AutoTokenizer.from_pretrained(task.base.path),
        peft_config=peft.LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=16, target_modules="all-linear"),
    )
    clock = StepClock()
    watch(trainer, clock)
    trainer.train()
    return clock.read()


def train_bare(folder: Path, updates: int) -> dict[str, float]:
    import peft
    import torch

    from workbench.training.child.tokenized_dataset import encode_rows
    from workbench.training.child.training_model import load_training_model
    from workbench.training.rows import render_training

    task = _open(updates)
    loaded = load_training_model(task, torch.device("cpu"))
    rows = encode_rows(loaded, task.recipe, render_training(task).rows).encoded
    model = peft.get_peft_model(loaded.model, loaded.config).train()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, updates, pct_start=0.1)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(7)).tolist()
    clock = StepClock()
    for update in range(updates):
        chosen = [rows[order[(update * BATCH + at) % len(order)]] for at in range(BATCH)]
        width = max(len(one.ids) for one in chosen)
        ids, labels = torch.zeros((BATCH, width), dtype=torch.long), torch.full((BATCH, width), -100)
        mask = torch.zeros((BATCH, width), dtype=torch.long)
        for row, one in enumerate(chosen):
            ids[row, : len(one.ids)], labels[row, : len(one.ids)] = torch.tensor(one.ids), torch.tensor(one.labels())
            mask[row, : len(one.ids)] = 1
        clock.count(update, int(mask.sum()))
        model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return clock.read()


def _recipe(updates: int) -> Any:
    from workbench import paths
    from workbench.training.recipe_file import parse_recipe

    bench = paths.find_shipped("prompts/demo.bench.yaml")
    return parse_recipe(RECIPE.format(bench=bench, rank=RANK, steps=updates, batch=BATCH, rate=RATE), "benchmark")


def _open(updates: int) -> Any:
    from workbench.settings import Settings
    from workbench.training.task import open_task

    return open_task(_recipe(updates), Path.cwd(), Settings())


if __name__ == "__main__":
    ways = {"ours": train_ours, "trl": train_trl, "bare": train_bare}
    from workbench.training.child.environment import hush

    hush()
    import torch

    torch.set_num_threads(1)
    print(json.dumps(ways[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
