"""Candidates whose instruction a reflector wrote, from what went wrong with their parent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.datasets import Case
from workbench.prompting.render import find_variables
from workbench.runs.task_kind import choose_inputs, detect_task
from workbench.search.answer_form import find_form
from workbench.search.candidate import Candidate
from workbench.search.feedback import CaseFeedback
from workbench.search.instruction_text import find_instruction, replace_instruction
from workbench.search.reflection_prompt import write_reflection
from workbench.search.reflector import Reflector

if TYPE_CHECKING:
    from workbench.search.method_context import MethodContext

_MOST_SHOWN = 5
"""cases that the reflector sees: a small model's context is short"""
_MOST_FEEDBACK = 40
_FEEDBACK_SHARE = 12
"""a search's calls for each train case that it looks at"""
_LONGEST_REASON = 400


class ReflectiveProposer:
    """See the module; for the thread of its search."""

    def __init__(self, search: MethodContext, reflector: Reflector) -> None:
        self._search = search
        self._reflector = reflector
        task, prompt = detect_task(search.train), search.prepared.task.prompt
        scorers = search.prepared.task.bench.scorers
        asked = [name for name in find_variables(prompt) if name in search.train[0].variables]
        self._inputs = asked or list(choose_inputs(search.train))
        self._form = find_form(task, search.train, scorers).text
        self._required = search.guards.required

    def propose(self, parent: Candidate, feedback: Sequence[CaseFeedback]) -> Candidate | None:
        """One candidate that passed the guards; None where there is none, which the journal says why."""
        prompt = parent.prompt(self._search.prepared.task.prompt)
        shown = choose_shown(feedback)
        instruction = find_instruction(prompt).text
        room = self._search.guards.max_characters - (len(prompt.body) - len(instruction))
        asked = write_reflection(instruction, shown, self._inputs, self._form, self._required, room)
        answer = self._reflector.ask(asked)
        if not answer.instruction:
            return None
        body = replace_instruction(prompt, answer.instruction).body
        proposal = self._search.propose(parent, body=body, origin="reflection", reason=_explain(answer.analysis, shown))
        return proposal.candidate if proposal.admitted else None


def draw_feedback_cases(search: MethodContext) -> list[Case]:
    """The cases of the train part that a search learns from, the same throughout; fewer for a small budget."""
    calls = search.request.budget.calls
    most = _MOST_FEEDBACK
    if calls is not None:
        most = min(most, max(_MOST_SHOWN, (calls - search.prepared.test_calls) // _FEEDBACK_SHARE))
    drawn = random.Random(f"feedback {search.request.seed}").sample(range(len(search.train)), len(search.train))
    return [search.train[at] for at in sorted(drawn[:most])]


def choose_shown(feedback: Sequence[CaseFeedback]) -> list[CaseFeedback]:
    """The failures first, then what went right, so many as a reflector is shown; each case once."""
    unique = {one.case.number: one for one in feedback}
    return sorted(unique.values(), key=lambda one: not one.failed)[:_MOST_SHOWN]


def _explain(analysis: str, shown: Sequence[CaseFeedback]) -> str:
    """What the reflector said of its change, else the cases that it was made from."""
    flat = " ".join(analysis.split())
    if flat:
        return flat if len(flat) <= _LONGEST_REASON else f"{flat[:_LONGEST_REASON]}…"
    failed = [str(one.case.number) for one in shown if one.failed]
    return f"Written after failures on the train cases {', '.join(failed)}." if failed else "Written by the reflector."
