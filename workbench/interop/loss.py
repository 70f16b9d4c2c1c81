"""LossList: what of an imported or exported file the other side cannot do, so that nothing is dropped silently."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

LossKind = Literal["lost", "changed"]
"""lost: it does not run on the other side. changed: it runs, but may give another text or figure."""

_SHOWN = 3


class Loss(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is lost or changed.

    noun: what kind of thing, in the plural, such as assertions. reason: why, or what it would need. where: the file,
    and the test or key.
    """

    noun: str
    reason: str
    where: str = ""
    kind: LossKind = "lost"


class LossList:
    """losses: in the order in which they were found. totals: of a noun, how many there are in all."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []
        self.totals: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.losses)

    def lose(self, noun: str, reason: str, where: str = "") -> None:
        self.losses.append(Loss(noun, reason, where))

    def change(self, noun: str, reason: str, where: str = "") -> None:
        self.losses.append(Loss(noun, reason, where, "changed"))

    def count(self, noun: str, number: int = 1) -> None:
        """Count things of a kind, lost or not, for `3 of 41`."""
        self.totals[noun] += number

    def merge(self, other: LossList) -> None:
        self.losses += other.losses
        self.totals += other.totals

    def lines(self) -> tuple[str, ...]:
        """A sentence for each kind of thing and reason, those that are lost first."""
        found: dict[tuple[LossKind, str, str], list[str]] = {}
        for one in sorted(self.losses, key=lambda one: one.kind != "lost"):
            found.setdefault((one.kind, one.noun, one.reason), []).append(one.where)
        return tuple(self._describe(*key, wheres) for key, wheres in found.items())

    def summary(self) -> str:
        """One line: `3 of 41 assertions cannot run here: javascript 2, python 1`; empty where nothing is lost."""
        lost = Counter(one.noun for one in self.losses if one.kind == "lost")
        parts = []
        for noun, number in lost.items():
            reasons = Counter(one.reason for one in self.losses if one.noun == noun and one.kind == "lost")
            shown = ", ".join(f"{reason} {count}" if len(reasons) > 1 else reason for reason, count in reasons.items())
            parts.append(f"{self._share(noun, number)} cannot run here: {shown}")
        changed = sum(one.kind == "changed" for one in self.losses)
        if changed:
            parts.append(f"{changed:,} changed" if parts else f"{changed:,} changed, nothing lost")
        return "; ".join(parts)

    def _share(self, noun: str, number: int) -> str:
        total = self.totals[noun]
        singular = number == 1 and not total and noun.endswith("s") and " " not in noun
        return f"{number:,} of {total:,} {noun}" if total else f"{number:,} {noun[:-1] if singular else noun}"

    def _describe(self, kind: LossKind, noun: str, reason: str, wheres: list[str]) -> str:
        share = self._share(noun, len(wheres))
        verb = "cannot run here" if kind == "lost" else "changed"
        named = [where for where in dict.fromkeys(wheres) if where]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        shown = f" ({', '.join(named[:_SHOWN])}{more})" if named else ""
        return f"{share} {verb}: {reason}{shown}"
