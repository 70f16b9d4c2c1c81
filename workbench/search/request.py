"""SearchRequest: what a search is asked for, as its journal keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

from workbench.search.budget import SearchBudget

SearchPart = Literal["train", "dev", "test"]
SearchMethod = Literal["examples", "instructions", "both"]
METHOD_NAMES: tuple[SearchMethod, ...] = ("examples", "instructions", "both")


class SearchRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """bench: path of the bench file. variant: its name there. reflector: a model that writes instructions, as a bench
    names one; empty: instructions come from templates alone. metric: empty: the bench's first. seed: of every choice
    that the search draws. name: of the prompt in the library that the winner is written as; empty: chosen.
    max_dev, max_test, max_train: cases of each part, at most. max_examples: in a prompt. patience: rounds without an
    improvement after which it ends. concurrency: requests in flight.
    """

    bench: str
    variant: str
    method: SearchMethod = "examples"
    budget: SearchBudget = SearchBudget()
    reflector: str = ""
    metric: str = ""
    seed: int = 0
    name: str = ""
    max_dev: int = 200
    max_test: int = 500
    max_train: int = 2000
    max_examples: int = 16
    patience: int = 5
    concurrency: int = 16
    group: str = ""
