"""The values a prompt is made of: Message, Example, Prompt.

Knows nothing of files (see library/), of tokens (engines/) or of how a template is filled in (render.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from workbench.prompting.values import Kind, read_json, split_typed

Role = Literal["system", "user", "assistant", "tool"]
Placement = Literal["turns", "inline", "none"]
Mode = Literal["chat", "completion"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Role
    content: str


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


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template with roles, and where its examples go.

    body: the text after the front matter, byte for byte; role markers stand on lines of their own
        (`system:`, `user:`, `assistant:`); text before the first marker is the system message, and
        without any marker it is the user's.
    defaults: values for variables that a case may leave out.
    kinds: variable -> its type, as the file declares it or as the default has it; a template sees values of that type.
    placement: `turns` puts each example before the last user message as a user and an assistant turn;
        `inline` hands the list to the template as `examples`; `none` sends no examples.
    unused: what the file asks for and is not done, in words; empty when nothing is.
    mode: `chat` goes through the model's chat template; `completion` sends the body's text as it is.
    """

    name: str
    body: str
    description: str = ""
    defaults: Mapping[str, str] = {}
    kinds: Mapping[str, Kind] = {}
    unused: str = ""
    placement: Placement = "none"
    mode: Mode = "chat"
    examples: tuple[Example, ...] = ()
