"""SearchResult: how a search ended, with the figures of the winner and of the hand-written prompt."""

from __future__ import annotations

import msgspec

from workbench.analysis.example_effects import ExampleEffect
from workbench.analysis.summary import Estimate
from workbench.search.budget import SearchBudget, Spending
from workbench.search.candidate import Candidate


class PartScores(msgspec.Struct, frozen=True, omit_defaults=True):
    """The winner and the seed on the same cases of one part, in the metric's own direction.

    difference: winner minus seed, positive where the winner is better whichever direction the metric has. p: of the
    paired test; p_corrected: on dev over the candidates that were compared there, on test over its openings.
    unknown: why there is no interval.
    """

    seed: Estimate
    winner: Estimate
    difference: float
    low: float
    high: float
    p: float
    p_corrected: float
    family: int
    test: str
    n: int
    needed_cases: int | None = None
    unknown: str = ""


class SearchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """winner: the candidate with the best mean on dev; the seed itself where none beat it.

    improved: whether the winner is better on the sealed test part, beyond chance. stopped: why the search ended.
    openings: how often the test part has been opened, this time included; 0: it stays sealed. refused: by guard.
    prompt: the library's name of the written winner, "" where nothing was written. failed: the winner's and the seed's
    answers on test that failed or have no score. tokens: mean prompt tokens of the seed and of the winner. searched:
    what was spent before the final test. budget: what could be.
    """

    winner: Candidate
    seed: Candidate
    improved: bool
    stopped: str
    metric: str
    lower_is_better: bool = False
    free: bool = False
    dev: PartScores | None = None
    test: PartScores | None = None
    openings: int = 0
    candidates: int = 0
    refused: dict[str, int] = {}
    dropped: int = 0
    rounds: int = 0
    spending: Spending = Spending()
    effects: tuple[ExampleEffect, ...] = ()
    tokens_seed: float = 0.0
    tokens_winner: float = 0.0
    failed: int = 0
    run: str = ""
    prompt: str = ""
    notes: tuple[str, ...] = ()
    searched: Spending = Spending()
    budget: SearchBudget = SearchBudget()
