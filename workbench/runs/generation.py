"""What determines one answer, and the request that a model's client is asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.datasets.turns import first_turn
from workbench.errors import PromptError
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Applied, Model, with_template_kwargs
from workbench.prompting.context_fit import RenderedPrompt, Strategy
from workbench.prompting.pictures import Picture, load_pictures
from workbench.prompting.prompt import Example, Message, PictureExample, Prompt
from workbench.prompting.prompt_parts import render_prompt
from workbench.prompting.render import Values, render
from workbench.prompting.steps import INDEX, ITEM, LAST, STEPS, list_steps, offers_tools
from workbench.prompting.values import Blank, Kind
from workbench.runs.bench import Variant
from workbench.runs.chain import find_step_sampling
from workbench.runs.nearest_examples import choose_nearest
from workbench.runs.passage_source import PassageSource
from workbench.runs.prompt_options import with_options
from workbench.runs.tool_setup import NO_SETUP, ToolSetup, constrain_calls


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """What determines one answer; two equal ones ask the same.

    passages: where those of the case come from; a case that has none yet gets them from a PassageFinder.
    """

    prompt: Prompt
    case: Case
    examples_off: frozenset[str]
    sampling: Sampling
    strategy: Strategy
    model: Model
    adapters: tuple[Applied, ...] = ()
    deterministic: bool = False
    passages: PassageSource | None = None
    following: tuple[Message, ...] = ()
    """messages behind those of the prompt"""
    step_models: tuple[tuple[str, Model], ...] = ()
    """of a chain's steps that have one of their own, by the names they call it"""
    constrained_calls: bool = False
    tool_setup: ToolSetup = NO_SETUP
    """of the bench: what tools answer"""
    tool_code: str = ""
    """digest of the Python file that answers calls, and of what it loads"""
    folder: str = ""
    """of the bench, from which pictures and the Python file of its tools are looked up"""

    @classmethod
    def of(
        cls,
        variant: Variant,
        prompt: Prompt,
        case: Case,
        strategy: Strategy,
        model: Model,
        adapters: tuple[Applied, ...] = (),
        passages: PassageSource | None = None,
        step_models: tuple[tuple[str, Model], ...] = (),
    ) -> GenerationSpec:
        off = frozenset(variant.examples_off)
        sampling = with_options(variant.sampling, prompt, variant.default_sampling)
        if variant.constrained_calls and prompt.tools and not prompt.steps:
            sampling = constrain_calls(sampling, prompt.tools)
        named = with_template_kwargs(model, variant.chat_template_kwargs)
        return cls(
            prompt.without_header(),
            case,
            off,
            sampling,
            strategy,
            named,
            adapters,
            variant.deterministic,
            passages,
            step_models=step_models,
            constrained_calls=variant.constrained_calls and offers_tools(prompt),
        )

    @property
    def examples(self) -> tuple[Example, ...]:
        """The examples that are sent: those that are switched on, or the nearest of them."""
        return examples_for(Variant("", "", "", examples_off=tuple(self.examples_off)), self.prompt, self.case)

    @property
    def shown_examples(self) -> tuple[Example, ...]:
        """Those that any step shows a model."""
        return shown_examples(Variant("", "", "", examples_off=tuple(self.examples_off)), self.prompt)

    @property
    def weights(self) -> tuple[Path, ...]:
        """The files of the model and of the adapters that act on it; none of what a server has."""
        if self.model.remote:
            return ()
        return (self.model.path, *(one.adapter.path for one in self.adapters if one.scale))

    def request(self, top_logprobs: int = 0, priority: int = 0) -> GenerateRequest:
        """What a client of the model is asked. Raises PromptError when the prompt cannot be rendered.

        What each part of the prompt takes is found for someone who looks on (priority 0) alone.
        """
        self._check_single()
        rendered = render_prompt(self.prompt, self.values(), self._pictured_examples(), self.strategy, priority == 0)
        rendered = rendered.followed_by(self.following)
        return GenerateRequest(
            0,
            (),
            self.sampling,
            self.prompt.mode,
            self.adapters,
            top_logprobs,
            priority,
            self.deterministic,
            prompt=rendered,
            tools=self.prompt.tools,
        )

    def values(self) -> dict[str, Any]:
        """The variables, of the first turn where there are several, with pictures read. Raises WorkbenchError."""
        return load_pictures(first_turn(self.case).values, self.prompt.kinds, Path(self.folder))

    def _pictured_examples(self) -> tuple[Example, ...]:
        """The examples that are sent, with their pictures read. Raises FileError."""
        return with_pictures(self.examples, self.prompt, Path(self.folder))

    def _check_single(self) -> None:
        """A chain asks in several calls, each of which is a spec of its own (chain_client.py)."""
        if self.prompt.steps:
            raise PromptError(
                f"{self.prompt.name} is a chain of {len(list_steps(self.prompt))} steps, and one call is wanted here.",
                "Choose a prompt without steps, such as the prompt of one of them.",
            )

    def conversation(self) -> GenerateRequest:
        """The whole conversation, nothing left out for the context. Raises PromptError when it cannot be rendered."""
        self._check_single()
        messages = (*render(self.prompt, self.values(), self._pictured_examples()), *self.following)
        tools = self.prompt.tools
        return GenerateRequest(0, messages, self.sampling, self.prompt.mode, self.adapters, tools=tools)


def shown_examples(variant: Variant, prompt: Prompt) -> tuple[Example, ...]:
    """Every example that a variant shows its models, those of a chain's steps too."""
    contents = (step.content for step in prompt.steps if step.content and step.content.placement != "none")
    return (*enabled_examples(variant, prompt), *(example for content in contents for example in content.examples))


def render_steps(prompt: Prompt, values: Values, examples: Sequence[Example]) -> tuple[tuple[Message, ...], ...]:
    """The conversations that a prompt asks, one for each step of a chain, before any of them is answered: blank stands
    for what the steps before would say. Raises PromptError when one cannot be rendered."""
    if not prompt.steps:
        return (render(prompt, values, examples),)
    unknown = dict.fromkeys((STEPS, ITEM, INDEX), Blank())
    found = []
    for step in list_steps(prompt):
        assert step.content is not None
        own = examples if step.name == LAST and step.content.body == prompt.body else step.content.examples
        shown = own if step.content.placement != "none" else ()
        found.append(render(step.content, {**values, **unknown}, shown))
    return tuple(found)


def find_kinds(prompt: Prompt) -> dict[str, Kind]:
    """The types of a prompt's variables, those of a chain's steps among them."""
    steps = (step.content for step in prompt.steps if step.content)
    return {name: kind for one in (*steps, prompt) for name, kind in one.kinds.items()}


def shows_pictures(prompt: Prompt) -> bool:
    """Whether a prompt asks for pictures, in its own messages or in a step's."""
    return "image" in find_kinds(prompt).values()


def with_pictures(examples: Sequence[Example], prompt: Prompt, folder: Path) -> tuple[Example, ...]:
    """The examples with the pictures that their variables of kind `image` name. Raises FileError."""
    if "image" not in prompt.kinds.values():
        return tuple(examples)
    found: list[Example] = []
    for example in examples:
        read = load_pictures(example.variables, prompt.kinds, folder)
        pictures = {name: value for name, value in read.items() if isinstance(value, Picture)}
        fields = example.id, example.variables, example.answer, example.typed
        found.append(PictureExample(*fields, pictures) if pictures else example)
    return tuple(found)


class StepRequest(NamedTuple):
    """What one call of a prompt asks, before any is answered. step: "" where it is the only one."""

    step: str
    model: Model
    request: GenerateRequest


def list_requests(spec: GenerationSpec) -> tuple[StepRequest, ...]:
    """The request of each step, with blank for what the steps before would say; of another prompt its only one.

    Raises PromptError when one cannot be rendered.
    """
    if not spec.prompt.steps:
        return (StepRequest("", spec.model, spec.request()),)
    models = dict(spec.step_models)
    values = load_pictures(spec.case.values, find_kinds(spec.prompt), Path(spec.folder))
    found = []
    steps = list_steps(spec.prompt)
    for step, messages in zip(steps, render_steps(spec.prompt, values, spec.examples), strict=True):
        assert step.content is not None
        sampling = find_step_sampling(step, spec.sampling)
        adapters = () if step.model else spec.adapters
        asked = GenerateRequest(0, (), sampling, step.content.mode, adapters, tools=step.content.tools)
        rendered = RenderedPrompt(messages, spec.strategy)
        request = msgspec.structs.replace(asked, prompt=rendered)
        found.append(StepRequest(step.name, models[step.model] if step.model else spec.model, request))
    return tuple(found)


def examples_for(variant: Variant, prompt: Prompt, case: Case) -> tuple[Example, ...]:
    """The enabled examples that a case is asked with: all, or those that are most like it."""
    enabled = enabled_examples(variant, prompt)
    return choose_nearest(enabled, case, prompt.nearest) if prompt.nearest and enabled else enabled


def enabled_examples(variant: Variant, prompt: Prompt) -> tuple[Example, ...]:
    """The prompt's examples that the variant has not switched off; none where the prompt places none."""
    if prompt.placement == "none":
        return ()
    return tuple(example for example in prompt.examples if example.id not in variant.examples_off)
