"""Whether llama.cpp comes to an end with a grammar: there are some for which its reader never does.

It is tried in a process of its own with a limit, because native code cannot be called back. Knows nothing of tokens;
what is wrong with a grammar that is read to its end, the engine finds by itself.
"""

from __future__ import annotations

import functools
import subprocess
import sys

from workbench import child_process
from workbench.errors import EngineError

_CPU_SECONDS = 2
"""Reading a grammar takes a few thousandths, and starting to read a quarter of one."""

_PATIENCE = 60.0
"""Where a process cannot be limited in what it computes, but in how long it is there."""


def check_ends(text: str) -> None:
    """Raises EngineError for a grammar with which llama.cpp does not come to an end; slow, once for each text."""
    if not _ends(text):
        raise EngineError(
            "The grammar cannot be used: llama.cpp does not come to an end with it.",
            "Look for a rule that comes again before anything was read, such as `root ::= a root` with an `a` that may"
            " be empty, and for counts such as {3,1}.",
            text,
        )


@functools.lru_cache(maxsize=256)
def _ends(text: str) -> bool:
    try:
        with child_process.scratch() as folder:
            done = subprocess.run(
                child_process.command("workbench.engines.llamacpp.grammar_trial"),
                input=text.encode("utf-8", "replace"),
                stdout=subprocess.DEVNULL,  # llama.cpp tells of a grammar at any length
                stderr=subprocess.DEVNULL,
                env=child_process.environment(),
                cwd=folder,
                timeout=_PATIENCE,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode >= 0  # less: it was ended from outside


def main() -> None:
    """Read the grammar that stands in the input."""
    text = sys.stdin.buffer.read()
    from workbench.engines.llamacpp.native import native

    child_process.limit_resources(RLIMIT_CPU=_CPU_SECONDS, RLIMIT_CORE=0)
    native.llama_sampler_init_grammar(None, text, b"root")
