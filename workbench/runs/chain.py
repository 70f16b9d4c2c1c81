"""A chain's steps looked up: their templates from the library, their sampling and their models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from workbench.datasets import Case
from workbench.errors import PromptError
from workbench.inference.sampling_fields import find_problems
from workbench.inference.types import Sampling
from workbench.prompting.prompt import Message, Prompt, PromptStep, StepCheck
from workbench.prompting.steps import find_step_problems, list_steps
from workbench.runs.cell_step import StepKind, name_call
from workbench.runs.prompt_options import with_options

_SEEDS = 1000
"""between the seeds of two samples of a step, so that those of repeats and retries are others"""


@dataclass(frozen=True, slots=True)
class StepCall:
    """What a step asks a model. content: the prompt. model: of its own; empty: the variant's. changes: of the variant's
    sampling. case: with the answers of the steps before. following: messages behind those of the prompt, such as an
    answer that was not accepted. The others: as in CellStep."""

    name: str
    content: Prompt
    case: Case
    model: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    following: tuple[Message, ...] = ()
    kind: StepKind = "call"
    index: int = 0
    sample: int = 0
    attempt: int = 0
    round: int = 0

    @property
    def label(self) -> str:
        """As CellStep has it."""
        return name_call(self.name, self.kind, self.index, self.sample, self.attempt, self.round)

    def sampling(self, base: Sampling) -> Sampling:
        """How it draws: each sample and each attempt by a seed of its own. Raises PromptError."""
        own = merge_sampling(with_options(base, self.content), self.changes, self.name)
        if own.seed is None or own.temperature == 0:
            return own
        ahead = max(self.sample - 1, 0) * _SEEDS + max(self.attempt - 1, 0) * (_SEEDS // 10)
        return msgspec.structs.replace(own, seed=own.seed + ahead)


class _Asking(Protocol):
    """What a PromptStep and a StepCheck have in common."""

    @property
    def prompt(self) -> str: ...
    @property
    def template(self) -> str: ...


def resolve_chain(prompt: Prompt, open_prompt: Callable[[str], Prompt]) -> Prompt:
    """The prompt with the content of every step; a prompt that is no chain as it is.

    Raises PromptError for a step whose prompt cannot be found or is a chain itself, and for what is wrong with the
    steps; the TemplateError of a template that cannot be read.
    """
    if not prompt.steps:
        return prompt
    _check_steps(prompt)

    def find(one: _Asking, where: str) -> Prompt:
        if not one.prompt:
            plain = Prompt(f"{prompt.name}: {where}", one.template, mode=prompt.mode)
            return msgspec.structs.replace(plain, defaults=prompt.defaults, kinds=prompt.kinds)
        if one.prompt == prompt.name:
            raise PromptError(f"{prompt.name}: step `{where}` is the chain itself: a chain cannot go in a circle.")
        opened = open_prompt(one.prompt)
        if opened.steps:
            circle = any(step.prompt == prompt.name for step in opened.steps)
            why = "a chain cannot go in a circle" if circle else "a step is one call"
            raise PromptError(
                f"{prompt.name}: step `{where}` is the prompt {one.prompt}, which is a chain itself: {why}.",
                f"Write the steps of {one.prompt} into {prompt.name}.",
            )
        return opened.without_header()

    def look_up(step: PromptStep) -> PromptStep:
        verify = step.verify
        if verify is not None:
            verify = msgspec.structs.replace(verify, content=find(verify, step.name))
        return msgspec.structs.replace(step, content=find(step, step.name), verify=verify)

    resolved = msgspec.structs.replace(prompt, steps=tuple(map(look_up, prompt.steps)))
    _check_steps(resolved)
    return resolved


def _check_steps(prompt: Prompt) -> None:
    if problems := list(find_step_problems(prompt)):
        raise PromptError("\n".join(f"{prompt.name}: {problem}" for problem in problems), "Correct the chain's steps.")


def check_sampling(prompt: Prompt, sampling: Sampling, keep: Collection[str] = ()) -> None:
    """Raise PromptError where steps of a chain cannot draw as they should with a variant's sampling. keep: as in
    `with_options`."""
    sampling = with_options(sampling, prompt, keep)
    problems = [f"step `{step.name}`: {text}" for step in list_steps(prompt) for text in _check_step(step, sampling)]
    if problems:
        raise PromptError("\n".join(f"{prompt.name}: {problem}" for problem in problems), "Correct the chain's steps.")


def _check_step(step: PromptStep, base: Sampling) -> Iterator[str]:
    try:
        own = find_step_sampling(step, base)
        merge_sampling(base, step.verify.sampling if step.verify else {}, step.name)
    except PromptError as error:
        yield error.message
        return
    if step.samples > 1 and own.temperature == 0:
        yield f"{step.samples} samples at temperature 0 are all the same; give it `sampling: {{temperature: 0.7}}`"
    if step.retries and own.temperature == 0 and step.content and step.content.mode == "completion":
        yield "a completion at temperature 0 is the same when it is tried again; give it a temperature, or mode: chat"


def merge_sampling(base: Sampling, changes: Mapping[str, Any], where: str) -> Sampling:
    """A variant's sampling with what a step has of its own. Raises PromptError for what is no sampling."""
    if not changes:
        return base
    try:
        merged = msgspec.convert({**msgspec.to_builtins(base), **changes}, Sampling)
    except msgspec.ValidationError as error:
        raise PromptError(f"the sampling of step `{where}`: {error}", "docs/sampling.md lists the fields.") from error
    if problems := list(find_problems(merged)):
        raise PromptError(f"the sampling of step `{where}`: {'; '.join(problems)}", "docs/sampling.md has the ranges.")
    return merged


def count_output(step: PromptStep, base: Sampling) -> int:
    """The most tokens of one answer of a step, or of the call that judges it."""
    judged = merge_sampling(base, step.verify.sampling if step.verify else {}, step.name)
    return max(find_step_sampling(step, base).max_tokens, judged.max_tokens if step.verify else 0)


def find_step_sampling(step: PromptStep, base: Sampling) -> Sampling:
    """A variant's sampling with what a step and its prompt have of their own. Raises PromptError."""
    return merge_sampling(with_options(base, step.content) if step.content else base, step.sampling, step.name)


def list_step_models(prompt: Prompt) -> tuple[str, ...]:
    """The models that steps have of their own."""
    asking: list[PromptStep | StepCheck] = []
    for step in prompt.steps:
        asking += [step, *([step.verify] if step.verify else [])]
    return tuple(dict.fromkeys(one.model for one in asking if one.model))
