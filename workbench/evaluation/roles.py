"""Roles: what kind of variant each one is, so that a report can answer the question behind a comparison.

Knows nothing of scores. A variant with an adapter at work is an adapter; one whose prompt shows examples is few-shot.
"""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import Variant
from workbench.evaluation.opening import open_library
from workbench.evaluation.summary import Role
from workbench.evaluation.view import RunView
from workbench.library.library import Library
from workbench.settings import load_settings


def find_roles(view: RunView) -> dict[str, Role]:
    """By variant; those whose prompt cannot be found any more have none."""
    try:
        library = open_library(load_settings(), view.bench, Path(view.run.folder))
    except WorkbenchError:
        return {}
    return {variant.name: _find(variant, library) for variant in view.bench.variants}


def _find(variant: Variant, library: Library) -> Role:
    try:
        prompt = library.open(variant.prompt).prompt
    except WorkbenchError:
        return ""
    shown = [one for one in prompt.examples if one.id not in variant.examples_off]
    return name_role(variant, bool(shown) and prompt.placement != "none")


def name_role(variant: Variant, few_shot: bool) -> Role:
    if any(choice.on and choice.scale != 0 for choice in variant.adapters):
        return "adapter, few-shot" if few_shot else "adapter"
    return "few-shot" if few_shot else "zero-shot"
