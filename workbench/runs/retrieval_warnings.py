"""What a reader of a run with retrieval has to know before it begins: documents that are missing or stand there twice,
relevant documents that the corpus lacks, passages that will not fit the context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from workbench.datasets import Case
from workbench.datasets.turns import first_turn, read_turns
from workbench.errors import BenchError, DatasetError, WorkbenchError
from workbench.retrieval.corpus import Corpus
from workbench.retrieval.passage import Passage, Reference
from workbench.runs.generation import examples_for, render_steps
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import PassageSource
from workbench.runs.provenance import Provenance
from workbench.runs.spending import estimate_tokens
from workbench.units import format_subject

_LOOKED_AT = 2000
_SHOWN = 3


def check_relevant(source: PassageSource | None, cases: Sequence[Case]) -> None:
    """Raise BenchError for an oracle that no case tells what is relevant."""
    if source is None or source.retrieve.by != "oracle":
        return
    found = (_list_relevant(cases[index]) for index in range(min(len(cases), _LOOKED_AT)))
    if not any(relevant is None or relevant for relevant in found):
        raise BenchError(
            "oracle needs to know what is relevant, and no case says it.",
            "Write under `dataset`: `relevant: COLUMN`; in conversations, `relevant` into each turn.",
        )


def find_retrieval_warnings(
    origins: Sequence[Provenance], cases: Sequence[Case], finder: PassageFinder
) -> Iterator[str]:
    """See the module; each corpus is looked at once."""
    known: set[tuple[str, int, int]] = set()
    for origin in origins:
        source = origin.passages
        if source is None or not source.digest:
            continue
        try:
            corpus = finder.read(source)
            key = (corpus.digest, source.chunk, source.overlap)
            if key not in known:
                known.add(key)
                yield from finder.describe(source)
                yield from _find_unknown(corpus, cases)
            yield from _check_room(origin, source, corpus, cases)
        except WorkbenchError:
            continue  # its cells say so


def _find_unknown(corpus: Corpus, cases: Sequence[Case]) -> Iterator[str]:
    """Relevant documents that the corpus does not have: nothing can ever find them."""
    unknown: dict[str, int] = {}
    silent = 0
    for index in range(min(len(cases), _LOOKED_AT)):
        relevant = _list_relevant(cases[index])
        if relevant is None:
            continue
        silent += not relevant
        for reference in relevant:
            if reference.document not in corpus.documents:
                unknown.setdefault(reference.document, cases[index].number)
    if unknown:
        named = ", ".join(f"{name} (case {number})" for name, number in list(unknown.items())[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        yield f"relevant names documents that the corpus lacks, so that recall cannot reach 1: {named}{more}."
    if silent and silent < min(len(cases), _LOOKED_AT):
        yield f"{format_subject(silent, 'case', 'names', 'name')} no relevant document: left out of recall, MRR, nDCG."


def _list_relevant(case: Case) -> tuple[Reference, ...] | None:
    """What is relevant to a case, or to any of its turns; None where these cannot be read."""
    try:
        return tuple(reference for turn in read_turns(case) for reference in turn.case.relevant)
    except DatasetError:  # its cells say so
        return None


def _check_room(origin: Provenance, source: PassageSource, corpus: Corpus, cases: Sequence[Case]) -> Iterator[str]:
    """Whether the longest passages that may be retrieved fit the context."""
    limit = find_context(origin)
    if not limit or not len(cases) or source.retrieve.by in ("none", "oracle"):
        return
    longest = tuple(sorted(corpus.passages, key=_measure, reverse=True)[: source.retrieve.k])
    filled = msgspec.structs.replace(first_turn(cases[0]), passages=longest, retrieved_by=source.retrieve.by)
    conversations = render_steps(origin.prompt, filled.values, examples_for(origin.variant, origin.prompt, filled))
    tokens = max(map(estimate_tokens, conversations)) + origin.variant.sampling.max_tokens
    if tokens > limit:
        yield (
            f"{origin.variant.name}: {source.retrieve.k} passages of up to {max(map(_measure, longest)):,} characters"
            f" may make about {tokens:,} tokens with the prompt and the answer, and the context holds {limit:,}."
            " Lower k or `chunk`."
        )


def find_context(origin: Provenance) -> int:
    """The context that a variant's model is opened with, in tokens; 0 where it is not known before."""
    from workbench.inference.sizes import context_size
    from workbench.models.memory_estimate import expect_in_memory
    from workbench.models.model_info import USUAL_CONTEXT_TOKENS

    if origin.base.format in ("scripted", "remote"):
        return origin.base.context_tokens or 0
    return context_size(origin.base, expect_in_memory(origin.base), USUAL_CONTEXT_TOKENS)


def _measure(passage: Passage) -> int:
    return passage.end - passage.start
