"""`python -m tests.fuzz KIND|all [--inputs 1000] [--seed 1] [--first 0] [--keep FOLDER]`

Mutates valid files and reads each as the workbench does. An input must be read, or refused in words: a traceback,
a hang of five seconds or a crash is a fault, printed with its number. `--first N --inputs 1` reads one again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .campaign import Campaign, run_campaign
from .kinds import discover

SHOWN = 10  # faults printed in full for each kind


def describe(made: Campaign) -> str:
    tried = sum(made.outcomes.values())
    counts = "  ".join(f"{name} {made.outcomes[name]:,}" for name in ("read", "refused", "traceback", "hang", "crash"))
    return f"{made.kind:16} tried {tried:,}  {counts}"


def main() -> int:
    kinds = discover()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["all", *sorted(kinds)])
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="an empty folder: inputs that are faults stay there")
    chosen = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted(kinds) if chosen.kind == "all" else [chosen.kind]:
            folder = (chosen.keep or Path(scratch)) / name
            made = run_campaign(kinds[name], chosen.inputs, chosen.seed, folder, chosen.first)
            print(describe(made), flush=True)
            for fault in made.faults[:SHOWN]:
                print(f"  {fault.outcome} at --seed {chosen.seed} --first {fault.number}: {fault.text.strip()[-600:]}")
            failed |= bool(made.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
