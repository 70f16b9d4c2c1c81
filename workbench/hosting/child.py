"""The engine's process: one model, commands from standard input, replies to standard output.

It keeps the two pipes for itself: whatever native code prints goes to standard error. It ends when its parent
ends, because its input ends then. Knows nothing of the terminal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO

from workbench import child_process
from workbench.engines.engine import Engine
from workbench.errors import EngineError
from workbench.hosting.service import Advance, Service
from workbench.hosting.wire import Command, Open, Reply, pack, read_commands


def main() -> None:
    """Serve until standard input ends."""
    commands, replies = _claim_pipes()
    _prepare()
    inbox: SimpleQueue[Command | None] = SimpleQueue()

    def send(reply: Reply) -> None:
        replies.write(pack(reply))
        replies.flush()

    service = Service(open_engine, inbox, send)
    threading.Thread(target=_read, args=(commands, inbox, service), name="commands", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the parent is gone; the reader ends this process
        service.run()
    # a plain exit would run native destructors for nothing, and could hang in them
    sys.stderr.flush()
    os._exit(0)


def open_engine(command: Open, advance: Advance) -> Engine:
    """The engine that the model's format needs. Raises ModelError."""
    model = command.model
    match model.format:
        case "gguf":
            from workbench.engines.llamacpp.engine import LlamaEngine

            return LlamaEngine.open(
                model,
                command.threads,
                command.max_context_tokens,
                advance,
                command.parked_bytes,
                command.step_seconds,
            )
        case "scripted":
            from workbench.engines.scripted import ScriptedEngine

            return ScriptedEngine.open(model, advance, crash=os.abort)
        case "hf":
            from workbench.engines.transformers.engine import TransformersEngine

            return TransformersEngine.open(
                model,
                command.threads,
                command.max_context_tokens,
                advance,
                command.parked_bytes,
                command.step_seconds,
            )


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    commands, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(commands, "rb"), os.fdopen(replies, "wb")


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c belongs to the terminal's process
    child_process.limit_resources(RLIMIT_CORE=0)  # a crash must not write gigabytes of weights to disk


def _read(commands: BinaryIO, inbox: SimpleQueue[Command | None], service: Service) -> None:
    try:
        for command in read_commands(commands):
            service.interrupt(command)
            inbox.put(command)
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201  standard error is where the parent looks for last words
    # at once, even in the middle of native work: nobody is left to hear of it
    os._exit(0)
