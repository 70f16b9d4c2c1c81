"""`python -m tests.kill [--kills 100] [--seed 1] [--first 0]`

Evaluations of which the command, the engine or the scorers' process is killed at a random moment. Nothing that was
stored may be lost or torn, the results must equal those of an undisturbed run, and nothing may be left behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from gguf_fixture import write_gguf

from .evaluation import Trial, draw_kill, write_project


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    tried: Counter[str] = Counter()
    faulty = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_project(folder / "project", write_gguf(folder / "tiny.gguf"))
        expected = Trial(folder / "project", folder / "undisturbed").run_undisturbed()
        for number in range(chosen.first, chosen.first + chosen.kills):
            kill = Trial(folder / "project", folder / str(number)).run_with(draw_kill(number, chosen.seed), expected)
            tried[f"{kill.victim} {kill.signal}"] += 1
            faulty += bool(kill.faults)
            told = "; ".join(kill.faults[:5]) or "survived"
            print(f"{number}: {kill.signal} to the {kill.victim} after {kill.after} cells: {told}", flush=True)
    print(f"{sum(tried.values())} kills, {faulty} with faults: {dict(sorted(tried.items()))}")
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
