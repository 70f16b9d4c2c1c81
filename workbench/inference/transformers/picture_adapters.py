"""Adapters beside pictures: what changes how a model sees them is not applied here, and so is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer

from workbench.errors import ModelError
from workbench.models.reference import Applied


def check_adapters(module: Any, base: Any, applied: Sequence[Applied]) -> None:
    """Raise ModelError that names the adapters where they change layers in front of the text model.

    module: with the adapters. base: the model without, by which pictures are encoded.
    """
    if module is base:
        return
    decoder = base.get_decoder()
    inside = {name for name, one in base.named_modules() if one is decoder}
    heads = {name for name, one in base.named_modules() if one is base.get_output_embeddings()}
    peft_model = getattr(module, "peft_model", module)
    for name, layer in peft_model.named_modules():
        if not isinstance(layer, BaseTunerLayer):
            continue
        own = name.removeprefix("base_model.model.")
        if own not in heads and not any(own.startswith(f"{prefix}.") for prefix in inside):
            names = ", ".join(one.adapter.name for one in applied)
            raise ModelError(
                f"{names} changes how the model sees ({own}), and pictures are encoded by the base alone here.",
                "Show it no pictures, or take an adapter of the text model's layers.",
            )
