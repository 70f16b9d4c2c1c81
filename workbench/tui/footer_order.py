"""Footer order: the keys that work now, in the order a person looks for them.

Knows nothing of what the keys do.
"""

from __future__ import annotations

from typing import Any

from textual.binding import ActiveBinding, Binding
from textual.screen import Screen


def order_bindings(screen: Screen[Any], active: dict[str, ActiveBinding]) -> dict[str, ActiveBinding]:
    """Help first, then what the focused widget alone knows, then the screen's own keys as it declares them."""
    order = ["app.help", *(binding.id for binding in screen.BINDINGS if isinstance(binding, Binding))]
    own = [key for key, (node, *_) in active.items() if node is screen.focused]
    placed = sorted((key for key in active if key not in own), key=lambda key: _place(active[key].binding.id, order))
    help_first = sorted(placed, key=lambda key: active[key].binding.id != "app.help")
    return {key: active[key] for key in [*help_first[:1], *own, *help_first[1:]]}


def _place(id: str | None, order: list[str | None]) -> int:
    return order.index(id) if id in order else len(order)
