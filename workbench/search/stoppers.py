"""Why a search ends before its method has nothing left to try."""

from __future__ import annotations

REFLECTOR_FAILURES = 3
"""in a row, after which a reflector is given up"""


class SearchStopped(BaseException):
    """Ends a method from within. No Exception, for a library between may catch all of those."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stoppers:
    """Perfect score, rounds without an improvement, failures of the reflector. The budget is looked at before each
    batch, by who spends it. best_possible: None where no score is perfect."""

    def __init__(self, best_possible: float | None, patience: int) -> None:
        self._best_possible = best_possible
        self._patience = patience
        self._rounds_without_gain = 0
        self._failures = 0
        self.rounds = 0

    def end_round(self, improved: bool) -> None:
        self.rounds += 1
        self._rounds_without_gain = 0 if improved else self._rounds_without_gain + 1

    def note_reflection(self, failed: bool) -> None:
        self._failures = self._failures + 1 if failed else 0

    def find_reason(self, best: float | None) -> str:
        """Why to stop, in words; "" to go on. best: the best mean on dev so far."""
        if best is not None and self._best_possible is not None and best >= self._best_possible:
            return "the best possible score was reached on dev"
        if self._failures >= REFLECTOR_FAILURES:
            return f"the reflector failed {self._failures} times in a row"
        if self._rounds_without_gain >= self._patience:
            return f"{self._rounds_without_gain} rounds brought no improvement"
        return ""
