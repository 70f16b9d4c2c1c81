"""The action that shows a review of synthetic rows, from the bench."""

from __future__ import annotations

import asyncio
from pathlib import Path

from workbench.errors import SynthesisError
from workbench.synthesis.opening import list_reviews
from workbench.tui.bench_controller import BenchController
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker, PickerRow


async def review_rows(bench: BenchController, ui: Ui) -> None:
    """Go on with a review of rows that a model wrote; which one, where there are several beside the bench."""
    path = bench.session.path
    found = await asyncio.to_thread(list_reviews, path.absolute().parent)
    if not found:
        raise SynthesisError(
            "There are no synthetic rows to review beside this bench.",
            f"Have some written: workbench synthesize {path.name} --model MODEL -n 20",
        )
    if len(found) == 1:
        await ui.screens.open_synthesis(found[0])
        return
    rows = [PickerRow(str(one), one.name) for one in found]
    picked = await ui.push(Picker("Synthetic rows", rows, "No review of that name."))
    if picked is not None:
        await ui.screens.open_synthesis(Path(picked.id))
