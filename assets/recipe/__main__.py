"""Command line of the recipe: from the world files to the shipped model.

python -m assets.recipe data                 write the demo data
python -m assets.recipe train [--steps N]    train, or go on with a training that was stopped
python -m assets.recipe export               put the trained model in place as safetensors and GGUF
python -m assets.recipe adapter              train the LoRA for the demo's queues and put it in place
python -m assets.recipe evaluate             measure the shipped model on the demo's test splits
python -m assets.recipe show TASK            print a few training texts of a task
python -m assets.recipe build                data, train, export, adapter and evaluate
"""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import replace
from pathlib import Path

from assets.recipe.world import load_world

ASSETS = Path(__file__).parent.parent
STATE = ASSETS.parent / "build" / "desk"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m assets.recipe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["data", "train", "export", "adapter", "evaluate", "show", "build"])
    parser.add_argument("task", nargs="?", default="shots", help="for show: which task")
    parser.add_argument("--steps", type=int, help="how many updates to train for")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of the unfinished training")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--split", default="test", choices=["train", "validation", "test"])
    parser.add_argument("--limit", type=int, default=1000, help="for evaluate: how many cases of each split")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    steps = {
        "data": _data,
        "train": _train,
        "export": _export,
        "adapter": _adapter,
        "evaluate": _evaluate,
        "show": _show,
    }
    whole = [_data, _train, _export, _adapter, _evaluate]
    for step in whole if options.step == "build" else [steps[options.step]]:
        step(options)


def _data(options: argparse.Namespace) -> None:
    from assets.recipe.demo import write_demo
    from assets.recipe.handbook import write_handbook
    from assets.recipe.tickets import write_conversations, write_tickets

    write_demo(ASSETS / "data", load_world())
    write_handbook(ASSETS / "data" / "handbook", load_world())
    fields = ASSETS / "data" / "fields" / "test.jsonl"
    write_tickets(ASSETS / "data" / "tickets", fields)
    write_conversations(ASSETS / "data" / "conversations", fields)


def _train(options: argparse.Namespace) -> None:
    import torch

    from assets.recipe.model import build_model
    from assets.recipe.tokenizer import load_tokenizer, train_tokenizer
    from assets.recipe.training import Plan, train

    torch.set_num_threads(options.threads)
    world, plan = load_world(), Plan()
    folder = options.state / "tokenizer"
    if not folder.is_dir():  # weights belong to the tokenizer they began with, also when the text has changed since
        train_tokenizer(world, plan.seed).save_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    model = build_model(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, plan.seed)
    torch.set_flush_denormal(True)  # of the whole process, so here and not where tests train
    train(model, tokenizer, world, replace(plan, steps=options.steps or plan.steps), options.state)


def _export(options: argparse.Namespace) -> None:
    from assets.recipe.export import export
    from assets.recipe.model import build_model
    from assets.recipe.tokenizer import load_tokenizer
    from assets.recipe.training import resume

    tokenizer = load_tokenizer(options.state / "tokenizer")
    model = build_model(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
    step = resume(model, [], options.state)
    export(model, tokenizer, ASSETS)
    print(f"desk after {step} steps is in {ASSETS}")


def _adapter(options: argparse.Namespace) -> None:
    from assets.recipe.adapter import train_adapter

    train_adapter(ASSETS, options.threads)


def _evaluate(options: argparse.Namespace) -> None:
    from assets.recipe.measurement import measure

    measure(ASSETS, options.split, options.limit, options.threads)


def _show(options: argparse.Namespace) -> None:
    from assets.recipe.mix import FINISH, draw_task

    for number in range(4):
        print(draw_task(options.task, load_world(), random.Random(number), FINISH.difficulty, 200).text, end="\n\n")


if __name__ == "__main__":
    main()
