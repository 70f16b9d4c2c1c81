"""Actions on what the chosen pane retrieves: how, which passages are pinned or dropped, and a passage in full."""

from __future__ import annotations

import msgspec

from workbench.errors import WorkbenchError
from workbench.retrieval.spec import Retrieve, shorten_retrieve
from workbench.tui.bench_controller import BenchController
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.ui import Ui
from workbench.tui.widgets.passage_list import PassageCommand
from workbench.tui.widgets.picker import Picker, PickerRow

_OFF = "off"
_COUNTS = (1, 3, 5, 10)


async def change_passages(bench: BenchController, ui: Ui, command: PassageCommand, passage: str) -> None:
    """Pin or drop a passage, undo either, show it, or choose how passages are retrieved."""
    retrieve = bench.variant.retrieval
    if command == "method":
        await set_retrieval(bench, ui)
    elif retrieve is None or not passage:
        return
    elif command == "show":
        await _view(bench, ui, passage)
    else:
        await _change(bench, toggle_passage(retrieve, command, passage))


def toggle_passage(retrieve: Retrieve, command: PassageCommand, passage: str) -> Retrieve:
    """The retrieval with a passage pinned or dropped; one that is so already is neither from then on."""
    was = retrieve.pin if command == "pin" else retrieve.drop
    pin = tuple(name for name in retrieve.pin if name != passage)
    drop = tuple(name for name in retrieve.drop if name != passage)
    if passage not in was:
        pin, drop = ((*pin, passage), drop) if command == "pin" else (pin, (*drop, passage))
    return msgspec.structs.replace(retrieve, pin=pin, drop=drop)


async def set_retrieval(bench: BenchController, ui: Ui) -> None:
    """How the chosen pane's passages are retrieved."""
    session, variant = bench.session, bench.variant
    if session.bench.documents is None:
        raise WorkbenchError(
            "This bench has no corpus to retrieve from.",
            "Name the folder of the documents in its file, `corpus: FOLDER`, and write {{ passages }} into the prompt.",
        )
    now = variant.retrieval
    embedders = [one.retrieval.model for one in session.variants if one.retrieval and one.retrieval.model]
    rows = [
        PickerRow(_OFF, "no retrieval", "the prompt gets no `passages` at all"),
        PickerRow("none 3", "none", "`passages` is empty: what the model knows by itself"),
        PickerRow("oracle 3", "oracle", "the passages that the case says are relevant"),
        *(PickerRow(f"bm25 {k}", f"bm25 k={k}", "by words") for k in _COUNTS),
        *(
            PickerRow(f"{by} {k} {name}", f"{by} k={k}", f"{'by words and ' if by == 'hybrid' else ''}by {name}")
            for name in dict.fromkeys(embedders)
            for by in ("dense", "hybrid")
            for k in _COUNTS
        ),
    ]
    current = _OFF if now is None else " ".join(filter(None, (now.by, str(now.k), now.model)))
    picked = await ui.push(Picker(f"Retrieval of {variant.name}", rows, "", current=current))
    if picked is None or variant.name not in {one.name for one in session.variants}:
        return
    if picked.id == _OFF:
        await _change(bench, None)
        return
    by, k, model = (*picked.id.split(" ", 2), "")[:3]
    fields = msgspec.to_builtins(now or Retrieve())
    await _change(bench, msgspec.convert({**fields, "by": by, "k": int(k), "model": model}, Retrieve))


async def _change(bench: BenchController, retrieve: Retrieve | None) -> None:
    short = None if retrieve is None else shorten_retrieve(retrieve)
    bench.session.change_variant(bench.chosen, retrieve=short)
    await bench.refresh()


async def _view(bench: BenchController, ui: Ui, passage: str) -> None:
    found = next((one for one in bench.edit.passages.passages if one.id == passage), None)
    if found is not None:
        await ui.push(TextViewer(found.id, found.text))
