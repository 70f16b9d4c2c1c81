"""What a case says of a conversation: its turns, what tools answer in it, and which calls are expected.

Variables of these names, whose text is a JSON list, have a meaning of their own:

    turns           [{"message": "Is it cold in Oslo?", "expected": "…"}, {"message": "And tomorrow?"}]
    tool_results    [{"tool": "weather", "arguments": {"city": "Oslo"}, "result": "-3 degrees"}]
    expected_calls  [{"tool": "weather", "arguments": {"city": "Oslo"}}]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from workbench.datasets.case import Case
from workbench.errors import DatasetError
from workbench.prompting.values import write_json
from workbench.retrieval.passage import Reference, read_references

TURNS, RESULTS, CALLS = "turns", "tool_results", "expected_calls"
MOST_TURNS = 100
_OWN = ("expected", "also", "assistant", "relevant")


class ToolResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a tool answers, instead of being run.

    tool: its name. arguments: it answers so only calls that have these, whatever others they have; left out: any call.
    result: the answer, a text or any value, which is sent as JSON. error: the call fails with this message instead.
    """

    tool: str
    arguments: dict[str, Any] | None = None
    result: Any = ""
    error: str = ""

    @property
    def text(self) -> str:
        """What the model gets: data, never template or markup."""
        if self.error:
            return f"Error: {self.error}"
        return self.result if isinstance(self.result, str) else str(write_json(self.result))


class ExpectedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call that should be made. arguments: left out: whichever."""

    tool: str
    arguments: dict[str, Any] | None = None


class CaseTurn(msgspec.Struct, frozen=True):
    """One turn of a conversation. case: with the turn's own variables, what is expected of it and what was retrieved
    for it. assistant: what the assistant says in it, instead of the model; None: the model answers."""

    case: Case
    assistant: str | None = None


def has_turns(case: Case) -> bool:
    """Whether a case is a conversation. A list of messages with roles is none: a template may loop over it."""
    found = _read_list(case, TURNS)
    return bool(found) and all(isinstance(one, dict) and not {"role", "from"} & one.keys() for one in found or ())


def read_turns(case: Case) -> tuple[CaseTurn, ...]:
    """The turns of a case; one that is no conversation has one turn, itself. Raises DatasetError."""
    if not has_turns(case):
        return (CaseTurn(case),)
    found = _read_list(case, TURNS) or []
    if len(found) > MOST_TURNS:
        raise _error(case, TURNS, f"has {len(found)} turns, and at most {MOST_TURNS} are asked")
    return tuple(_make_turn(case, at, dict(turn)) for at, turn in enumerate(found, start=1))


def first_turn(case: Case) -> Case:
    """The case as its first turn has it. Raises DatasetError."""
    return read_turns(case)[0].case


def list_turn_variables(cases: Iterable[Case]) -> tuple[str, ...]:
    """The variables that turns of these cases have of their own."""
    found = [one for case in cases if has_turns(case) for one in _read_list(case, TURNS) or ()]
    return tuple(dict.fromkeys(name for turn in found for name in turn if name not in _OWN))


def read_results(case: Case) -> tuple[ToolResult, ...]:
    """What tools answer in a case. Raises DatasetError."""
    found: tuple[ToolResult, ...] = _convert(case, RESULTS, tuple[ToolResult, ...])
    return found


def read_expected_calls(case: Case) -> tuple[ExpectedCall, ...] | None:
    """The calls that a case expects; None where it expects nothing of them. Raises DatasetError."""
    return _convert(case, CALLS, tuple[ExpectedCall, ...]) if case.variables.get(CALLS, "").strip() else None


def _make_turn(case: Case, number: int, turn: dict[str, Any]) -> CaseTurn:
    for name in ("expected", "assistant"):
        if not isinstance(turn.get(name), str | None):
            turn[name] = write_json(turn[name])
    also = turn.get("also", [])
    if not isinstance(also, list) or not all(isinstance(one, str) for one in also):
        raise _error(case, f"{TURNS}[{number}].also", "is not a list of texts")
    shared = {name: text for name, text in case.variables.items() if name != TURNS}
    texts, typed = dict(shared), [name for name in case.typed if name in shared]
    for name, value in turn.items():
        if name in _OWN:
            continue
        texts[name] = value if isinstance(value, str) else write_json(value)
        typed = [one for one in typed if one != name] + ([] if isinstance(value, str) else [name])
    expected = turn.get("expected")
    own = msgspec.structs.replace(
        case,
        variables=texts,
        expected=expected,
        also=tuple(also),
        typed=tuple(typed),
        relevant=_read_relevant(case, number, turn["relevant"]) if "relevant" in turn else case.relevant,
        passages=case.turn_passages[number - 1] if case.turn_passages else case.passages,
        turn_passages=(),
    )
    return CaseTurn(own, turn.get("assistant"))


def _read_relevant(case: Case, number: int, given: Any) -> tuple[Reference, ...]:
    try:
        return read_references(given if isinstance(given, str) else write_json(given))
    except ValueError as error:
        raise _error(case, f"{TURNS}[{number}]", f"cannot be read: {error}") from error


def _read_list(case: Case, name: str) -> list[Any] | None:
    text = case.variables.get(name, "")
    if not text.lstrip().startswith("["):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _convert(case: Case, name: str, kind: Any) -> Any:
    text = case.variables.get(name, "")
    if not text.strip():
        return ()
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _error(case, name, f"cannot be read: {error}") from error


def _error(case: Case, name: str, problem: str) -> DatasetError:
    return DatasetError(f"Case {case.number}: `{name}` {problem}.", "docs/tools.md and docs/turns.md show the forms.")
