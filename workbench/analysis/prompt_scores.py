"""What each prompt of a library scored last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from workbench.analysis.narrative import format_value, name_metric
from workbench.analysis.prompt_uses import UseReader, VersionResult
from workbench.errors import FileError, WorkbenchError
from workbench.library.library import Library, PromptEntry
from workbench.library.versions import digest_prompt
from workbench.settings import Settings
from workbench.store.provenance import PromptUse, list_prompt_uses
from workbench.store.store import Store
from workbench.units import format_plural


class PromptScore(msgspec.Struct, frozen=True):
    """The newest result of a prompt. present: whether it is of the text as it is now; that of an earlier version is
    given only where the current one has none."""

    result: VersionResult
    present: bool

    @property
    def value(self) -> float | None:
        """By the first metric of its run; None where there is none."""
        return None if math.isnan(self.result.score.value) else self.result.score.value


def read_scores(
    store: Store, library: Library, entries: Sequence[PromptEntry], settings: Settings
) -> dict[str, PromptScore]:
    """The scores of prompts by their names; those that were never run have none. Raises StoreError."""
    spans = {}
    for entry in entries:
        try:
            spans[entry.name] = library.renames.find_names(library.folder, entry.name)
        except FileError:
            continue
    names = list(dict.fromkeys(span.name for held in spans.values() for span in held))
    uses: dict[str, list[PromptUse]] = {}
    for use in list_prompt_uses(store, names) if names else ():
        uses.setdefault(use.prompt, []).append(use)
    found = {}
    for name, held in spans.items():
        own = [use for span in dict.fromkeys(span.name for span in held) for use in uses.get(span, ())]
        if own and (score := _find_score(UseReader(store, library, name, held, settings), own, library, name)):
            found[name] = score
    return found


def _find_score(reader: UseReader, uses: Sequence[PromptUse], library: Library, name: str) -> PromptScore | None:
    try:
        present = digest_prompt(library.open(name).prompt)
    except WorkbenchError:
        present = ""
    own = sorted((held for use in uses if (held := reader.check(use)) is not None), key=lambda held: -held.run.started)
    newest = next((held for held in own if digest_prompt(held.origin.prompt) == present), own[0] if own else None)
    if newest is None:
        return None
    result = next(reader.read([newest])).result
    return PromptScore(result, result.version == present)


def describe_score(score: PromptScore) -> str:
    """A score in few words, such as `exact match 0.87, 60 cases, demo`."""
    found, metric = score.result.score, score.result.metric
    if metric is None or score.value is None:
        return ""
    earlier = "" if score.present else ", an earlier text"
    value = format_value(found.value, metric, found.n)
    return f"{name_metric(metric.name)} {value}, {format_plural(found.n, 'case')}, {score.result.bench}{earlier}"
