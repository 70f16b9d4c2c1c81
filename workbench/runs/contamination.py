"""The contamination check: test cases that a prompt's examples show, a corpus holds, or an adapter was trained on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from workbench.datasets import Case
from workbench.datasets.duplicates import find_duplicates
from workbench.datasets.row_digests import Role, SeenCase, SeenRows, read_digests
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Example
from workbench.runs.generation import shown_examples
from workbench.runs.provenance import Provenance

_SHOWN = 3  # cases named one by one
_LONG = 64  # characters from which two nearly equal texts are taken for the same case

_USE: dict[Role, str] = {
    "train": "was trained on",
    "preference": "was trained on votes or preferences about",
    "validation": "was selected by its score on",
}


class ContaminatedCases(msgspec.Struct, frozen=True):
    """Test cases that a variant has seen. cases: their numbers; short texts that only resemble each other, such as two
    sums, are told but do not count. text: what saw them and which they are."""

    variant: str
    cases: tuple[int, ...]
    text: str


class ContaminationReport(msgspec.Struct, frozen=True):
    """What the check found. unknown: a sentence for each adapter whose training rows nobody knows."""

    contaminated: tuple[ContaminatedCases, ...] = ()
    unknown: tuple[str, ...] = ()

    def of(self, variant: str) -> tuple[int, ...]:
        """The numbers of the cases that a variant has seen."""
        return tuple(sorted({case for one in self.contaminated if one.variant == variant for case in one.cases}))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader is told: variants that saw the same in the same way share a sentence."""
        names: dict[str, list[str]] = {}
        for one in self.contaminated:
            names.setdefault(one.text, []).append(one.variant)
        found = (f"{', '.join(variants)}: {text}" for text, variants in names.items())
        return (*found, *self.unknown)


def check_contamination(origins: Iterable[Provenance], cases: Sequence[Case]) -> ContaminationReport:
    """Which variants have seen which of the cases. Whatever several variants share is compared once."""
    examples = _ExampleCheck(cases)
    weights = _WeightCheck(cases)
    known = {case.number for case in cases}
    found: list[ContaminatedCases] = []
    for origin in origins:
        if not origin.variant.perturbation:
            found += [*examples.check(origin), *weights.check(origin), *_check_corpus(origin, known)]
    return ContaminationReport(tuple(found), tuple(weights.unknown.values()))


class CaseCheck:
    """Whether what answers one case has seen it; keeps the digests of the adapters that were asked about."""

    def __init__(self) -> None:
        self._rows: dict[Path, SeenRows] = {}

    def describe(self, examples: Sequence[Example], weights: Sequence[Path], case: Case) -> str:
        """A few words such as `seen in training`; "" where nothing has seen the case. Slow the first time.

        examples: that the prompt shows. weights: the paths of the model and of the adapters that act on it.
        """
        if any(one.kind != "near" or len(one.case_text) >= _LONG for one in find_duplicates(examples, [case])):
            return "seen as an example"
        for path in weights:
            seen = self._find(path).find([(case.number, case.variables)])
            if seen:
                return "seen in validation" if seen[0].role == "validation" else "seen in training"
        return ""

    def _find(self, path: Path) -> SeenRows:
        if path not in self._rows:
            try:
                self._rows[path] = SeenRows(read_digests(path) or ())
            except WorkbenchError:
                self._rows[path] = SeenRows(())  # the report says that it cannot be read
        return self._rows[path]


def describe_example(example: Example, cases: Sequence[Case]) -> str:
    """A sentence where an example is a test case, or nearly one; "" where it is none. Slow for many cases."""
    duplicates = find_duplicates([example], cases)
    same = [one for one in duplicates if one.kind != "near" or len(one.case_text) >= _LONG]
    if not same:
        return ""
    named = _list([f"case {one.case} ({one.kind})" for one in same])
    return f"Example {example.id} is {named}: the model sees the answer there, so the score is too good."


class _ExampleCheck:
    """Few-shot examples that are test cases."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._known: dict[bytes, tuple[tuple[int, ...], str]] = {}

    def check(self, origin: Provenance) -> Iterator[ContaminatedCases]:
        shown = shown_examples(origin.variant, origin.prompt)
        if not shown:
            return
        key = msgspec.json.encode((shown, bool(origin.prompt.nearest)))
        if key not in self._known:
            duplicates = [
                one for one in find_duplicates(shown, self._cases) if not origin.prompt.nearest or one.kind == "near"
            ]  # the nearest examples of a case are never the case itself
            named = [f"{one.example} is case {one.case} ({one.kind})" for one in duplicates]
            same = (one for one in duplicates if one.kind != "near" or len(one.case_text) >= _LONG)
            self._known[key] = tuple(sorted({one.case for one in same})), _list(named)
        numbers, listed = self._known[key]
        if numbers:
            text = f"examples of the prompt are test cases ({listed}), so the score is too good."
            yield ContaminatedCases(origin.variant.name, numbers, text)
        elif listed:
            yield ContaminatedCases(origin.variant.name, (), f"examples of the prompt resemble test cases ({listed}).")


def _check_corpus(origin: Provenance, known: Collection[int]) -> Iterator[ContaminatedCases]:
    """Test cases whose question stands in the corpus, as the run found them when it began."""
    seen = [one for one in origin.passages.seen if one.case in known] if origin.passages else []
    if seen:
        named = _list([f"case {one.case} in {one.document}" for one in seen])
        text = f"the corpus holds the question of {_count(len(seen))} ({named}), so the score is too good."
        yield ContaminatedCases(origin.variant.name, tuple(one.case for one in seen), text)


class _WeightCheck:
    """Test cases among the rows that an adapter, or a model that was trained here, has learned or was selected on."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._known: dict[Path, tuple[SeenCase, ...] | None] = {}
        self.unknown: dict[Path, str] = {}

    def check(self, origin: Provenance) -> Iterator[ContaminatedCases]:
        name = origin.variant.name
        if origin.base.remote is None:
            yield from self._describe(name, "model", origin.model.path)
        for one in origin.adapters:
            if one.applied.scale and one.applied.adapter.format == "remote":
                self._note_unknown(Path(one.applied.adapter.name))
            elif one.applied.scale:
                yield from self._describe(name, "adapter", one.path)
                if self._known[one.path] is None and one.path not in self.unknown:
                    self._note_unknown(one.path)

    def _note_unknown(self, path: Path) -> None:
        reason = "it has no record of its training rows."
        self.unknown[path] = f"Whether {path.name} was trained on test cases is unknown: {reason}"

    def _describe(self, variant: str, what: str, path: Path) -> Iterator[ContaminatedCases]:
        if path not in self._known:
            self._known[path] = self._look_up(path)
        seen = self._known[path] or ()
        for role in dict.fromkeys(one.role for one in seen):
            own = [one for one in seen if one.role == role]
            named = _list([f"case {one.case} is row {one.row} ({one.kind})" for one in own])
            text = f"the {what} {path.name} {_USE[role]} {_count(len(own))} ({named}), so the score is too good."
            # Which state of the weights was kept hung on these rows, but nothing was learned from them.
            yield ContaminatedCases(variant, tuple(one.case for one in own if role != "validation"), text)

    def _look_up(self, path: Path) -> tuple[SeenCase, ...] | None:
        try:
            digests = read_digests(path)
        except WorkbenchError as error:
            self.unknown[path] = f"Whether {path.name} was trained on test cases is unknown: {error.message}"
            return None
        if digests is None:
            return None
        return SeenRows(digests).find((case.number, case.variables) for case in self._cases)


def _count(cases: int) -> str:
    return "a test case" if cases == 1 else f"{cases:,} test cases"


def _list(named: Sequence[str]) -> str:
    more = f", and {len(named) - _SHOWN:,} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more
