"""`python -m tests.random_keys [--minutes 10] [--seed 1] [--size 80x24] [--steps 300]`

Presses random keys on every screen of the app, at three sizes. Each round is an app of its own in a project folder of
its own, with the next seed; one that ends with a fault is printed with its seed and its last keys. Without `--minutes`
one round is played. The keys of a seed are the same only as long as the app is as fast: they are chosen among those
that work at that moment.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from .player import DEFAULT_STEPS, SIZES, Round, play


def read_size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def describe(played: Round) -> str:
    width, height = played.size
    lines = [f"seed {played.seed}  {width}x{height}  {played.pressed:,} keys  {played.fault or 'as expected'}"]
    if played.fault:
        lines += [f"  last keys: {' '.join(played.keys)}", *(f"  {line}" for line in played.details.splitlines())]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=read_size, help="80x24, 120x30 or 160x45; all in turn by default")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="of a round; a step is a key or a few")
    chosen = parser.parse_args()
    end = time.monotonic() + 60 * chosen.minutes
    seed, faults, pressed = chosen.seed, 0, 0
    visited: Counter[str] = Counter()
    while True:
        played = play(chosen.size or SIZES[seed % len(SIZES)], seed, chosen.steps)
        print(describe(played), flush=True)
        faults, pressed, seed = faults + bool(played.fault), pressed + played.pressed, seed + 1
        visited += played.visited
        if time.monotonic() >= end:
            break
    print(f"{seed - chosen.seed} rounds, {pressed:,} keys, {faults} faults; steps on each screen and dialog:")
    print("  ".join(f"{name} {steps:,}" for name, steps in visited.most_common()))
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
