"""`python -m tests.soak [--requests 10000] [--seed 1] [--file ...] [--threads 2]`: a soak of the embedded model.

With `--keep FOLDER` it can be stopped: `--seconds 60` gives the comparing so long, and the next call goes on.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from pathlib import Path

from .soak_report import Soak
from .soak_run import soak

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--requests", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--file", default="desk-q8_0.gguf", help="which file of assets/")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--keep", type=Path, help="a folder of its own")
parser.add_argument("--seconds", type=float, default=float("inf"))


def main(chosen: argparse.Namespace, folder: Path) -> int:
    kept = folder / "soak.pickle"
    if kept.exists():
        made: Soak = pickle.loads(kept.read_bytes())
        made.judge(chosen.seconds)
    else:
        made = soak(chosen.requests, chosen.seed, folder, chosen.file, chosen.threads)
        if chosen.seconds == float("inf"):
            made.judge()
    kept.write_bytes(pickle.dumps(made))
    print("\n".join(made.report.lines()), flush=True)
    if made.left:
        print(f"{len(made.left):,} are not compared yet: run it again with the same folder")
    return 2 if made.left else int(bool(made.report.odd or made.report.wrong))


if __name__ == "__main__":
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.keep:
            chosen.keep.mkdir(parents=True, exist_ok=True)
        raise SystemExit(main(chosen, chosen.keep or Path(folder)))
