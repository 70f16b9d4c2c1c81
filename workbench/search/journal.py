"""The journal of a search: one JSON record a line, appended as things happen, from which a killed search resumes.

Plain data only: nothing in it is ever executed.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.errors import FileError, SearchError
from workbench.search.budget import Spending
from workbench.search.candidate import Candidate
from workbench.search.request import SearchPart, SearchRequest
from workbench.search.result import SearchResult

JOURNAL = "journal.jsonl"


class Refusal(msgspec.Struct, frozen=True):
    """Why a candidate may not be tried. guard: its name; detail: what was found."""

    guard: str
    detail: str


class CaseResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One candidate's answer to one case, the mean of its repeats.

    value: higher is better, with the sign changed where lower scores are; None: it failed, or could not be scored.
    text, explanation: of the first repeat, the text cut at 2,000 characters.
    """

    case: int
    value: float | None = None
    text: str = ""
    explanation: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: bool = False


class _Record(msgspec.Struct, frozen=True, tag_field="record", omit_defaults=True, kw_only=True):
    """at: seconds since 1970."""

    at: float = msgspec.field(default_factory=time.time)


class SearchStarted(_Record, frozen=True, tag="started"):
    """parts: the number of cases by part. splits: the digest by which the store knows them; how: how they were made.
    best_possible: the score that cannot be beaten, None where there is none."""

    request: SearchRequest
    seed: Candidate
    parts: dict[str, int]
    splits: str = ""
    how: str = ""
    metric: str = ""
    best_possible: float | None = None
    lower_is_better: bool = False


class CandidateProposed(_Record, frozen=True, tag="proposed"):
    """It passed the guards."""

    candidate: Candidate


class CandidateRefused(_Record, frozen=True, tag="refused"):
    """It did not, and cost no call. same_as: id of the earlier candidate that it equals."""

    candidate: Candidate
    refusals: tuple[Refusal, ...]
    same_as: str = ""


class CandidateEvaluated(_Record, frozen=True, tag="evaluated"):
    """A candidate answered some cases. run: id in the search's own store; of the test part, in the user's store."""

    candidate: str
    part: SearchPart
    results: tuple[CaseResult, ...]
    run: str = ""


class CandidateDropped(_Record, frozen=True, tag="dropped"):
    """It will not be evaluated further."""

    candidate: str
    reason: str


class BestChanged(_Record, frozen=True, tag="best"):
    """score: mean on the whole dev part, higher is better."""

    candidate: str
    score: float


class Reflected(_Record, frozen=True, tag="reflected"):
    """A reflector answered, or failed. key: digest of what it was asked."""

    key: str
    text: str = ""
    error: str = ""
    calls: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0


class RoundEnded(_Record, frozen=True, tag="round"):
    """improved: whether the best candidate changed in it."""

    number: int
    improved: bool


class SearchPaused(_Record, frozen=True, tag="paused"):
    pass


class SearchContinued(_Record, frozen=True, tag="continued"):
    """After a pause, or by another process after the first one ended."""


class SearchSpent(_Record, frozen=True, tag="spent"):
    """The spending so far, all attempts together."""

    spending: Spending


class TestOpened(_Record, frozen=True, tag="test opened"):
    """The sealed part was opened. count: how often it has been, this time included."""

    __test__ = False  # no test, whatever pytest thinks of the name

    count: int
    candidate: str


class SearchEnded(_Record, frozen=True, tag="ended"):
    result: SearchResult


SearchRecordLine = (
    SearchStarted
    | CandidateProposed
    | CandidateRefused
    | CandidateEvaluated
    | CandidateDropped
    | BestChanged
    | Reflected
    | RoundEnded
    | SearchPaused
    | SearchContinued
    | SearchSpent
    | TestOpened
    | SearchEnded
)

_DECODER = msgspec.json.Decoder(SearchRecordLine, strict=False)
"""Not strict, so that "nan" is read as a number."""


class SearchProgress(NamedTuple):
    """How far the search is; never written down. done, total: cells of what runs now, `doing` in words."""

    spending: Spending
    done: int = 0
    total: int = 0
    doing: str = ""
    problem: str = ""


SearchEvent = SearchRecordLine | SearchProgress


class JournalPage(NamedTuple):
    """Records, and where reading goes on."""

    records: tuple[SearchRecordLine, ...]
    offset: int


class SearchJournal:
    """The writing end, for one process. Raises FileError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
            self._stream = path.open("ab")
            self._stream.truncate(whole)  # what a killed process left of its last line
        except OSError as error:
            raise self._explain(error) from error

    def append(self, record: SearchRecordLine) -> None:
        """Write a record; it is on its way to the disk before this returns."""
        try:
            self._stream.write(_encode(record) + b"\n")
            self._stream.flush()
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._stream.close()

    def _explain(self, error: OSError) -> FileError:
        return FileError(
            f"Cannot write {self._path}: {error.strerror}.", "Free some space; then continue with --resume."
        )


def _encode(record: SearchRecordLine) -> bytes:
    """A figure that is not known is NaN, for which JSON has no number: it is written as a text."""
    if isinstance(record, SearchEnded):
        return msgspec.json.encode(_write_unknown(msgspec.to_builtins(record)))
    return msgspec.json.encode(record)


def _write_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _write_unknown(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_write_unknown(inner) for inner in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_journal(path: Path, offset: int = 0) -> JournalPage:
    """The records from an offset in the file on; an incomplete last line is left for later.

    Raises SearchError, with the line, for what is no record: a search never resumes from a journal with a hole in it.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            held = stream.read()
    except FileNotFoundError:
        return JournalPage((), offset)
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror}.", "Check its rights.") from error
    whole = held.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(held[:whole].splitlines(), 1):
        try:
            records.append(_DECODER.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            where = f"{path}:{number}" if not offset else str(path)
            raise SearchError(f"{where}: not a record of a search: {error}.", "Start a new search.") from error
    return JournalPage(tuple(records), offset + whole)
