"""A conversation in OpenAI's JSON: one as a prompt, many (JSONL) as cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import FileError
from workbench.interop.loss import LossList
from workbench.interop.parts import ImportedCase, ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.text_file import read_unmarked
from workbench.library.formats.sections import quote_literal
from workbench.prompting.prompt import Role

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logit_bias": "logit_bias",
}
_QUIET = frozenset({"messages", "model", "stream", "n", "user", "response_format", "tools", "id", "object", "created"})


def looks_like_chat(value: Any) -> bool:
    """Whether a JSON value is a conversation, or a request with one."""
    messages = value.get("messages") if isinstance(value, Mapping) else value
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(one, Mapping) and "role" in one for one in messages)
    )


def read_chat(path: Path) -> ImportedParts:
    """A file with one conversation, a prompt, or with one a line, the cases. Raises FileError."""
    text = read_unmarked(path)
    parts = ImportedParts()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        _add_lines(text, path, parts)
        return parts
    if not looks_like_chat(value):
        raise FileError(f"{path} holds no conversation: expected a list of messages with roles.")
    parts.losses.count("prompts")
    prompt = convert_chat(value, path.stem, parts)
    if prompt is not None:
        parts.prompts.append(prompt)
    return parts


def convert_chat(value: Any, name: str, parts: ImportedParts) -> ImportedPrompt | None:
    """A conversation, or a request with one, as a prompt that sends it as it is."""
    request = value if isinstance(value, Mapping) else {"messages": value}
    messages = _read_messages(request["messages"], parts.losses, name)
    if messages is None:
        return None
    prompt = ImportedPrompt(name, tuple(ImportedMessage(role, quote_literal(text)) for role, text in messages))
    for key, held in request.items():
        if key in OPTIONS and held is not None:
            prompt.options[OPTIONS[key]] = [held] if key == "stop" and isinstance(held, str) else held
        elif key not in _QUIET:
            parts.losses.lose("settings", str(key), name)
    if request.get("model"):
        prompt.model = str(request["model"])
        parts.models.append(ImportedModel(prompt.model))
        parts.losses.lose("models", f"{request['model']}, for which a model of yours answers", name)
    form = request.get("response_format")
    if isinstance(form, Mapping) and isinstance(form.get("json_schema"), Mapping):
        prompt.schema = form["json_schema"].get("schema")
    elif isinstance(form, Mapping) and form.get("type") == "json_object":
        prompt.schema = {"type": "object"}
    tools = request.get("tools")
    prompt.tools = list(tools) if isinstance(tools, list) else []
    return prompt


def _read_messages(
    messages: Sequence[Mapping[str, Any]], losses: LossList, where: str
) -> list[tuple[Role, str]] | None:
    """Roles and texts; None, with a loss, where a message is no text of a role that a prompt has."""
    found: list[tuple[Role, str]] = []
    for message in messages:
        role, content = _ROLES.get(str(message.get("role"))), message.get("content")
        if isinstance(content, list) and all(isinstance(one, Mapping) and one.get("type") == "text" for one in content):
            content = "".join(str(one.get("text", "")) for one in content)
        if role is None or not isinstance(content, str) or message.get("tool_calls"):
            losses.lose("prompts", "a message that is not text of system, user or assistant", where)
            return None
        found.append((role, content))
    return found


def _add_lines(text: str, path: Path, parts: ImportedParts) -> None:
    """One conversation a line: the last answer is the expected one, what came before is the case."""
    for number, line in enumerate(files.split_lines(text), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{where}: this is not JSON: {error}.", "Correct the line.") from error
        parts.losses.count("conversations")
        messages: Any = value.get("messages") if isinstance(value, Mapping) else value
        if not looks_like_chat(messages):
            parts.losses.lose("conversations", "no list of messages with roles", where)
            continue
        asked = list(messages)
        expected = None
        if asked[-1].get("role") == "assistant" and isinstance(asked[-1].get("content"), str):
            expected = asked.pop()["content"]
        if not asked or any(not isinstance(one.get("content"), str) or one.get("tool_calls") for one in asked):
            parts.losses.lose("conversations", "a message that is not text", where)
            continue
        system = "\n\n".join(one["content"] for one in asked if one["role"] in ("system", "developer"))
        turns = [one for one in asked if one["role"] not in ("system", "developer")]
        last = turns.pop()["content"] if turns and turns[-1]["role"] == "user" else ""
        history = "\n".join(f"{one['role']}: {one['content']}" for one in turns)
        variables = {"system": system, "history": history, "input": last}
        parts.cases.append(
            ImportedCase({key: one for key, one in variables.items() if one or key == "input"}, expected)
        )
    if not parts.cases:
        raise FileError(f"{path} holds no conversation.", "Expected a list of messages with roles, one a line.")
    _add_prompt(path, parts)


def _add_prompt(path: Path, parts: ImportedParts) -> None:
    """The prompt that sends such cases."""
    messages: list[ImportedMessage] = []
    if any("system" in case.variables for case in parts.cases):
        messages.append(ImportedMessage("system", "{{ system }}"))
    earlier = any("history" in case.variables for case in parts.cases)
    if earlier:
        parts.losses.change("conversations", "earlier turns are put into the user's message as text", path.name)
    before = "{% if history %}{{ history }}\nuser: {% endif %}" if earlier else ""
    messages.append(ImportedMessage("user", f"{before}{{{{ input }}}}"))
    defaults = {"system": "", **({"history": ""} if earlier else {})}
    held = {name for case in parts.cases for name in case.variables}
    prompt = ImportedPrompt(path.stem, tuple(messages), "The conversations of the dataset, as they are")
    prompt.defaults = {name: value for name, value in defaults.items() if name in held}
    parts.prompts.append(prompt)
