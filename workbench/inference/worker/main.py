"""The engine's worker process: one model, commands from its parent, replies to it."""

from __future__ import annotations

import contextlib
import os
import sys
from queue import SimpleQueue

from workbench.errors import ModelError
from workbench.inference.types import Engine
from workbench.inference.worker import spawn
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.protocol import ENGINE_COMMANDS, Command, LoadModel
from workbench.inference.worker.server import EngineServer, LoadProgress

_BEHIND_SCREEN = 5
"""of 19 steps: enough to let the screen draw first, and no starving beside other programs"""


def main() -> None:
    """Serve until the parent ends; with --low-priority, behind other programs."""
    if spawn.LOW_PRIORITY in sys.argv:
        spawn.lower_priority(_BEHIND_SCREEN)
    channel = ParentChannel(ENGINE_COMMANDS)
    inbox: SimpleQueue[Command | None] = SimpleQueue()
    server = EngineServer(open_engine, inbox, channel.send)

    def on_command(command: Command) -> None:
        server.abort(command)
        inbox.put(command)

    channel.listen(on_command)
    with contextlib.suppress(BrokenPipeError):  # the parent is gone; the listener ends this process
        server.run()
    # a plain exit would run native destructors for nothing, and could hang in them
    sys.stderr.flush()
    os._exit(0)


def open_engine(command: LoadModel, advance: LoadProgress) -> Engine:
    """The engine that the model's format needs. Raises ModelError."""
    model = command.model
    match model.format:
        case "gguf":
            from workbench.inference.llamacpp.engine import LlamaEngine

            return LlamaEngine.open(
                model,
                command.threads,
                command.max_context_tokens,
                advance,
                command.prompt_cache_bytes,
                command.step_seconds,
            )
        case "scripted":
            from workbench.inference.scripted import ScriptedEngine

            return ScriptedEngine.open(model, advance, crash=os.abort)
        case "hf":
            from workbench.inference.transformers.engine import TransformersEngine

            return TransformersEngine.open(
                model,
                command.threads,
                command.max_context_tokens,
                advance,
                command.prompt_cache_bytes,
                command.step_seconds,
            )
        case "remote":
            raise ModelError(f"{model.name} is on a server; no engine of this machine runs it.", "Ask the server.")
