"""Finds which of several labels a text names."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from workbench.scoring.text.normalization import clean, normalize
from workbench.scoring.text.words import is_unspaced

_SHORT = 3
# What stands directly at a label and makes it part of a longer word: non-toxic, C++, C#, 5%, Node.js, R&D, -5, .NET.
_BEFORE = r"(?<![\p{L}\p{M}\p{N}_#+@\\])(?<![\p{L}\p{M}\p{N}][-‐‑.&'’])(?<!(?:^|[\s(])[-−+.])"
_AFTER = r"(?![\p{L}\p{M}\p{N}_+#%°]|[-‐‑.&@'’][\p{L}\p{M}\p{N}](?<!['’]s))"
_POSSESSIVE = r"(?=['’]s(?![\p{L}\p{M}\p{N}]))"


def find_labels(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that a text names, each once, in the order of the list.

    A label that stands inside a longer one, or inside a longer word, is not named by it. A label of up to three
    letters in another case counts only where nothing else is named: "It is HR" does not name the label IT.
    """
    plain = " ".join(clean(text).split())
    exact = _find(plain, {" ".join(clean(label).split()): label for label in labels})
    loose = _find(clean(plain.casefold()), {normalize(label): label for label in labels})
    certain = exact | {label for label in loose if len(label) > _SHORT}
    return tuple(label for label in labels if label in (certain or loose))


def _find(text: str, labels: dict[str, str]) -> set[str]:
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = regex.compile("|".join(f"(?:{_bound(label)})" for label in longest_first))
    return {labels[match[0]] for match in pattern.finditer(text)}


def _bound(label: str) -> str:
    """A pattern for the label as a word of its own; where a script writes no spaces any place will do."""
    before = "" if is_unspaced(label[0]) else _BEFORE
    after = "" if is_unspaced(label[-1]) else f"(?:{_AFTER}|{_POSSESSIVE})"
    return f"{before}{regex.escape(label)}{after}"
