"""The scoring worker: answers from its parent, scores to it.

It ends with its parent, even in the middle of a function that hangs, and its folder with it. Time limits are the
parent's.
"""

from __future__ import annotations

import faulthandler
from pathlib import Path

from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.spawn import remove_scratch
from workbench.scoring.confinement import confine, confine_imports
from workbench.scoring.factory import make_scorers
from workbench.scoring.local_code import local_folders
from workbench.scoring.protocol import SCORING_MESSAGES, ScoreReply, ScoreRequest, ScorerSetup, WorkerReady
from workbench.scoring.scorer_set import score_safely

_GRACE_SECONDS = 5.0  # after which a process that hangs ends itself


def main() -> None:
    """Serve until the parent ends."""
    channel = ParentChannel(SCORING_MESSAGES, on_end=lambda: remove_scratch(Path.cwd()))  # nobody else may be left
    setup = channel.first()
    assert isinstance(setup, ScorerSetup)
    confine(setup.network)  # before there is a second thread
    local = [one for code in setup.codes for one in local_folders(Path(code.file), Path(setup.folder))]
    confine_imports(setup.codes, local, Path.cwd())
    channel.listen()
    scorers = make_scorers(setup.specs, Path(setup.folder))
    channel.send(WorkerReady())
    while True:
        request = channel.receive()
        assert isinstance(request, ScoreRequest)
        scorer = scorers[request.scorer]
        # a hang in native code stops every thread, and the parent that would end this process may be gone
        faulthandler.dump_traceback_later(scorer.time_limit_seconds + _GRACE_SECONDS, exit=True)
        score = score_safely(scorer, request.scoring_input)
        faulthandler.cancel_dump_traceback_later()
        channel.send(ScoreReply(score))
