"""The messages between a run and the process in which a person's own tool functions are called."""

from __future__ import annotations

import msgspec

from workbench.inference.worker.frames import FrameCodec
from workbench.scoring.local_code import LocalCode

LONGEST_RESULT = 100_000
"""Characters of a result that are kept; a longer one ends with a word on how long it was."""


class ToolFileSetup(msgspec.Struct, frozen=True, tag="setup"):
    """The first message: the code that was agreed to, the bench's folder, and whether it may use the network."""

    code: LocalCode
    folder: str
    network: bool = False


class FunctionCall(msgspec.Struct, frozen=True, tag="call"):
    """Call a function of the file; answered by a FunctionResult. arguments: a JSON object. seconds: its time limit."""

    name: str
    arguments: str
    seconds: float


class FunctionsLoaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The first reply. names: of the functions that the file defines. problem: why it could not be loaded."""

    names: tuple[str, ...] = ()
    problem: str = ""


class FunctionResult(msgspec.Struct, frozen=True, tag="result"):
    """What a function returned, as text; failed: the text says why it returned nothing."""

    text: str
    failed: bool = False


ToolMessage = ToolFileSetup | FunctionCall
ToolReply = FunctionsLoaded | FunctionResult

TOOL_REPLIES: FrameCodec[ToolReply] = FrameCodec(ToolReply, 1 << 20)
"""This side's: packs messages, reads replies."""

TOOL_MESSAGES: FrameCodec[ToolMessage] = FrameCodec(ToolMessage)
"""The process's side."""
