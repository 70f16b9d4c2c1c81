"""Runs: what was carried out, when, and how far it came.

Knows nothing of what a bench means: its text is kept as it is.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["running", "paused", "stopped", "interrupted", "finished"]
"""stopped: by a person, or by an error that ended it; interrupted: its process is gone. Both can be resumed."""


class Run(msgspec.Struct, frozen=True):
    """One bench carried out.

    id: short text that sorts by time. bench: the bench's name; text: its YAML as it was run. folder: the bench's, from
        which its paths are resolved. dataset: path; digest: of its content. started, finished: seconds since 1970.
    total, done, failed, cached: cells; `done` counts all that are finished, the failed ones among them.
    note: a person's own words. pinned: a baseline that later runs are compared with.
    """

    id: str
    bench: str
    text: str
    folder: str = ""
    dataset: str = ""
    digest: str = ""
    started: float = 0.0
    finished: float | None = None
    state: State = "running"
    total: int = 0
    done: int = 0
    failed: int = 0
    cached: int = 0
    pinned: bool = False
    note: str = ""
