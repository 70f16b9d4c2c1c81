"""The Python file of a bench whose functions answer tool calls: found, read, agreed to, opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from workbench import paths
from workbench.errors import StepError, StoreError, WorkbenchError
from workbench.prompting.tools import ToolCall
from workbench.runs.bench import Bench
from workbench.runs.tool_setup import ToolFile, ToolSetup
from workbench.scoring.local_code import LocalCode, read_code
from workbench.scoring.permissions import Permissions, unite
from workbench.scoring.tool_functions import ToolFunctions
from workbench.scoring.trust import Spec, require_trust

AnswerTool = Callable[[ToolCall], Awaitable[str | None]]
"""What a tool answers to a call; None where nothing does. Raises WorkbenchError."""


def list_code(bench: Bench) -> tuple[Spec, ...]:
    """What of a bench may run Python code of a user's, as trust reads it: its scorers, and its tools."""
    return (*bench.scorers, *_list_specs(bench.tools.python))


def read_tool_code(setup: ToolSetup, folder: Path) -> LocalCode | None:
    """The file with all that it loads, as they are now; None where there is none. folder: the bench's.

    Raises FileError for one that is missing, ScorerError for one that cannot be looked through.
    """
    if setup.python is None:
        return None
    own = setup.python
    permissions = unite([Permissions(own.network, own.environment)])
    return read_code(paths.find_input(own.file, folder), folder, permissions)


def open_tools(setup: ToolSetup, folder: Path) -> ToolFunctions | None:
    """The functions of the file; None where there is none. To be closed by whoever opens them.

    Raises FileError for one that is missing, ScorerError for one that nobody has agreed to.
    """
    if setup.python is None:
        return None
    code = read_tool_code(setup, folder)
    require_trust(_list_specs(setup.python), folder)
    assert code is not None
    return ToolFunctions(code, folder, setup.python.timeout_seconds)


def check_tool_code(then: LocalCode | None, setup: ToolSetup, folder: Path) -> None:
    """Raise StoreError where the file is no longer what it was in a run. then: as it was; None where there was none."""
    if then is None:
        return
    try:
        now = read_tool_code(setup, folder)
    except WorkbenchError as error:
        raise StoreError(error.message, "Put the file back, or start a new run.") from error
    if now is None or now.content != then.content:
        raise StoreError(
            f"{then.file}, or what it loads, has changed since: its tools may answer otherwise than in this run.",
            "Put the old one back, or start a new run.",
        )


async def refuse_call(call: ToolCall) -> str | None:
    """For what must not run anything: a plan, a record that is read again."""
    raise StepError(f"What {call.name} answers is known only when it is called.")


def _list_specs(file: ToolFile | None) -> tuple[Spec, ...]:
    if file is None:
        return ()
    return ({"python": {"file": file.file, "network": file.network, "environment": list(file.environment)}},)
