"""What the schedulers of one engine share.

Knows nothing of what they do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from workbench.engines.llamacpp.annex import Annex
from workbench.engines.llamacpp.crew import Crew
from workbench.engines.llamacpp.layouts import Layouts
from workbench.engines.llamacpp.parking import Parking
from workbench.engines.pace import Pace
from workbench.engines.tally import Tally
from workbench.engines.vocabulary import Vocabulary


class Tools(NamedTuple):
    """What the schedulers of one engine share.

    outputs: tokens of a batch whose logits are wanted at most. threads: that the next step may use. annex: where rows
    may be moved to, if there is memory for that.
    """

    vocabulary: Vocabulary
    clock: Callable[[], float]
    pace: Pace
    parking: Parking
    crew: Crew
    tally: Tally
    outputs: int
    threads: Callable[[], int]
    layouts: Layouts
    annex: Annex | None = None
