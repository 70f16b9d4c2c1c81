"""What a search may cost and has cost: calls, tokens, time and money."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from workbench.units import format_duration, format_money, format_plural


class Spending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was spent so far.

    calls: answers that the model under test and the reflector were asked for; cached: answers that were known already
    and cost nothing. seconds: while the search ran. money: by the prices that are known, judges among it.
    reflector_calls: a part of calls.
    """

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0
    reflector_calls: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spending) -> Spending:
        return Spending(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


_NOTHING = Spending()


class SearchBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a search may cost at most; None: no limit. All of it includes the final test.

    calls are kept to. Of the others, the final test's share is kept back by what an answer took so far, and answers
    that end at the same moment may pass them: describe_overruns tells by how much.
    """

    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None
    money: float | None = None

    def find_exhausted(self, spent: Spending, kept: Spending = _NOTHING) -> str:
        """Which limit is reached, in words; "" where none is. kept: beside calls, for the final test."""
        if reason := self._find_exhausted(spent):
            return reason
        reason = self._find_exhausted(msgspec.structs.replace(spent + kept, calls=0))
        return reason and f"{reason}, but for what the final test takes"

    def _find_exhausted(self, spent: Spending) -> str:
        if self.calls is not None and spent.calls >= self.calls:
            return f"the budget of {self.calls:,} calls is spent"
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens is spent"
        if self.minutes is not None and spent.seconds >= 60 * self.minutes:
            return f"the time budget of {format_duration(60 * self.minutes)} is spent"
        if self.money is not None and spent.money >= self.money:
            return f"the budget of {format_money(self.money)} is spent"
        return ""


def describe_overruns(searched: Spending, spent: Spending, budget: SearchBudget) -> list[str]:
    """Which limits were passed, and by how much; calls never are.

    searched: what was spent before the final test, spent: with it.
    """
    limits: list[tuple[str, float | None, float, float, Callable[[float], str]]] = [
        (
            "token budget",
            budget.tokens,
            searched.tokens,
            spent.tokens,
            _format_tokens,
        ),
        ("time budget", budget.minutes and 60 * budget.minutes, searched.seconds, spent.seconds, format_duration),
        ("money budget", budget.money, searched.money, spent.money, format_money),
    ]
    found = []
    for name, limit, before, after, show in limits:
        if limit is None or after <= limit:
            continue
        parts = [
            f"{show(more)} {why}"
            for more, why in (
                (before - limit, "by answers that ended when it was reached"),
                (after - max(before, limit), "by the final test, which is always run whole"),
            )
            if more > 0
        ]
        found.append(f"The {name} of {show(limit)} was passed by {show(after - limit)}: {' and '.join(parts)}.")
    return found


def _format_tokens(count: float) -> str:
    return format_plural(round(count), "token")


def describe_spending(spent: Spending, budget: SearchBudget) -> str:
    """Calls, tokens, time and money in one line, each with what is left of it."""
    calls = f"{spent.calls:,}" + (f" of {budget.calls:,}" if budget.calls is not None else "") + " calls"
    parts = [calls, format_plural(spent.tokens, "token"), format_duration(spent.seconds)]
    if spent.cached:
        parts.insert(1, f"{spent.cached:,} cached")
    if spent.reflector_calls:
        parts.insert(1, f"{spent.reflector_calls:,} of them to the reflector")
    if spent.money:
        limit = f" of {format_money(budget.money)}" if budget.money is not None else ""
        parts.append(f"{format_money(spent.money)}{limit}")
    return ", ".join(parts)
