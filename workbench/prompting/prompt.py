"""The values a prompt is made of: Message, Example, Prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from workbench.prompting.pictures import Picture
from workbench.prompting.tools import Tool, ToolCall
from workbench.prompting.values import Kind, read_json, split_typed

Role = Literal["system", "user", "assistant", "tool"]
Placement = Literal["turns", "inline", "none"]
Mode = Literal["chat", "completion"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One turn of a conversation.

    calls: of an assistant, the tools that it called. name, call_id: of a tool, which call this answers.
    pictures: that stand in it, each at its place in the text.
    """

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    name: str = ""
    call_id: str = ""
    pictures: tuple[Picture, ...] = ()


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One few-shot demonstration: input variables and the answer that belongs to them.

    typed: the variables whose text is the JSON of another type. A JsonText given among the variables is kept so.
    """

    id: str
    variables: Mapping[str, str]
    answer: str
    typed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if split := split_typed(self.variables, self.typed):
            msgspec.structs.force_setattr(self, "variables", split.texts)
            msgspec.structs.force_setattr(self, "typed", split.names)

    @property
    def values(self) -> dict[str, Any]:
        """The variables as a template sees them."""
        return {name: read_json(text) if name in self.typed else text for name, text in self.variables.items()}


class PictureExample(Example, frozen=True, forbid_unknown_fields=True):
    """An example whose pictures were read from the files that its variables name. pictures: by variable."""

    pictures: Mapping[str, Picture] = {}

    @property
    def values(self) -> dict[str, Any]:
        return {**super().values, **self.pictures}


Vote = Literal["text", "number", "json"]
"""By what several answers are compared: the whole text, its last number, or the JSON in it."""


class StepCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call that judges a step's answer.

    prompt, template, model, sampling: as of a PromptStep; the template sees the answer as `answer`. accept: a Jinja
    condition on what it said, `verdict`. content: as in a PromptStep.
    """

    accept: str
    prompt: str = ""
    template: str = ""
    model: str = ""
    sampling: dict[str, Any] = {}
    content: Prompt | None = None


class PromptStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of a prompt that is a chain: a template that sees the case and the steps before as `steps.NAME.text`.

    prompt: a prompt of the library, or template: the text itself. model: of its own; empty: the variant's. sampling:
        fields that differ from the variant's.
    when: Jinja condition; where it does not hold, the step is skipped. each: Jinja expression of a list: the step is
        carried out for each `item`.
    samples: answers of which the most frequent is the step's; vote: by what they are compared.
    check: `json`, or a Jinja condition on `answer`; verify: a call that judges it. retries: how often an answer that is
        not accepted is asked for again, with `feedback` (a template that sees `problem`) after it. otherwise: what a
        step is whose last answer is not accepted: a failure, or that answer.
    content: the template with all that belongs to it, once it was looked up.
    """

    name: str
    prompt: str = ""
    template: str = ""
    model: str = ""
    sampling: dict[str, Any] = {}
    when: str = ""
    each: str = ""
    samples: int = 1
    vote: Vote = "text"
    check: str = ""
    verify: StepCheck | None = None
    retries: int = 0
    feedback: str = ""
    otherwise: Literal["fail", "keep"] = "fail"
    content: Prompt | None = None


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template with roles, and where its examples go.

    body: the text after the front matter, byte for byte; role markers stand on lines of their own
        (`system:`, `user:`, `assistant:`); text before the first marker is the system message, and
        without any marker it is the user's.
    defaults: values for variables that a case may leave out.
    kinds: variable -> its type, as the file declares it or as the default has it; a template sees values of that type.
    placement: `turns` puts each example before the last user message as a user and an assistant turn;
        `inline` hands the list to the template as `examples`; `none` sends no examples.
    nearest: send only so many of the examples, those most like the case, the most like it last; 0: all of them.
    unused: what the file asks for and is not done, in words; empty when nothing is.
    mode: `chat` goes through the model's chat template; `completion` sends the body's text as it is.
    tools: functions that the model may call.
    options: sampling fields that the file sets, below a variant's own; `json_schema` from its `outputs`.
    header: the text of the front matter, where it was edited as such; unset: as the file has it.
    steps: calls that are made first, where the prompt is a chain; the body is then its last step, unless it is blank.
    """

    name: str
    body: str
    description: str = ""
    defaults: Mapping[str, str] = {}
    kinds: Mapping[str, Kind] = {}
    unsupported: str = ""
    placement: Placement = "none"
    mode: Mode = "chat"
    examples: tuple[Example, ...] = ()
    tools: tuple[Tool, ...] = ()
    options: Mapping[str, Any] = {}
    header: str | msgspec.UnsetType = msgspec.UNSET
    steps: tuple[PromptStep, ...] = ()
    nearest: int = 0

    def without_header(self) -> Prompt:
        """What is asked: the same without the text of the front matter, whose comments ask nothing."""
        return self if self.header is msgspec.UNSET else msgspec.structs.replace(self, header=msgspec.UNSET)
