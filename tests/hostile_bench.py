"""A bench in which everything that can bear a text bears one that a terminal would act on, or that reads as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path

STEERING = "\x1b]52;c;UFdORUQ=\x1b\\ \u202eback \x9b31m \x1b[2J\x1b[7777;1H \u2067\u200f"
MARKUP = (
    "qwen [/no_think]",
    "few-shot [INST]",
    "[b]x",
    "[/red]",
    "[b",
    "$x",
    "x [@click=app.screenshot('f','/tmp')]C[/]",
    "end\\",
)
SCRIPT = {"rules": [{"reply": f"reply [/b] {STEERING}", "thinking": STEERING}], "context_tokens": 4000}

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_C1 = re.compile("[\x80-\x9f]")
_FOREIGN = re.compile("\x1b\\]52[^\x07]{0,20}|\x1b\\[2J|\x1b\\[7777")
_SGR = re.compile("\x1b\\[[0-9;]*m")


def write_hostile(folder: Path, name: str = STEERING) -> Path:
    """Write it; the bench's path. name: what everything is called."""
    safe = name.replace("/", "÷").replace("\x00", "")  # a file's name holds no slash
    model = f"m {safe}.script.json"
    prompt = "p " + "".join(char for char in safe if char.isprintable() and char != "\\").strip()  # as names have to be
    (folder / model).write_text(json.dumps(SCRIPT))
    example = {"id": f"e {name}", "message": f"q {name}", "answer": f"a {name}"}
    (folder / "shots.jsonl").write_text(json.dumps(example) + "\n")
    front = {
        "name": f"n {name}",
        "description": f"d {name}",
        "metadata": {"workbench": {"examples": "shots.jsonl", "placement": "turns"}},
    }
    body = f"user:\nbody {name.replace('{', '(')} {{{{ message }}}}\n"
    (folder / f"{prompt}.prompty").write_bytes(f"---\n{json.dumps(front)}\n---\n{body}".encode())
    (folder / "plain.prompty").write_text("user:\n{{ message }}\n")
    rows = [
        {"message": f"cell {number} {name}", "expected": f"x {name}", f"column {name}": name} for number in range(3)
    ]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench = {
        "dataset": {"path": "cases.jsonl"},
        "scorers": [{"exact_match": {"name": f"exact {name}"}}, {"contains": {"name": f"has {name}"}}],
        "variants": [
            {"name": f"v {name}", "prompt": prompt, "model": model},
            {"name": "plain", "prompt": "plain", "model": model},
            {"name": f"broken {name}", "prompt": f"gone {name}", "model": f"no {name}"},
        ],
    }
    path = folder / "hostile.bench.yaml"
    path.write_text(json.dumps(bench))
    return path


def find_foreign(text: str, styled: bool = False) -> list[str]:
    """What in a command's output steers a terminal. styled: whether colours are its own."""
    found = [*_BIDI.findall(text), *_C1.findall(text)]
    rest = _SGR.sub("", text) if styled else text
    return [*found, *re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f][^\n]{0,20}", rest)]


def find_foreign_on_screen(text: str) -> list[str]:
    """What in the bytes of a whole session of the app was not made by Textual."""
    return [*_BIDI.findall(text), *_C1.findall(text), *_FOREIGN.findall(text)]
