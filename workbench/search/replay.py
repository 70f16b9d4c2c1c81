"""What an earlier attempt of a search was told, given back in its order: a resumed search asks nothing again."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

from workbench.search.candidate import Candidate
from workbench.search.journal import CandidateProposed, CandidateRefused, Reflected, Refusal, SearchRecordLine


class Proposal(NamedTuple):
    """What became of a proposed candidate. same_as: the earlier one that it equals."""

    candidate: Candidate
    refusals: tuple[Refusal, ...] = ()
    same_as: str = ""

    @property
    def admitted(self) -> bool:
        return not self.refusals


class Replay:
    """Proposals and reflections of a journal, each of which is given once."""

    def __init__(self) -> None:
        self._proposals: defaultdict[tuple[str, str], deque[Proposal]] = defaultdict(deque)
        self._reflections: defaultdict[str, deque[Reflected]] = defaultdict(deque)

    def add(self, record: SearchRecordLine) -> None:
        """Keep a record of an earlier attempt. What a person added is not proposed again by a method."""
        if isinstance(record, Reflected):
            self._reflections[record.key].append(record)
        elif isinstance(record, CandidateProposed) and record.candidate.origin != "edited":
            self._add(Proposal(record.candidate))
        elif isinstance(record, CandidateRefused) and record.candidate.origin != "edited":
            self._add(Proposal(record.candidate, record.refusals, record.same_as))

    def find_proposal(self, candidate: Candidate) -> Proposal | None:
        """What became of the same candidate of the same parent."""
        known = self._proposals[candidate.parent, candidate.digest]
        return known.popleft() if known else None

    def find_reflection(self, key: str) -> Reflected | None:
        """What a reflector answered to the same question."""
        known = self._reflections[key]
        return known.popleft() if known else None

    def _add(self, proposal: Proposal) -> None:
        self._proposals[proposal.candidate.parent, proposal.candidate.digest].append(proposal)
