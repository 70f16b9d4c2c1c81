"""Command line of the recipe: `python -m assets.recipe STEP`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .demo import write_demo
from .world import load_world

ASSETS = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m assets.recipe", description=__doc__)
    parser.add_argument("step", choices=["data"])
    parser.parse_args()
    write_demo(ASSETS / "data", load_world())


if __name__ == "__main__":
    main()
