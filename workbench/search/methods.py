"""The methods of search by name: each proposes and evaluates candidates until it is stopped or has none left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from workbench.search.request import SearchMethod

_METHODS: Mapping[SearchMethod, tuple[str, str]] = {
    "examples": ("workbench.search.example_selection", "select_examples"),
    "instructions": ("workbench.search.instructions", "search_instructions"),
    "both": ("workbench.search.joint", "search_jointly"),
}


def find_method(name: SearchMethod) -> Callable[[Any], None]:
    """The function of a method, which takes a MethodContext; its module is imported when it is wanted."""
    module, function = _METHODS[name]
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
