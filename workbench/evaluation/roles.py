"""Roles: what kind of variant each one is, so that a report can answer the question behind a comparison.

Knows nothing of scores. A variant with an adapter at work is an adapter; one whose prompt shows examples is few-shot.
"""

from __future__ import annotations

from workbench.errors import StoreError
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.summary import Role


def find_role(provenance: str) -> Role:
    """What a variant is by what its answers came from; "" where that is not known."""
    if not provenance:
        return ""
    try:
        origin = Provenance.decode(provenance)
    except StoreError:
        return ""
    variant, prompt = origin.variant, origin.prompt
    shown = any(example.id not in variant.examples_off for example in prompt.examples)
    few_shot = shown and prompt.placement != "none"
    if any(choice.on and choice.scale != 0 for choice in variant.adapters):
        return "adapter, few-shot" if few_shot else "adapter"
    return "few-shot" if few_shot else "zero-shot"
