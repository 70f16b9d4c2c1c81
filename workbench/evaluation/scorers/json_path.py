"""JSON paths: the way to a value inside a JSON value, such as `$.items[0].name`.

Names, positions and nothing else: no wildcards, no filters, so that a path means one value.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from workbench.errors import ScorerError
from workbench.evaluation.scorers.normalization import clean

_PART = re.compile(r"""\.?([^.\[\]'"]+)|\[(-?[0-9]+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")


class JsonPath(NamedTuple):
    """The names and positions on the way."""

    parts: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """The path a text describes; `$` in front may be left out. Raises ScorerError."""
        rest = text.strip().removeprefix("$")
        parts: list[str | int] = []
        while rest:
            match = _PART.match(rest)
            if match is None:
                raise ScorerError(f"{text!r} is no JSON path: expected names and positions such as $.items[0].name")
            name, position, single, double = match.groups()
            parts.append(
                int(position) if position is not None else next(p for p in (name, single, double) if p is not None)
            )
            rest = rest[match.end() :]
        return cls(tuple(parts))

    def get(self, value: Any) -> Any:
        """The value at the path; None where there is none."""
        for part in self.parts:
            if isinstance(value, dict) and isinstance(part, str):
                value = _get(value, part)
            elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
                value = value[part]
            else:
                return None
        return value


def _get(value: dict[str, Any], name: str) -> Any:
    """The value of that name, whichever Unicode form the name has."""
    return value.get(name, next((held for key, held in value.items() if clean(key) == clean(name)), None))
