"""Pictures of every screen and dialog: `python -m tests.gallery FOLDER` writes them beside an index.html to look at."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_STYLE = "body{background:#888;columns:2;margin:1em}figure{margin:0 0 1em;break-inside:avoid}img{width:100%}"


def write_index(folder: Path, files: Sequence[str]) -> None:
    shown = "".join(f'<figure><img src="{escape(file)}" loading="lazy"></figure>' for file in sorted(files))
    (folder / "index.html").write_text(f"<!doctype html><title>workbench</title><style>{_STYLE}</style>{shown}")


def main() -> None:
    sys.path[:0] = [str(_TESTS / "tui"), str(_TESTS)]  # as pytest has them
    from gallery import LOOKS, SIZES, draw

    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="part of the name of a screen")
    parser.add_argument("--size", action="append", default=[], help="such as 80x24; all three without")
    parser.add_argument("--look", action="append", default=[], help=", ".join(look.name for look in LOOKS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sizes = [size for size in SIZES if not arguments.size or f"{size[0]}x{size[1]}" in arguments.size]
    looks = [look for look in LOOKS if not arguments.look or look.name in arguments.look]
    files = asyncio.run(draw(arguments.folder, sizes, looks, arguments.only))
    write_index(arguments.folder, files)
    print(f"{len(files)} pictures in {arguments.folder / 'index.html'}")


if __name__ == "__main__":
    main()
