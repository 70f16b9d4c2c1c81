"""Lineage: whether a model is the one that an adapter says it was trained on, as far as names tell.

Knows nothing of shapes (compatibility.py), which decide whether the adapter can be laid over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.models.reference import Model


def is_base(named: str, model: Model) -> bool:
    """Whether a model goes by the name of an adapter's base; another form of it (a quantised file) does too.

    An adapter that names none may belong to any.
    """
    wanted = _plain(named.rstrip("/").rpartition("/")[2])
    return not wanted or any(wanted in _plain(part) for part in (model.name, *model.path.parts[-4:]))


def find_base(named: str, models: Iterable[Model]) -> Model | None:
    """The first of the models that goes by the name of an adapter's base; None where none does."""
    return next((model for model in models if is_base(named, model)), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removesuffix(".gguf"))
