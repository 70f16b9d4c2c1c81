"""A training row: what is asked, and the answer that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from workbench.prompting.prompt import Message, Mode
from workbench.prompting.tools import Tool, ToolCall


class TrainingRow(NamedTuple):
    """A conversation and its answer. case: its number in the dataset. inputs: the prompt's variables.

    learned: the indices of the assistant's turns among `messages` that are learned too; None for a prompt and its
    completion, of which the whole closing is learned. calls: of tools, with the answer. tools: offered to the model.
    """

    case: int
    messages: tuple[Message, ...]
    answer: str
    mode: Mode
    inputs: Mapping[str, object] = MappingProxyType({})
    learned: tuple[int, ...] | None = None
    calls: tuple[ToolCall, ...] = ()
    tools: tuple[Tool, ...] = ()


class RenderedRows(NamedTuple):
    """rows: with an expected answer. unlabelled: numbers of the cases without one, which are left out. remarks: what
    else of the cases is left out, in words, and of how many."""

    rows: tuple[TrainingRow, ...]
    unlabelled: tuple[int, ...]
    remarks: tuple[tuple[str, int], ...] = ()
