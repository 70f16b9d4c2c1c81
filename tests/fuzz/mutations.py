"""Mutations of bytes: what files from elsewhere look like when they are cut, damaged or made to harm.

Everything is drawn from one `random.Random`, so a seed and a number name one input for good.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

NASTY = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",  # a lone surrogate
    b"\xe2\x80\xae",  # a right-to-left override
    b"\x1b]52;c;UFdORUQ=\x1b\\",
    b"{" * 2000,
    b"[" * 5000,
    b"'\"",
    b"\r\n\r",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"-1",
    b"99999999999999999999",
    b"null",
    b"true",
    b"A" * 300,
    b"~nosuchuser/x",
    b"/dev/zero",
    b"../" * 90,
    b"&a [*a, *a, *a, *a, *a, *a, *a, *a]",
    b"<<: *x",
    b"!!python/object:os.system",
    b"{{ 'x' * 10000000 }}",
    b"{% for i in range(99999999) %}{% endfor %}",
    b"(a+)+$",
)
"""Pieces that are inserted or put in place of others."""

NUMBERS = tuple(
    value.to_bytes(size, "little", signed=value < 0)
    for size in (4, 8)
    for value in (0, 1, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)), 2 ** (8 * size - 4))
)


def mutate(data: bytes, draw: random.Random) -> bytes:
    """The bytes after one to four mutations."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4))):
        _mutate_once(changed, draw)
    return bytes(changed)


def _mutate_once(data: bytearray, draw: random.Random) -> None:
    # Headers matter more than bodies: half of the places lie in the first 300 bytes.
    reach = min(len(data), 300) if draw.random() < 0.5 else len(data)
    at = draw.randrange(reach + 1)
    match draw.randrange(9):
        case 0 if data:
            data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
        case 1 if data:
            data[min(at, len(data) - 1)] = draw.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + draw.choice((1, 2, 4, 16, 200))]
        case 4:
            piece = draw.choice(NASTY)
            data[at:at] = piece
        case 5:
            piece = draw.choice(NASTY)
            data[at : at + max(1, len(piece))] = piece
        case 6:
            piece = draw.choice(NUMBERS)
            data[at : at + len(piece)] = piece
        case 7:
            start = draw.randrange(len(data) + 1)
            data[at:at] = data[start : start + draw.choice((1, 8, 64, 1000))]
        case _:
            data[at:at] = bytes(draw.randrange(256) for _ in range(draw.choice((1, 3, 12))))


def write_mutant(
    seed: Path, target: Path, draw: random.Random, mutate: Callable[[bytes, random.Random], bytes] = mutate
) -> Path:
    """A mutated copy of a file, or of a folder in which one file is changed, removed or replaced."""
    if seed.is_file():
        path = target / seed.name
        path.write_bytes(mutate(seed.read_bytes(), draw))
        return path
    path = target / seed.name
    shutil.copytree(seed, path, symlinks=True)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    changed = draw.choice(files)
    match draw.randrange(12):
        case 0:
            changed.unlink()
        case 1:
            changed.unlink()
            changed.mkdir()
        case 2:
            changed.unlink()
            changed.symlink_to(changed)
        case _:
            changed.write_bytes(mutate(changed.read_bytes(), draw))
    return path
