"""What a bench allows its own Python scorers beyond what each of them has anyway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec


class Permissions(msgspec.Struct, frozen=True, omit_defaults=True):
    """network: whether it may reach other machines. environment: names of variables that it sees, each once."""

    network: bool = False
    environment: tuple[str, ...] = ()

    def describe(self) -> Iterator[str]:
        """A line for each permission."""
        if self.network:
            yield "may use the network"
        if self.environment:
            yield f"sees {', '.join(self.environment)} of your environment"


NOTHING = Permissions()


def unite(several: Iterable[Permissions]) -> Permissions:
    """What scorers that share a process have together."""
    found = list(several)
    names = dict.fromkeys(name for one in found for name in one.environment)
    return Permissions(any(one.network for one in found), tuple(sorted(names)))


def read_permissions(options: dict[str, Any]) -> Permissions:
    """Those in the options of a `python` scorer as the bench writes them; what is no such option allows nothing."""
    names = options.get("environment")
    listed = [name for name in names if isinstance(name, str)] if isinstance(names, (list, tuple)) else []
    return unite([Permissions(options.get("network") is True, tuple(listed))])
