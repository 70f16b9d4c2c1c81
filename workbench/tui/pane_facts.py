"""PaneFacts: what of a variant its pane has to say: only what the other variants do not share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from workbench.inference.sampling_fields import FIELDS
from workbench.runs.bench import Variant
from workbench.tui.constraints import list_refused
from workbench.tui.figures import cut_middle, list_adapters, show_adapters
from workbench.units import format_plural

_SHORT = {"temperature": "t", "top_p": "p", "top_k": "k", "min_p": "min-p", "max_tokens": "max"}
_CONSTRAINTS = ("grammar", "json_schema")
_LONGEST = 24
"""cells of a value, such as a stop string"""


class PaneFacts(NamedTuple):
    """model: its name, which may be long. others: in a few characters each. warnings: what the engine refuses.

    adapters: all of the variant, whether others share them or not, where one is on. scale: of the first that is.
    """

    model: str = ""
    others: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    scale: float = 1.0


def list_facts(variants: Sequence[Variant], unsupported: Sequence[Collection[str]]) -> list[PaneFacts]:
    """For each variant what differs between them, and what its engine refuses.

    A prompt that the pane is named after is said by the name already, and so is the folder that all prompts lie in.
    Of settings that most variants share, only the others speak.
    unsupported: for each variant, the fields of Sampling that its engine is known not to follow.
    """
    folders = {variant.prompt.rpartition("/")[0] for variant in variants}
    folder = folders.pop() if len(folders) == 1 else ""
    models = len({variant.model for variant in variants})
    usual = _find_usual([_list_settings(variant) for variant in variants])
    return [
        PaneFacts(
            variant.model if models > 1 else "",
            tuple(filter(None, (_show_prompt(variants, variant, folder), *_list_unusual(variant, usual)))),
            list_refused(variant, ignored),
            list_adapters(variant.adapters) if variant.has_adapter else (),
            next((choice.scale for choice in variant.adapters if choice.on), 1.0),
        )
        for variant, ignored in zip(variants, unsupported, strict=True)
    ]


def _list_settings(variant: Variant) -> dict[str, object]:
    """Everything but the prompt, the model and adapters that are on, by name."""
    off = len(variant.examples_off)
    greedy = variant.sampling.temperature == 0
    return {
        "adapters": "" if variant.has_adapter else show_adapters(variant.adapters),
        "examples": f"{format_plural(off, 'example')} off" if off else "",
        **{field.name: _show_field(variant, field.name) for field in FIELDS if not (greedy and field.name == "seed")},
        "retrieve": str(variant.retrieval or ""),
        "deterministic": "deterministic" if variant.deterministic else "",
        **{f"template {name}": f"{name} {value}" for name, value in variant.chat_template_kwargs.items()},
    }


def _find_usual(settings: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Of each setting the value that more than half of the variants have, where there is one."""
    usual: dict[str, object] = {}
    for name in {name for one in settings for name in one}:
        value, count = Counter(one.get(name, "") for one in settings).most_common(1)[0]
        if count * 2 > len(settings):
            usual[name] = value
    return usual


def _list_unusual(variant: Variant, usual: Mapping[str, object]) -> list[str]:
    return [str(text) for name, text in _list_settings(variant).items() if usual.get(name) != text]


def _show_prompt(variants: Sequence[Variant], variant: Variant, folder: str) -> str:
    prompt = variant.prompt.removeprefix(f"{folder}/") if folder else variant.prompt
    named_after = prompt.casefold() in (variant.name.casefold(), variant.name.casefold().replace(" ", "-"))
    shared = all(other.prompt == variant.prompt for other in variants)
    return "" if shared or named_after else prompt


def _show_field(variant: Variant, name: str) -> str:
    """`t 0.7`, `stop END`; empty where the field does nothing."""
    value = getattr(variant.sampling, name)
    label = _SHORT.get(name, name.replace("_", " "))
    if name == "temperature" and value == 0:
        return "greedy"
    if name in _CONSTRAINTS:
        return label if value else ""
    if value in ("", (), None) or value == {}:
        return ""
    if isinstance(value, tuple):
        value = ", ".join(value)
    if isinstance(value, dict):
        value = len(value)
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{label} {cut_middle(shown, _LONGEST)}"
