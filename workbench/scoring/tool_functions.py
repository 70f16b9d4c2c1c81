"""ToolFunctions: a person's own functions that answer tool calls, in a process of their own.

One call at a time. A function that hangs is stopped with its process, and the next call gets a new one. Whatever a
function does is data for the model; only where the file itself cannot be used is there no answer at all.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workbench.errors import ScorerError
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.inference.worker.spawn import minimal_environment
from workbench.prompting.tools import ToolCall
from workbench.scoring.local_code import LocalCode
from workbench.scoring.tool_protocol import (
    TOOL_REPLIES,
    FunctionCall,
    FunctionResult,
    FunctionsLoaded,
    ToolFileSetup,
    ToolReply,
)
from workbench.scoring.worker import hide_values, read_variables, receive_in_time

_START_SECONDS = 120.0
_PATIENCE = 3  # ends in a row after which a function is not called again
_TRIES = {False: 1, True: 3}  # of one call whose process ended by itself, or was ended by something else
_NO_FUNCTION = re.compile(r"\W")


class ToolFunctions:
    """The functions of one file that was agreed to. code: that, with what it loads. seconds: the limit of a call."""

    def __init__(self, code: LocalCode, folder: Path, seconds: float) -> None:
        """folder: the bench's. The process starts with the first call. Raises ScorerError for a variable not set."""
        self.code = code
        self._seconds = seconds
        self._setup = ToolFileSetup(code, str(folder.absolute()), code.permissions.network)
        self._shown = read_variables(code.permissions)
        self._thread = ThreadPoolExecutor(1, "tools")
        self._worker: BlockingWorker[ToolReply] | None = None
        self._names: tuple[str, ...] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._ends: Counter[str] = Counter()
        self._broken: ScorerError | None = None

    async def answer(self, call: ToolCall) -> str | None:
        """What the function of a tool's name returns, as the model gets it; None where the file has none.

        Raises ScorerError where the file cannot be loaded, or the tools were closed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, call)

    def close(self) -> None:
        """End the process; who waits for a call gets a ScorerError. Waits for its end."""
        with self._lock:
            self._closed = True
            worker = self._worker
        if worker:
            worker.kill()
        self._thread.shutdown(wait=True, cancel_futures=True)  # a call under way has just lost its process
        self._drop()

    def _answer(self, call: ToolCall) -> str | None:
        worker = self._start()
        name = _NO_FUNCTION.sub("_", call.name)
        if name not in (self._names or ()):
            return None
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            return "Error: the arguments are no JSON object."
        result = self._call(worker, FunctionCall(name, json.dumps(arguments), self._seconds))
        text = hide_values(result.text, self._shown)
        return f"Error: {text}" if result.failed else text

    def _call(self, worker: BlockingWorker[ToolReply], call: FunctionCall) -> FunctionResult:
        if self._ends[call.name] >= _PATIENCE:
            reason = f"{call.name} was stopped {_PATIENCE} times in a row and is not called again."
            return FunctionResult(reason, failed=True)
        tried = 0
        while True:
            tried += 1
            try:
                worker.send(call)
                reply = receive_in_time(worker, self._seconds)
            except TimeoutError:
                return self._lose(call, f"{call.name} took more than {self._seconds:g} s and was stopped.")
            except WorkerEnded as ended:
                if self._closed or tried >= _TRIES[ended.exit.external]:
                    return self._lose(call, f"{call.name} brought its process down: it {ended.exit.reason}.")
                self._drop()
                worker = self._start()
                continue
            assert isinstance(reply, FunctionResult)
            self._ends[call.name] = 0
            return reply

    def _lose(self, call: FunctionCall, reason: str) -> FunctionResult:
        """The process is of no more use; the next call gets a new one."""
        self._drop()
        self._check_open()
        self._ends[call.name] += 1
        return FunctionResult(reason, failed=True)

    def _start(self) -> BlockingWorker[ToolReply]:
        """The process, with the file loaded. Raises ScorerError where that cannot be, now and whenever asked again."""
        self._check_open()
        if self._worker:
            return self._worker
        spec = WorkerSpec("workbench.scoring.tool_server", environment=self._environment)
        worker = BlockingWorker(spec, TOOL_REPLIES, "tools")
        worker.send(self._setup)
        with self._lock:
            self._worker = worker
            if self._closed:
                worker.kill()
        try:
            loaded = worker.receive(_START_SECONDS)
        except TimeoutError:
            loaded = FunctionsLoaded(problem=f"it was not loaded within {_START_SECONDS:g} s")
        except WorkerEnded as ended:
            loaded = FunctionsLoaded(problem=f"its process {ended.exit.reason}")
        assert isinstance(loaded, FunctionsLoaded)
        if loaded.problem:
            self._drop()
            self._check_open()
            self._broken = ScorerError(
                f"The tools in {self.code.file} cannot be called: {loaded.problem}",
                "Correct the file, and run again.",
            )
            raise self._broken
        self._names = loaded.names
        return worker

    def _check_open(self) -> None:
        if self._closed:
            raise ScorerError("The tools were closed before they answered.")
        if self._broken:
            raise self._broken

    def _environment(self, folder: Path) -> dict[str, str]:
        return minimal_environment(tuple(self._shown), TMPDIR=str(folder))

    def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.end()
