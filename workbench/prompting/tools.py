"""The values of function calling: a Tool that a model may call, and a ToolCall that it made."""

from __future__ import annotations

import json
from typing import Any

import msgspec


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A function that a prompt offers to the model. parameters: the JSON schema of its arguments, an object's."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the arguments, complete: templates and servers expect a type and properties."""
        return {"type": "object", "properties": {}, **self.parameters}

    @property
    def declaration(self) -> dict[str, Any]:
        """The tool in OpenAI's form, which chat templates and servers take."""
        function = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": function}


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call as a model made it: data, never markup or template.

    arguments: a JSON object as text. id: as the model or its server named the call; "" where it did not.
    """

    name: str
    arguments: str = "{}"
    id: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name; none where their text is no JSON object."""
        try:
            found = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def text(self) -> str:
        """The call in one line: `weather(city="Oslo", days=2)`."""
        given = ", ".join(f"{name}={write_arguments(value)}" for name, value in self.values.items())
        return f"{self.name}({given})"


def write_arguments(value: Any) -> str:
    """JSON text of arguments, or of one of them."""
    return json.dumps(value, ensure_ascii=False)


def write_call(call: ToolCall) -> str:
    """A call as text in the form of Hermes and Qwen, for models and servers without one of their own."""
    body = write_arguments({"name": call.name, "arguments": call.values})
    return f"<tool_call>\n{body}\n</tool_call>"
