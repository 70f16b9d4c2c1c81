"""What a verdict leaves open or rests on: few cases, selection, a search's or a training's own limits."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.training.verdict import Choice, VerdictEvidence
from workbench.units import format_duration

_FEW_ROWS = 100
_FEW_CASES = 100


def list_caveats(evidence: VerdictEvidence, choice: Choice) -> Iterator[str]:
    """A sentence each."""
    summary = evidence.summary
    if summary.cases < _FEW_CASES:
        yield f"The test split has only {summary.cases} cases, too few to detect differences of a few points."
    if evidence.chosen_on == "test":
        yield "The best prompt was selected on the test split itself, which favors it."
    elif evidence.tried > 1:
        yield (
            f"The best prompt was selected from {evidence.tried} on the {evidence.chosen_on} split, not on the test"
            " split."
        )
    if "optimized prompt" in evidence.variants:
        yield from _list_search_caveats(evidence)
    if "adapter" in evidence.variants:
        yield from _list_training_caveats(evidence)
    if "adapter" in evidence.variants:
        yield from _list_retention_caveats(evidence)
    if choice not in ("prompt", "optimized prompt"):
        yield "Check for regressions on new data with `workbench drift`."
    yield from (note for note in summary.notes)


def _list_search_caveats(evidence: VerdictEvidence) -> Iterator[str]:
    record = evidence.search
    if record is None:
        yield "No search is known for the optimized prompt: what it cost and which cases it used are unknown."
        return
    if evidence.edited:
        yield "The optimized prompt was edited after its search, whose cost and figures are of the version before."
    if evidence.searched:
        yield (
            f"The search used {evidence.searched:,} of the {evidence.summary.cases:,} test cases, which favors the"
            " optimized prompt."
        )
    elif evidence.searched is None:
        yield "Which cases the search used is unknown; some may be test cases, which would favor the optimized prompt."
    if record.test is not None:
        yield (
            "The search has tested it on its own test part; as far as those are the same cases, this is a second look"
            " at them, not a confirmation."
        )
    if record.opened > 1:
        yield f"The test part was opened {record.opened} times by searches on this bench, so it is no longer unseen."
    yield (
        f"The optimized prompt was selected with {record.model}; on another model it has to be tried, and may need"
        " another search."
    )


def _list_retention_caveats(evidence: VerdictEvidence) -> Iterator[str]:
    if not evidence.retention:
        yield "What the adapter loses on other tasks was not measured; name them in the bench under `keep`."
    open_ones = [one.task for one in evidence.retention if one.result.outcome in ("not enough cases", "incomplete")]
    if open_ones:
        yield f"Whether the adapter keeps {', '.join(open_ones)} within the margin is not known."


def _list_training_caveats(evidence: VerdictEvidence) -> Iterator[str]:
    made, training = evidence.manifest, evidence.training
    if made is None:
        yield "The adapter was not trained here: the cost of its training is unknown, so there is no break-even."
    if training.rows is not None and training.rows < _FEW_ROWS:
        yield f"The adapter was trained on only {training.rows} rows; more may change the result."
    again = f" of about {format_duration(training.seconds)}" if training.seconds is not None else ""
    yield (
        f"Maintenance: a new label or rule needs new rows and another training{again}; a prompt is edited in a minute."
    )
    base = made.base_digest[:8] if made else ""
    yield (
        f"Portability: the adapter works with its base only ({base or 'unknown'}); another model needs"
        " another training, while a prompt carries over."
    )
