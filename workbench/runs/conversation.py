"""A conversation carried out for one case: its turns one after another, and in each the tools that the model calls.

Who asks the model is the caller's, as for a chain: a run through its cache, a pane as a stream, a test from a table.
What tools answer is prepared in the case or the bench; else a Python file that was trusted may answer (tool_file.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.datasets.turns import CaseTurn, has_turns, read_results, read_turns
from workbench.errors import PromptError, ServerMismatchError, StepError, WorkbenchError
from workbench.inference.types import Completion
from workbench.prompting.pictures import load_pictures
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.render import find_turn_variables, render_turn
from workbench.runs.cell_step import CellStep, StepKind, sum_steps
from workbench.runs.chain import StepCall
from workbench.runs.chain_outcome import AnswerCall, ChainOutcome, OnStep, StepAnswer
from workbench.runs.passage_source import PASSAGES
from workbench.runs.tool_results import PreparedResults, is_unprepared
from workbench.runs.tool_rounds import LIMITED, ToolRules, answer_call, name_calls, parse_answer
from workbench.runs.tool_setup import ToolSetup
from workbench.scoring.tool_trace import ToolTrace
from workbench.store.cell_records import StoredCompletion

SCRIPTED = "the case's own answer"


class TurnOutcome(NamedTuple):
    """What the model answered in one turn. number: from 1. case: with what is expected of the turn. completion: tokens
    and times of all rounds. trace: of its tool calls; None where the prompt has no tools. at: of its last step."""

    number: int
    case: Case
    text: str
    completion: Completion
    trace: ToolTrace | None
    at: int


def is_conversation(prompt: Prompt, case: Case) -> bool:
    """Whether a case is asked in several calls: it has turns, or its prompt has tools."""
    return not prompt.steps and (bool(prompt.tools) or has_turns(case))


def asks_several(prompt: Prompt, case: Case) -> bool:
    """Whether a case takes several calls, those of a chain or of a conversation."""
    return bool(prompt.steps) or is_conversation(prompt, case)


def count_most_calls(prompt: Prompt, case: Case, setup: ToolSetup) -> int:
    """The most answers of the model that a case takes. Raises DatasetError."""
    if not is_conversation(prompt, case):
        return 1
    turns = [turn for turn in read_turns(case) if turn.assistant is None]
    return sum(count_rounds(prompt, turn.case, setup) for turn in turns)


def count_rounds(prompt: Prompt, case: Case, setup: ToolSetup) -> int:
    """The most answers of the model to one message, those that call tools among them. Raises DatasetError."""
    return setup.rounds if prompt.tools and (setup.results or setup.python or read_results(case)) else 1


async def run_conversation(
    prompt: Prompt,
    case: Case,
    rules: ToolRules,
    ask: AnswerCall,
    on_step: OnStep = lambda at, step: None,
    folder: Path = Path(),
) -> ChainOutcome:
    """Carry a conversation out. A turn that fails ends it: the turns behind it are not run, and the outcome says why.

    folder: from which pictures of later turns are looked up. Raises ServerMismatchError.
    """
    return await _Conversation(prompt, case, rules, ask, on_step, folder).run()


def collect_turns(prompt: Prompt, case: Case, steps: Sequence[CellStep]) -> tuple[TurnOutcome, ...]:
    """What a conversation that was carried out came to, turn by turn; turns without an answer are left out.

    Raises DatasetError.
    """
    found = []
    for number, turn in enumerate(read_turns(case), start=1):
        own = [(at, step) for at, step in enumerate(steps) if step.turn == number and step.state == "done"]
        if turn.assistant is not None or not own:
            continue
        made = [step for _, step in own]
        completion = msgspec.structs.replace(sum_steps(made, made[-1].completion), text=made[-1].text)
        trace = _trace(prompt, made, steps, number) if prompt.tools else None
        found.append(TurnOutcome(number, turn.case, made[-1].text, completion, trace, own[-1][0]))
    return tuple(found)


def list_following(steps: Sequence[CellStep], at: int) -> tuple[Message, ...]:
    """The messages behind those of the prompt that a step was asked with."""
    found: list[Message] = []
    for step in steps[:at]:
        found += step.before
        if step.state == "done":
            found.append(Message("assistant", step.text, step.calls))
    return (*found, *steps[at].before)


def _trace(prompt: Prompt, made: Sequence[CellStep], steps: Sequence[CellStep], number: int) -> ToolTrace:
    answers = [message for step in steps for message in step.before if message.role == "tool" and step.turn == number]
    return ToolTrace(
        tuple(call for step in made for call in step.calls),
        len(made),
        next((step.problem for step in made if step.problem), ""),
        made[-1].note == LIMITED,
        sum(map(is_unprepared, answers)),
        prompt.tools,
        sum(step.live for step in steps if step.turn == number),
    )


class _Conversation:
    """One conversation under way. said: the messages behind those of the prompt."""

    def __init__(
        self, prompt: Prompt, case: Case, rules: ToolRules, ask: AnswerCall, on_step: OnStep, folder: Path
    ) -> None:
        self._prompt, self._case, self._rules, self._ask, self._on_step = prompt, case, rules, ask, on_step
        self._folder = folder
        self._following: list[Message] = []
        self._shown = 0
        self._live = 0
        self._made: list[CellStep] = []
        self._answers: list[StoredCompletion] = []
        self._spent = 0.0
        self._last: StepCall | None = None

    async def run(self) -> ChainOutcome:
        error: WorkbenchError | None = None
        done = Completion()
        try:
            turns = self._read_turns()
            for number, turn in enumerate(turns, start=1):
                if error is not None:
                    self._add(CellStep(_name(number), "turn", "not_run", turn=number, note="a turn before it failed"))
                    continue
                try:
                    done = await self._run_turn(number, turn, turns) or done
                except ServerMismatchError:
                    raise
                except WorkbenchError as caught:
                    where = f"Turn {number}: " if len(turns) > 1 else ""
                    error = StepError(f"{where}{caught.message}", caught.hint, caught.details)
        except ServerMismatchError:
            raise
        except WorkbenchError as caught:
            error = caught
        whole = sum_steps(self._made, done if error is None else msgspec.structs.replace(done, text=""))
        return ChainOutcome(tuple(self._made), whole, error, tuple(self._answers), self._spent, self._last)

    def _read_turns(self) -> tuple[CaseTurn, ...]:
        turns = read_turns(self._case)
        if all(turn.assistant is not None for turn in turns):
            raise StepError("Every turn of this case has its own answer: the model is asked nothing.")
        if len(turns) > 1 and self._prompt.mode == "completion":
            raise PromptError(
                f"{self._prompt.name} is a completion, and a case with turns is a chat.",
                "Set `mode: chat` in the prompt.",
            )
        if self._case.turn_passages and self._case.retrieved_by != "none" and len(turns) > 1:
            _check_passages(self._prompt)
        return turns

    async def _run_turn(self, number: int, turn: CaseTurn, turns: Sequence[CaseTurn]) -> Completion | None:
        """The answer to a turn; None for one that the case answers itself."""
        if number > 1:
            values = load_pictures(turn.case.values, self._prompt.kinds, self._folder)
            self._following.append(render_turn(self._prompt, values))
        if turn.assistant is not None:
            self._following.append(Message("assistant", turn.assistant))
            self._add(CellStep(_name(number), "turn", "skipped", answers=False, note=SCRIPTED, turn=number))
            return None
        results = PreparedResults((read_results(turn.case), self._rules.setup.results), self._prompt.tools)
        answered = results.any or self._rules.answers
        most = self._rules.setup.rounds if self._prompt.tools and answered else 1
        for number_of_round in range(1, most + 1):
            kind: StepKind = "tool" if number_of_round > 1 else "turn" if len(turns) > 1 else "call"
            name = _name(number) if len(turns) > 1 else "answer"
            label = name if number_of_round == 1 else f"{name}, round {number_of_round}"
            step = await self._make(
                StepCall(label, self._prompt, turns[0].case, following=tuple(self._following), kind=kind), number
            )
            limited = bool(step.calls) and answered and number_of_round == most
            if limited:
                step = self._note(LIMITED)
            self._following.append(Message("assistant", step.text, step.calls))
            if not step.calls:
                break
            for call in step.calls:
                given = (results.answer(call), False) if limited else await answer_call(call, results, self._rules)
                self._following.append(given[0])
                self._live += given[1]
        return msgspec.structs.replace(step.completion, text=step.text)

    async def _make(self, call: StepCall, turn: int) -> CellStep:
        """One answer of the model, noted. Raises WorkbenchError where there is none."""
        self._last = call
        try:
            answer = await self._ask(call)
        except ServerMismatchError:
            raise
        except WorkbenchError as failure:
            answer = StepAnswer(StoredCompletion(), error=failure)
        stored, error = answer.stored, answer.error
        parsed = parse_answer(stored.completion.text, self._prompt.tools, self._rules)
        step = CellStep(
            call.name,
            call.kind,
            "failed" if error else "done",
            answers=error is None,
            model=answer.model,
            digest=stored.digest.hex() if stored.digest else "",
            completion=stored.completion,
            cached=answer.cached,
            cost=answer.cost,
            share_seconds=stored.share_seconds,
            error=error.message if error else "",
            hint=error.hint if error else "",
            turn=turn,
            calls=() if error else name_calls(parsed.calls, len(self._following)),
            problem=parsed.problem,
            content=parsed.content if parsed.content != stored.completion.text else None,
        )
        self._add(step)
        if not answer.found:
            self._spent += answer.cost
            self._answers += [stored] if stored.reusable else []
        if error:
            raise error
        return self._made[-1]

    def _note(self, note: str) -> CellStep:
        """Say something of the last step."""
        self._made[-1] = msgspec.structs.replace(self._made[-1], note=note)
        self._on_step(len(self._made) - 1, self._made[-1])
        return self._made[-1]

    def _add(self, step: CellStep) -> None:
        before = tuple(self._following[self._shown :])
        self._shown = len(self._following) + (step.state == "done")  # the answer itself stands in the step
        live, self._live = self._live, 0
        self._made.append(msgspec.structs.replace(step, before=before, live=live))
        self._on_step(len(self._made) - 1, self._made[-1])


def _check_passages(prompt: Prompt) -> None:
    """Raise PromptError where later turns would not show what is retrieved for them."""
    if PASSAGES not in find_turn_variables(prompt):
        raise PromptError(
            f"{prompt.name} does not show passages in its last user message, the only one that later turns of a"
            " conversation fill in: what is retrieved for them would not be sent.",
            "Move {{ passages }} into the last `user:` section.",
        )


def _name(turn: int) -> str:
    return f"turn {turn}"
