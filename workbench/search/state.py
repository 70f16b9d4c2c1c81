"""SearchState: what a journal adds up to, record by record; for the search itself and for who watches it."""

from __future__ import annotations

from collections import Counter

from workbench.search.budget import Spending
from workbench.search.candidate import SEED, Candidate
from workbench.search.journal import (
    BestChanged,
    CandidateDropped,
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    Reflected,
    RoundEnded,
    SearchContinued,
    SearchEnded,
    SearchEvent,
    SearchPaused,
    SearchProgress,
    SearchSpent,
    SearchStarted,
    TestOpened,
)
from workbench.search.request import SearchPart
from workbench.search.result import SearchResult


class SearchState:
    """See the module. candidates: those admitted, by id, the seed first. best: an id. openings: of the test part.
    test_run: of the final test, in the user's store."""

    def __init__(self) -> None:
        self.started: SearchStarted | None = None
        self.candidates: dict[str, Candidate] = {}
        self.refused: list[CandidateRefused] = []
        self.dropped: dict[str, str] = {}
        self.reflections: list[Reflected] = []
        self.best = SEED
        self.spending = Spending()
        self.rounds = 0
        self.rounds_without_gain = 0
        self.reflector_failures = 0
        self.paused = False
        self.openings = 0
        self.test_run = ""
        self.ended: SearchResult | None = None
        self._results: dict[tuple[str, SearchPart], dict[int, CaseResult]] = {}

    def add(self, record: SearchEvent) -> None:
        """Take one more record into account."""
        match record:
            case SearchStarted():
                self.started = record
                self.candidates[record.seed.id] = record.seed
            case CandidateProposed():
                self.candidates[record.candidate.id] = record.candidate
            case CandidateRefused():
                self.refused.append(record)
            case CandidateEvaluated():
                own = self._results.setdefault((record.candidate, record.part), {})
                own.update((result.case, result) for result in record.results)
                if record.part == "test":
                    self.test_run = record.run
            case CandidateDropped():
                self.dropped[record.candidate] = record.reason
            case BestChanged():
                self.best = record.candidate
            case Reflected():
                self.reflections.append(record)
                self.reflector_failures = self.reflector_failures + 1 if record.error else 0
            case RoundEnded():
                self.rounds = record.number
                self.rounds_without_gain = 0 if record.improved else self.rounds_without_gain + 1
            case SearchSpent():
                self.spending = record.spending
            case SearchProgress():
                self.spending = record.spending
            case SearchPaused():
                self.paused = True
            case SearchContinued():
                self.paused = False
            case TestOpened():
                self.openings = record.count
            case SearchEnded():
                self.ended = record.result

    def results(self, candidate: str, part: SearchPart = "dev") -> dict[int, CaseResult]:
        """What is known of a candidate on a part, by case number."""
        return self._results.get((candidate, part), {})

    def score(self, candidate: str, part: SearchPart = "dev") -> float | None:
        """The mean over the cases that have a value, higher is better; None where none has."""
        values = [one.value for one in self.results(candidate, part).values() if one.value is not None]
        return sum(values) / len(values) if values else None

    def mean_tokens(self, candidate: str, part: SearchPart = "dev") -> float:
        """Prompt tokens of a request, over the cases that were answered; 0 where none was."""
        counts = [one.prompt_tokens for one in self.results(candidate, part).values() if one.prompt_tokens]
        return sum(counts) / len(counts) if counts else 0.0

    def is_whole(self, candidate: str) -> bool:
        """Whether it has answered every dev case."""
        wanted = self.started.parts.get("dev", 0) if self.started else 0
        return len(self.results(candidate)) >= wanted > 0

    def count_refusals(self) -> dict[str, int]:
        """How often each guard refused."""
        return dict(Counter(refusal.guard for one in self.refused for refusal in one.refusals))
