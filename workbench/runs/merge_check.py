"""Whether runs are parts of one: the same bench, data, prompts and models; and whether two results of a cell agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from workbench.errors import StoreError
from workbench.inference.remote.card import compare_cards
from workbench.runs.bench import Bench, parse_stored_bench
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import read_card, read_config
from workbench.store.cell_records import CellRecord, InputRecord
from workbench.store.provenance import get_provenances
from workbench.store.runs import Run, get_metrics, get_variants
from workbench.store.store import Store

_OWN_TO_A_SCREEN = {"case": 1, "live": None}
"""Fields of a bench that no answer depends on."""

_HINT = "Merge runs of the same bench on the same data, prompts and models."


class MergeSource(NamedTuple):
    """A run to be merged. name: how messages call it."""

    store: Store
    run: Run
    name: str


def check_same_bench(first: MergeSource, other: MergeSource) -> None:
    """Raise StoreError that names what differs, unless both runs are of the same bench on the same cases."""
    found = list(_compare_benches(first, other))
    if found:
        raise StoreError(
            f"{other.name} is not a part of the same run as {first.name}: {' and '.join(found)} differ.", _HINT
        )


def _compare_benches(first: MergeSource, other: MergeSource) -> Iterator[str]:
    one, two = _read_bench(first), _read_bench(other)
    for field in Bench.__struct_fields__:
        if getattr(one, field) != getattr(two, field):
            yield f"`{field}` of the bench"
    if first.run.digest != other.run.digest:
        yield "the content of the dataset"
    configs = read_config(first.run), read_config(other.run)
    if configs[0].strategy != configs[1].strategy:
        yield f"the context strategies ({configs[0].strategy} and {configs[1].strategy})"
    if get_variants(first.store, first.run.key) != get_variants(other.store, other.run.key):
        yield "the variants"
    if get_metrics(first.store, first.run.key) != get_metrics(other.store, other.run.key):
        yield "the scorers"


def _read_bench(source: MergeSource) -> Bench:
    bench = parse_stored_bench(source.run.text, f"the bench of {source.name}")
    return msgspec.structs.replace(bench, **_OWN_TO_A_SCREEN)


class MergedCards:
    """The capability cards of the models on servers that any of the runs asked, as JSON, by the model's name."""

    def __init__(self) -> None:
        self.cards: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, source: MergeSource) -> None:
        """Take in a run. Raises StoreError where a server was another one than in an earlier run."""
        for name, text in read_config(source.run).cards.items():
            if name not in self.cards:
                self.cards[name], self._names[name] = text, source.name
                continue
            one, two = read_card(self.cards[name]), read_card(text)
            changes = compare_cards(one, two) if one and two else ()
            if changes:
                raise StoreError(
                    f"{name} is not the same model in {source.name} as in {self._names[name]}: {'; '.join(changes)}.",
                    _HINT,
                )


class MergedProvenances:
    """What each variant's answers came from, as far as the runs that were added say it."""

    def __init__(self) -> None:
        self.bodies: dict[int, str] = {}
        self._names: dict[int, str] = {}

    def add(self, source: MergeSource, variants: tuple[str, ...]) -> None:
        """Take in a run. Raises StoreError where a variant's prompt, model, adapters or engine are others than in an
        earlier one; only paths and the names of files may differ."""
        for index, body in enumerate(get_provenances(source.store, source.run.key)):
            if not body:
                continue
            if index not in self.bodies:
                self.bodies[index], self._names[index] = body, source.name
                continue
            one, two = (Provenance.decode(text).without_paths() for text in (self.bodies[index], body))
            differing = [name for name in Provenance.__struct_fields__ if getattr(one, name) != getattr(two, name)]
            if differing:
                raise StoreError(
                    f"{variants[index]} is not the same in {source.name} as in {self._names[index]}:"
                    f" {', '.join(_describe(name, one, two) for name in differing)}.",
                    _HINT,
                )


def _describe(field: str, one: Provenance, two: Provenance) -> str:
    if field == "engine":
        return f"the engine is {two.engine} and was {one.engine}"
    if field == "model" and one.model.fingerprint == two.model.fingerprint:
        return "the model is opened with other options"
    return f"the {field} differ" if field == "adapters" else f"the {field} differs"


def check_same_case(first: InputRecord, other: InputRecord, names: tuple[str, str]) -> None:
    """Raise StoreError unless both are the same case."""
    if (first.body, first.expected) != (other.body, other.expected):
        raise StoreError(f"Case {first.number} is another one in {names[1]} than in {names[0]}.", _HINT)


def find_difference(first: CellRecord, other: CellRecord) -> str:
    """How two results of one cell differ, in words; "" where both have the same answer and scores, or the same error.
    Times and costs may differ."""
    if first.failed or other.failed:
        if first.failed != other.failed:
            return f"it failed in one of them: {first.error or other.error}"
        return "" if first.error == other.error else f"the errors are {first.error!r} and {other.error!r}"
    answers = first.stored.completion, other.stored.completion
    if (answers[0].text, answers[0].stop_reason) != (answers[1].text, answers[1].stop_reason):
        return "the answers differ"
    values = [
        sorted((one.metric, one.value, one.applies, one.unscored) for one in cell.scores) for cell in (first, other)
    ]
    return "" if values[0] == values[1] else "the answers are the same and the scores differ"
