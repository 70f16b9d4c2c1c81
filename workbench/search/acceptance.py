"""Acceptance: a candidate becomes an ordinary prompt of the library, with a record of its search that verdicts read."""

from __future__ import annotations

import math
import time

import msgspec

from workbench.analysis.summary import Estimate
from workbench.errors import SearchError
from workbench.library.library import Library, OpenPrompt
from workbench.library.versions import digest_prompt
from workbench.search.candidate import SEED, Candidate
from workbench.search.journal import SearchEnded, SearchJournal
from workbench.search.saving import choose_name, save_candidate
from workbench.search.search_dir import SearchDir
from workbench.search.state import SearchState
from workbench.training.search_record import SearchRecord, write_record


def accept_candidate(
    search_dir: SearchDir, library: Library, parent: str, model: str, candidate: Candidate, name: str = ""
) -> OpenPrompt:
    """Write a candidate into the library, and what its search cost beside its journal.

    parent, model: the library's name of the hand-written prompt, and what it was searched with. name: of the new one,
    has to be free; empty: the parent's with `-optimized` and a number. Raises WorkbenchError; then nothing is written.
    """
    if candidate.id == SEED:
        raise SearchError("The hand-written prompt is in the library already.", "Choose another candidate.")
    state = search_dir.read_state()
    opened = library.open(parent)
    saved = save_candidate(library, opened, candidate, name or choose_name(library, parent), search_dir.id)
    if state.ended is not None and state.ended.winner == candidate and not search_dir.is_alive():
        journal = SearchJournal(search_dir.journal)
        journal.append(SearchEnded(result=msgspec.structs.replace(state.ended, prompt=saved.prompt.name)))
        journal.close()
    write_record(search_dir.folder, _make_record(search_dir, state, candidate, parent, model, saved))
    return saved


def _make_record(
    search_dir: SearchDir, state: SearchState, candidate: Candidate, parent: str, model: str, saved: OpenPrompt
) -> SearchRecord:
    started, ended, spent = state.started, state.ended, state.spending
    assert started is not None
    won = ended if ended is not None and ended.winner.id == candidate.id else None
    dev, test = (won.dev, won.test) if won else (None, None)
    sign = -1 if ended is not None and ended.lower_is_better else 1
    return SearchRecord(
        search=search_dir.id,
        created=time.time(),
        bench=started.request.bench,
        variant=started.request.variant,
        prompt=saved.prompt.name,
        digest=digest_prompt(saved.prompt),
        parent=parent,
        method=started.request.method,
        model=model,
        reflector=started.request.reflector,
        candidates=len(state.candidates) - 1,
        refused=len(state.refused),
        calls=spent.calls,
        tokens=spent.tokens,
        seconds=spent.seconds,
        money=spent.money or None,
        metric=started.metric,
        dev=dev.winner if dev else _estimate(state, candidate.id, sign),
        parent_dev=dev.seed if dev else _estimate(state, SEED, sign),
        test=test.winner if test else None,
        parent_test=test.seed if test else None,
        p=test.p_corrected if test else None,
        opened=state.openings,
        improved=won is not None and won.improved,
    )


def _estimate(state: SearchState, candidate: str, sign: int) -> Estimate | None:
    """A mean on dev, without an interval: it was not chosen by the search."""
    score = state.score(candidate)
    if score is None:
        return None
    return Estimate(sign * score, math.nan, math.nan, len(state.results(candidate)), "chosen by hand")
