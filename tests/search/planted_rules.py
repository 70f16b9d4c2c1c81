"""A task whose rule is in the data alone: a word of each message decides its label. The scripted model answers right
where its prompt has the rule of that label, or shows an answered message with the word; else it is unsure.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = {
    "Abacus": "invoice",
    "Anvil": "crash",
    "Compass": "password",
    "Harbour": "broken",
    "Lantern": "parcel",
    "Meadow": "visit",
    "Orchard": "refund",
    "Willow": "cancel",
}
SEED = "---\nname: ask\n---\nsystem:\nChoose the queue.\n\nuser:\n{{ message }}\n"
BENCH = """\
dataset: {path: data/test.jsonl}
scorers: [exact_match]
variants:
  - {name: ask, prompt: ask, model: model.script.json, sampling: {max_tokens: 8}}
models:
  reflector: {path: reflector.script.json}
"""


def write_task(
    folder: Path,
    labels: int = 4,
    dev: int = 24,
    test: int = 40,
    noise: float = 0.0,
    seed: int = 0,
    rule: str = "{label}: {word}",
    unsure: str = "unsure",
    reflector: Sequence[dict[str, Any]] = (),
) -> Path:
    """The bench of a new task. noise: share of messages whose expected label is another one.

    rule: how a prompt has to state one; the usual way is what templates write. unsure: what the model
    answers without one.
    reflector: the rules of its script; none: one that adds the rule of the first label that went wrong.
    """
    names = list(LABELS)[:labels]
    chance = random.Random(seed)
    (folder / "data").mkdir(parents=True)
    start = 0
    for part, count in (("train", 8 * labels), ("validation", dev), ("test", test)):
        rows = [_make_row(names[at % labels], start + at, chance, names, noise) for at in range(count)]
        (folder / "data" / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        start += count
    (folder / "ask.prompty").write_text(SEED)
    known = [*(know_rule(name, rule) for name in names), *map(_know_example, names)]
    write_script(folder / "model.script.json", [*known, {"reply": unsure}])
    write_script(folder / "reflector.script.json", reflector or [_reflect(name, rule) for name in names])
    bench = folder / "planted.bench.yaml"
    bench.write_text(BENCH)
    return bench


def write_script(path: Path, rules: Sequence[dict[str, Any]], **more: object) -> None:
    path.write_text(json.dumps({"rules": list(rules), "context_tokens": 20_000, **more}))


def _make_row(label: str, number: int, chance: random.Random, names: list[str], noise: float) -> dict[str, str]:
    given = chance.choice(names) if chance.random() < noise else label
    filler = chance.choice(("Hello,", "Good day:", "Once more,", "Dear team,"))
    return {"message": f"{filler} about my {LABELS[label]} no. {number}", "expected": given}


def know_rule(label: str, rule: str) -> dict[str, Any]:
    """What the model answers where its prompt states the rule of a label."""
    word = LABELS[label]
    stated = re.escape(rule.format(label=label, word=word))
    return {
        "where": "prompt",
        "regex": rf"(?s)system: .*\b{stated}\b.*\nuser: [^\n]*\b{word}\b[^\n]*\n\Z",
        "reply": label,
    }


def _know_example(label: str) -> dict[str, Any]:
    word = LABELS[label]
    return {
        "where": "prompt",
        "regex": rf"(?s)user: [^\n]*\b{word}\b[^\n]*\nassistant: {label}\n.*user: [^\n]*\b{word}\b[^\n]*\n\Z",
        "reply": label,
    }


def _reflect(label: str, rule: str) -> dict[str, Any]:
    """Adds the rule of a label that a scorer says was expected, whoever wrote the prompt around it."""
    return {
        "regex": rf"(?s)```\n(?P<old>.*?)\n```.*Expected '{label}', got",
        "reply": f"Nothing is known of {label} yet.\n```\n{{old}}\n{rule.format(label=label, word=LABELS[label])}\n```",
    }
