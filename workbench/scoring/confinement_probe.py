"""What this system cannot take away from a process that runs a person's function, found out by trying."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.inference.worker.frames import FrameCodec
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.inference.worker.spawn import minimal_environment
from workbench.scoring.local_code import LocalCode

_SECONDS = 60.0


def find_unconfined() -> tuple[str, ...]:
    """What such a process keeps, each with the reason. Slow: it starts one."""
    replies: FrameCodec[tuple[str, ...]] = FrameCodec(tuple[str, ...])
    worker = BlockingWorker(WorkerSpec("workbench.scoring.confinement", (), _make_environment), replies, "probe")
    try:
        return worker.receive(_SECONDS)
    except TimeoutError:
        return (f"all of it (it did not answer within {_SECONDS:g} s when that was tried)",)
    except WorkerEnded as ended:
        return (f"all of it (a process {ended.exit.reason} when that was tried)",)
    finally:
        worker.end()


def _make_environment(folder: Path) -> dict[str, str]:
    return minimal_environment(TMPDIR=str(folder))


def describe_unconfined(found: Sequence[LocalCode]) -> str:
    """A sentence about what cannot be taken away from code that a person is asked about; "" for nothing."""
    kept = [
        what for what in find_unconfined() if not all(code.permissions.network and "network" in what for code in found)
    ]
    return f"This system cannot take away from it: {', '.join(kept)}." if kept else ""
