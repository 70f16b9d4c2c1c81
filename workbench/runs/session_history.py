"""SessionHistory: undo and redo of every change of an open bench: panes, prompts, examples, settings, adapters, cases.

A step keeps the whole state before and after it. The values are immutable and shared, so that it costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.bench_autosave import Inputs

MOST_STEPS = 500
JOINED_SECONDS = 5.0
"""what is typed into the same text with shorter pauses than this is one step"""

_BENCH_FIELDS = {
    "dataset": "choose another dataset",
    "scorers": "change the scorers",
    "models": "change the options of a model",
    "live": "toggle live",
    "context_strategy": "change what happens on context overflow",
}
_VARIANT_FIELDS = {
    "name": "rename pane",
    "prompt": "change the prompt of",
    "model": "change the model of",
    "adapters": "change the adapters of",
    "examples_off": "toggle examples of",
}


class Snapshot(NamedTuple):
    """Everything of a session that can be changed.

    bench: always on its first case, with nothing typed over it: to go to another case is no change. inputs: what was
    typed over the cases. prompts: all that were opened, as they read, edits included.
    """

    bench: Bench
    inputs: Inputs
    prompts: Mapping[str, Prompt]


class Change(NamedTuple):
    """What differs between two snapshots.

    text: what was done, such as `close pane few-shot`. variant, prompt, case: where to look for it; empty for nowhere.
    typed: whether it was typed, key by key.
    """

    text: str
    variant: str = ""
    prompt: str = ""
    case: int = 0
    typed: bool = False


class HistoryStep(NamedTuple):
    """A change that can be undone. at: when it was made, on the history's clock."""

    change: Change
    before: Snapshot
    after: Snapshot
    at: float


class SessionHistory:
    """The steps that led to the present state, and those that were undone."""

    def __init__(self, start: Snapshot, clock: Callable[[], float] = time.monotonic) -> None:
        self._present = start
        self._clock = clock
        self._done: list[HistoryStep] = []
        self._undone: list[HistoryStep] = []

    def note(self, now: Snapshot) -> None:
        """Take the state as it now is: what differs from the state before is a step, and nothing can be redone then."""
        before, self._present = self._present, now
        change = find_change(before, now)
        if change is None:
            return
        self._undone.clear()
        last, moment = self.peek(back=True), self._clock()
        if change.typed and last is not None and last.change == change and moment - last.at < JOINED_SECONDS:
            self._done[-1] = last._replace(after=now, at=moment)
        else:
            self._done.append(HistoryStep(change, before, now, moment))
            del self._done[:-MOST_STEPS]

    def peek(self, back: bool) -> HistoryStep | None:
        """The step that would be undone, or redone; None where there is none."""
        steps = self._done if back else self._undone
        return steps[-1] if steps else None

    def move(self, back: bool) -> Snapshot:
        """Undo a step, or redo one; the state that is to be restored now."""
        steps, others = (self._done, self._undone) if back else (self._undone, self._done)
        step = steps.pop()
        others.append(step)
        self._present = step.before if back else step.after
        return self._present


def find_change(before: Snapshot, after: Snapshot) -> Change | None:
    """The most telling difference between two states; None where there is none."""
    return (
        _find_bench_change(before.bench, after.bench)
        or _find_prompt_change(before.prompts, after.prompts)
        or _find_input_change(before.inputs, after.inputs)
    )


def _find_bench_change(before: Bench, after: Bench) -> Change | None:
    if before == after:
        return None
    if before.variants != after.variants:
        return _find_variant_change(before.variants, after.variants)
    changed = (text for field, text in _BENCH_FIELDS.items() if getattr(before, field) != getattr(after, field))
    return Change(next(changed, "change the bench"))


def _find_variant_change(before: Sequence[Variant], after: Sequence[Variant]) -> Change:
    old, new = [one.name for one in before], [one.name for one in after]
    if len(before) != len(after):
        more, fewer, verb = (new, old, "add") if len(after) > len(before) else (old, new, "close")
        different = [name for name in more if name not in fewer]
        return Change(
            f"{verb} pane {different[0]}" if len(different) == 1 else f"{verb} panes", next(iter(different), "")
        )
    if old != new and sorted(old) == sorted(new):
        return Change("reorder panes")
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    names = {other.name for _, other in changed}
    own = [pair for pair in changed if pair[1].base_of not in names]  # the others only follow
    if len(own) != 1:
        return Change("change several panes")
    one, other = own[0]
    texts = (text for field, text in _VARIANT_FIELDS.items() if getattr(one, field) != getattr(other, field))
    return Change(f"{next(texts, 'change the settings of')} {one.name}", other.name)


def _find_prompt_change(before: Mapping[str, Prompt], after: Mapping[str, Prompt]) -> Change | None:
    for name, new in after.items():
        old = before.get(name, new)  # one that was only opened since is no change
        if old is new or old == new:
            continue
        if old.body != new.body or old.steps != new.steps:
            return Change(f"edit prompt {name}", prompt=name, typed=old.examples == new.examples)
        if old.examples != new.examples:
            return Change(f"{_name_example_change(old.examples, new.examples)} of {name}", prompt=name)
        if old.mode != new.mode:
            return Change(f"change the mode of {name}", prompt=name)
        if old.header != new.header:
            return Change(f"edit the front matter of {name}", prompt=name)
        return Change(f"change {name}", prompt=name)
    return None


def _name_example_change(before: Sequence[Example], after: Sequence[Example]) -> str:
    old, new = {one.id: one for one in before}, {one.id: one for one in after}
    for verb, ids in (
        ("add", [id for id in new if id not in old]),
        ("delete", [id for id in old if id not in new]),
        ("edit", [id for id in new if id in old and old[id] != new[id]]),
    ):
        if ids:
            return f"{verb} example {ids[0]}" if len(ids) == 1 else f"{verb} {len(ids)} examples"
    return "reorder examples"


def _find_input_change(before: Inputs, after: Inputs) -> Change | None:
    for number in sorted({*before, *after}):
        if before.get(number, {}) != after.get(number, {}):
            return Change(f"edit case {number}", case=number, typed=True)
    return None
