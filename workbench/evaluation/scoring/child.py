"""The scoring process: answers from standard input, scores to standard output.

It keeps the two pipes for itself: whatever a user's function prints goes to standard error. It ends when its parent
ends, even in the middle of a function that hangs, and its folder with it. Knows nothing of time limits.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from workbench.child_process import remove_scratch
from workbench.evaluation.local_code import local_folders
from workbench.evaluation.scorers import Score, make_scorers
from workbench.evaluation.scoring.confinement import confine_imports, give_up
from workbench.evaluation.scoring.scoring import judge_safely
from workbench.evaluation.scoring.wire import Job, Ready, Setup, pack, read, read_one

_GRACE_SECONDS = 5.0  # after which a process that hangs ends itself


def main() -> None:
    """Serve until standard input ends."""
    jobs, scores = _claim_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c belongs to the terminal's process
    setup = read_one(jobs, Setup)
    if setup is None:
        return
    give_up(setup.network)
    local = [one for code in setup.codes for one in local_folders(Path(code.file), Path(setup.folder))]
    confine_imports(setup.codes, local, Path.cwd())
    inbox: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_receive, args=(jobs, inbox), daemon=True).start()
    scorers = make_scorers(setup.specs, Path(setup.folder))
    _send(scores, Ready())
    while True:
        job = inbox.get()
        scorer = scorers[job.scorer]
        # a hang in native code stops every thread, and the parent that would end this process may be gone
        faulthandler.dump_traceback_later(scorer.time_limit_seconds + _GRACE_SECONDS, exit=True)
        score = judge_safely(scorer, job.evidence)
        faulthandler.cancel_dump_traceback_later()
        _send(scores, score)


def _send(scores: BinaryIO, said: Ready | Score) -> None:
    scores.write(pack(said))
    scores.flush()


def _receive(jobs: BinaryIO, inbox: SimpleQueue[Job]) -> None:
    try:
        for job in read(jobs, Job):
            inbox.put(job)
    finally:
        remove_scratch(Path.cwd())  # nobody else may be left to do so
        os._exit(0)  # at once, even in the middle of a function: nobody is left to hear of it


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    jobs, scores = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(jobs, "rb"), os.fdopen(scores, "wb")
