"""What one call asks for: which rows it shows, which label, persona and length; and the messages that say so.

Everything is drawn from the request's seed and the call's number, so that a synthesis that goes on asks what it would
have asked.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workbench.datasets import Case
from workbench.prompting.prompt import Message
from workbench.synthesis.material import SynthesisMaterial
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.row_schema import RowSchema

_SYSTEM = """\
You write rows for a dataset that language models are trained on. A row is one JSON object with exactly the keys of \
the rows you are shown. Write one new row: another situation, other words, other names and numbers than in those rows, \
as plausible and as varied in style as they are. Answer with the JSON object alone."""


class CallPlan(NamedTuple):
    """shown: rows of the material. label: the expected answer asked for, "" for any. words: of the longest text."""

    number: int
    seed: int
    shown: tuple[Case, ...]
    label: str
    persona: str
    words: int


def plan_call(
    request: SynthesisRequest, material: SynthesisMaterial, number: int, wanted: Mapping[str, int]
) -> CallPlan:
    """The call of that number, from 0. wanted: rows by label that there are or are under way."""
    draw = random.Random(f"{request.seed}:{number}")
    seeds = material.seeds
    shown = tuple(draw.sample(seeds, min(request.shown, len(seeds))))
    label = _choose_label(request, material, draw, wanted)
    same = [case for case in seeds if label and case.expected == label]
    if same and not any(case.expected == label for case in shown):
        shown = (*shown[:-1], draw.choice(same))
    persona = draw.choice(request.personas) if request.personas else ""
    model_row = draw.choice(same or seeds)
    words = max((len(model_row.variables.get(name, "").split()) for name in material.inputs), default=0)
    return CallPlan(number, request.seed * 1_000_003 + number, shown, label, persona, words)


def _choose_label(
    request: SynthesisRequest, material: SynthesisMaterial, draw: random.Random, wanted: Mapping[str, int]
) -> str:
    """The rarest label where labels are to be balanced, else one drawn as often as the rows have it."""
    labels = material.task.labels
    if not labels:
        return ""
    if request.balance:
        rarest = min(wanted.get(label, 0) for label in labels)
        return draw.choice([label for label in labels if wanted.get(label, 0) == rarest])
    counts = Counter(case.expected.strip() for case in material.seeds if case.expected)
    return draw.choices(labels, [counts[label] for label in labels])[0]


def make_messages(request: SynthesisRequest, plan: CallPlan, schema: RowSchema) -> tuple[Message, ...]:
    """The conversation of a call."""
    rows = [json.dumps(schema.to_object(case), ensure_ascii=False) for case in plan.shown]
    parts = [
        *([f"What the rows are: {request.about}"] if request.about else []),
        "Rows of the dataset:\n" + "\n".join(rows),
        "\n".join(_list_wishes(plan, schema)),
    ]
    return (Message("system", _SYSTEM), Message("user", "\n\n".join(parts)))


def _list_wishes(plan: CallPlan, schema: RowSchema) -> Sequence[str]:
    wishes = ["Write one new row."]
    if plan.label:
        wishes.append(f'Its "{schema.answer}" is {json.dumps(plan.label, ensure_ascii=False)}.')
    if plan.persona:
        wishes.append(f"It comes from: {plan.persona}.")
    if plan.words > 1:
        wishes.append(f"Its longest text has about {plan.words} words.")
    return wishes
