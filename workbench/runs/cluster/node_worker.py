"""The part of a run that is on a node: its engines, which are the same processes as on one machine.

Arguments and results are bytes, numbers and texts (messages.py). Methods may be called from several threads.
"""

from __future__ import annotations

import io
import threading
from collections import deque

import msgspec

from workbench.inference.pool import Pool
from workbench.inference.worker.engine_run import Transport
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import (
    ENGINE_COMMANDS,
    Command,
    FitPrompt,
    LoadModel,
    SubmitGenerate,
    SubmitLoglikelihood,
    Tokenize,
)
from workbench.models.reference import Applied
from workbench.runs.cluster.messages import (
    EngineInput,
    EngineOutput,
    pack,
    unpack,
)
from workbench.runs.cluster.node_part import NodePart

_MOST_OUTPUTS = 2000
"""replies that one poll brings"""


class NodeWorker(NodePart):
    """See the module."""

    def __init__(self, folder: str = "") -> None:
        super().__init__(folder)
        self._pool = Pool()
        self._engines: dict[int, Transport] = {}
        self._outputs: deque[EngineOutput] = deque()
        self._arrived = threading.Condition()

    def send(self, inputs: bytes) -> None:
        """Hand commands to engines: a list of EngineInput. The first one for an engine loads its model."""
        for one in unpack(inputs, list[EngineInput]):
            for command in ENGINE_COMMANDS.read(io.BytesIO(one.frame)):
                self._send(one.engine, self._localize(command))

    def stop(self, engine: int) -> None:
        """End an engine."""
        if transport := self._engines.pop(engine, None):
            transport.stop()

    def poll(self, seconds: float) -> bytes:
        """A list of EngineOutput: what came of the engines since the last time, as soon as there is any."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._outputs, seconds)
            count = min(len(self._outputs), _MOST_OUTPUTS)
            return pack([self._outputs.popleft() for _ in range(count)])

    def close(self) -> None:
        """End every engine."""
        for engine in list(self._engines):
            self.stop(engine)
        self._pool.close()
        super().close()

    def _send(self, engine: int, command: Command) -> None:
        if isinstance(command, LoadModel):
            transport = self._engines[engine] = self._pool.open_transport(command.model)
            transport.start(lambda reply: self._put_reply(engine, reply), lambda ended: self._put_end(engine, ended))
        if found := self._engines.get(engine):
            found.send(command)

    def _localize(self, command: Command) -> Command:
        """The command with the paths of this node."""
        match command:
            case LoadModel(model):
                path = self._paths.get(model.path, model.path)
                return msgspec.structs.replace(command, model=msgspec.structs.replace(model, path=path))
            case SubmitGenerate(request) | SubmitLoglikelihood(request):
                here = msgspec.structs.replace(request, adapters=self._localize_adapters(request.adapters))
                return msgspec.structs.replace(command, request=here)
            case FitPrompt(_, request) | Tokenize(_, request):
                here = msgspec.structs.replace(request, adapters=self._localize_adapters(request.adapters))
                return msgspec.structs.replace(command, request=here)
        return command

    def _localize_adapters(self, adapters: tuple[Applied, ...]) -> tuple[Applied, ...]:
        return tuple(
            msgspec.structs.replace(
                one,
                adapter=msgspec.structs.replace(one.adapter, path=self._paths.get(one.adapter.path, one.adapter.path)),
            )
            for one in adapters
        )

    def _put_reply(self, engine: int, reply: object) -> None:
        self._put(EngineOutput(engine, ENGINE_COMMANDS.pack(reply)))

    def _put_end(self, engine: int, ended: WorkerExit) -> None:
        self._engines.pop(engine, None)
        self._put(EngineOutput(engine, b"", ended.reason, ended.last_words, ended.external))

    def _put(self, output: EngineOutput) -> None:
        with self._arrived:
            self._outputs.append(output)
            self._arrived.notify()
