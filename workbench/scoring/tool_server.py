"""The process in which a person's own tool functions are called, confined as one that scores.

It ends with its parent, even in the middle of a function that hangs, and its folder with it. Time limits are the
parent's.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import MAX_MESSAGE_CHARS, shorten
from workbench.inference.worker.spawn import remove_scratch
from workbench.scoring.confinement import confine, confine_imports
from workbench.scoring.local_code import local_folders
from workbench.scoring.tool_protocol import (
    LONGEST_RESULT,
    TOOL_MESSAGES,
    FunctionCall,
    FunctionResult,
    FunctionsLoaded,
    ToolFileSetup,
)

_GRACE_SECONDS = 5.0  # after which a process that hangs ends itself
Functions = dict[str, Callable[..., Any]]


def main() -> None:
    """Serve until the parent ends."""
    channel = ParentChannel(TOOL_MESSAGES, on_end=lambda: remove_scratch(Path.cwd()))  # nobody else may be left
    setup = channel.first()
    assert isinstance(setup, ToolFileSetup)
    confine(setup.network)  # before there is a second thread
    file = Path(setup.code.file)
    confine_imports([setup.code], local_folders(file, Path(setup.folder)), Path.cwd())
    channel.listen()
    functions: Functions = {}
    try:
        functions = list_functions(_load(file))
    except (Exception, SystemExit) as error:  # noqa: BLE001  a person's code may raise anything
        channel.send(FunctionsLoaded(problem=_describe(error)))
    else:
        channel.send(FunctionsLoaded(tuple(functions)))
    while True:
        call = channel.receive()
        assert isinstance(call, FunctionCall)
        # a hang in native code stops every thread, and the parent that would end this process may be gone
        faulthandler.dump_traceback_later(call.seconds + _GRACE_SECONDS, exit=True)
        result = call_function(functions[call.name], json.loads(call.arguments))
        faulthandler.cancel_dump_traceback_later()
        channel.send(result)


def list_functions(module: ModuleType) -> Functions:
    """What a file defines itself and does not hide by an underscore; what it imports is no tool."""
    return {
        name: found
        for name, found in vars(module).items()
        if callable(found)
        and not isinstance(found, type)
        and not name.startswith("_")
        and getattr(found, "__module__", None) == module.__name__
    }


def call_function(function: Callable[..., Any], arguments: dict[str, Any]) -> FunctionResult:
    """What a function returns: a text as it is, anything else as JSON. What it raises is a result that failed."""
    try:
        found = function(**arguments)
        if inspect.iscoroutine(found):
            found = asyncio.run(found)
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a person's code may raise anything
        return FunctionResult(_describe(error), failed=True)
    return FunctionResult(shorten(text, LONGEST_RESULT))


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  its own text may fail as well
        text = "(its message cannot be written)"
    return shorten(f"{type(error).__name__}: {text}" if text else type(error).__name__, MAX_MESSAGE_CHARS)


def _load(file: Path) -> ModuleType:
    """The file, run once. Raises whatever it raises."""
    spec = importlib.util.spec_from_file_location(f"tools_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
