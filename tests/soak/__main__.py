"""`python -m tests.soak [--requests 10000] [--seed 1] [--file desk-q8_0.gguf]`: a soak of the embedded model."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from .soak_report import soak

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--requests", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--file", default="desk-q8_0.gguf", help="which file of assets/")
chosen = parser.parse_args()
with tempfile.TemporaryDirectory() as folder:
    found = soak(chosen.requests, chosen.seed, Path(folder), chosen.file)
print("\n".join(found.lines()), flush=True)
raise SystemExit(bool(found.odd or found.wrong))
