"""A prompt said a little differently, to see how far a score hangs on its exact wording.

Only the prompt changes: what a case brings, the template's tags and the roles stay as they are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import msgspec

from workbench.prompting.prompt import Prompt
from workbench.prompting.template import MARKER
from workbench.runs.bench import Bench, Perturbation, Perturbations, Variant

_KEPT = re.compile(
    rf"\{{\{{.*?\}}\}}|\{{%.*?%\}}|\{{#.*?#\}}|^(?:{MARKER.pattern})$", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{5,}")
_CASINGS: tuple[Callable[[str], str], ...] = (str.lower, str.title, str.upper)
_TRIES = 8  # seeds tried for each alternate that is wanted, before there are none


def add_perturbations(bench: Bench, open_prompt: Callable[[str], Prompt]) -> Bench:
    """The bench with the perturbed of its variants after them, named such as `few-shot ~ casing 1`.

    A perturbation that changes nothing, such as another order of no examples, gives no alternate.
    Raises what open_prompt raises.
    """
    wanted = bench.perturbations
    chosen = wanted if isinstance(wanted, Perturbations) else Perturbations(kinds=wanted or Perturbations().kinds)
    written = [variant for variant in bench.variants if variant.perturbation is None]
    perturbed = [
        alternate for variant in written for alternate in make_perturbed(variant, open_prompt(variant.prompt), chosen)
    ]
    return msgspec.structs.replace(bench, variants=(*bench.variants, *perturbed))


def make_perturbed(variant: Variant, prompt: Prompt, wanted: Perturbations) -> Iterator[Variant]:
    """Up to `count` perturbed of each kind, all different from one another and from the variant."""
    examples = tuple(each for each in prompt.examples if each.id not in variant.examples_off)
    shown = msgspec.structs.replace(prompt, examples=examples)
    for kind in wanted.kinds:
        seen = [shown]
        for seed in range(wanted.seed, wanted.seed + _TRIES * wanted.count):
            one = Perturbation(variant.name, kind, seed)
            changed = perturb(shown, one)
            if changed not in seen:
                name = f"{variant.name} ~ {kind} {len(seen)}"
                yield msgspec.structs.replace(variant, name=name, perturbation=one)
                seen.append(changed)
            if len(seen) > wanted.count:
                break


def perturb(prompt: Prompt, perturbation: Perturbation | None) -> Prompt:
    """The prompt as a perturbation has it; the same for the same perturbation, on every machine."""
    if perturbation is None:
        return prompt
    draw = random.Random(f"{perturbation.kind} {perturbation.seed}")
    steps = tuple(
        msgspec.structs.replace(step, content=perturb(step.content, perturbation)) if step.content else step
        for step in prompt.steps
    )
    match perturbation.kind:
        case "order":
            return msgspec.structs.replace(_reorder(prompt, draw), steps=steps)
        case "casing":
            change = _CASINGS[perturbation.seed % len(_CASINGS)]
        case "whitespace":
            change = lambda text: _space_out(text, draw)  # noqa: E731
        case "typos":
            change = lambda text: _add_typos(text, draw)  # noqa: E731
    kept = _TAGS if prompt.mode == "completion" else _KEPT
    return msgspec.structs.replace(prompt, body=_change_text(prompt.body, kept, change), steps=steps)


def _change_text(body: str, kept: re.Pattern[str], change: Callable[[str], str]) -> str:
    """The body with its own words changed, and what is not words left alone."""
    pieces: list[str] = []
    start = 0
    for match in kept.finditer(body):
        pieces += [change(body[start : match.start()]), match[0]]
        start = match.end()
    return "".join([*pieces, change(body[start:])])


def _space_out(text: str, draw: random.Random) -> str:
    """Some spaces doubled, some lines with a space behind them or an empty line after them."""

    def widen(match: re.Match[str]) -> str:
        if match[0] == " ":
            return "  " if draw.random() < 0.15 else " "
        return draw.choice(["\n", "\n", " \n", "\n\n"])

    return re.sub(r"(?<=\S)(?: |\n)(?=\S)", widen, text)


def _add_typos(text: str, draw: random.Random) -> str:
    """Two letters swapped in about one long word of ten."""

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        if draw.random() >= 0.1:
            return word
        at = draw.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _WORD.sub(swap, text)


def _reorder(prompt: Prompt, draw: random.Random) -> Prompt:
    examples = list(prompt.examples)
    if prompt.placement != "none":
        draw.shuffle(examples)
    return msgspec.structs.replace(prompt, examples=tuple(examples))
