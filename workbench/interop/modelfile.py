"""Ollama's Modelfile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import files
from workbench.interop.parts import ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.library.formats.sections import quote_literal
from workbench.prompting.prompt import Role

OPTIONS: dict[str, tuple[str, type]] = {
    "temperature": ("temperature", float),
    "top_p": ("top_p", float),
    "top_k": ("top_k", int),
    "min_p": ("min_p", float),
    "typical_p": ("typical_p", float),
    "num_predict": ("max_tokens", int),
    "seed": ("seed", int),
    "repeat_penalty": ("repetition_penalty", float),
    "repeat_last_n": ("repeat_last_n", int),
    "frequency_penalty": ("frequency_penalty", float),
    "presence_penalty": ("presence_penalty", float),
    "mirostat": ("mirostat", int),
    "mirostat_tau": ("mirostat_tau", float),
    "mirostat_eta": ("mirostat_eta", float),
}
"""Ollama's parameter -> our sampling field and its type."""

_LINE = re.compile(r"[ \t]*(FROM|PARAMETER|TEMPLATE|SYSTEM|ADAPTER|LICENSE|MESSAGE|REQUIRES)[ \t]+", re.IGNORECASE)
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


def looks_like_modelfile(text: str) -> bool:
    """Whether a text is a Modelfile: an instruction FROM."""
    return re.search(r"^[ \t]*FROM[ \t]+\S", text, re.MULTILINE | re.IGNORECASE) is not None


def read_modelfile(path: Path) -> ImportedParts:
    """The system message, examples, parameters, model and adapters of a file. Raises FileError."""
    text = files.read_text(path)
    parts = ImportedParts()
    messages: list[ImportedMessage] = []
    options: dict[str, Any] = {}
    adapters: list[str] = []
    origin, context = "", 0
    for instruction, value in list_instructions(text):
        if instruction == "FROM":
            origin = value
        elif instruction == "SYSTEM":
            messages = [one for one in messages if one.role != "system"]
            messages.insert(0, ImportedMessage("system", quote_literal(value)))
        elif instruction == "MESSAGE":
            role, _, content = value.partition(" ")
            if role in _ROLES:
                messages.append(ImportedMessage(_ROLES[role], quote_literal(_unquote(content.strip()))))
        elif instruction == "ADAPTER":
            adapters.append(str((path.parent / value).absolute()))
        elif instruction == "PARAMETER":
            context = _read_parameter(value, options, parts, path.name) or context
        elif instruction == "TEMPLATE":
            parts.losses.lose("settings", "TEMPLATE: the model's own chat template is used", path.name)
    messages.append(ImportedMessage("user", "{{ input }}"))
    name = path.stem if path.stem.lower() != "modelfile" else (path.parent.name or "modelfile")
    parts.prompts.append(ImportedPrompt(name, tuple(messages), options=options))
    parts.losses.count("prompts")
    parts.models.append(_make_model(origin, path, context, tuple(adapters)))
    return parts


def list_instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its value; a value in three quotes may have several lines."""
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        match = _LINE.match(text, position, end)
        if match is None:
            position = end + 1
            continue
        value = text[match.end() : end].strip()
        if value.startswith('"""'):
            start = text.index('"""', match.end()) + 3
            close = text.find('"""', start)
            close = len(text) if close < 0 else close
            value, end = text[start:close], close + 3
        else:
            value = _unquote(value)
        yield match[1].upper(), value
        position = end + 1


def _unquote(value: str) -> str:
    if value.startswith('"""') and value.endswith('"""') and len(value) >= 6:
        return value[3:-3]
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _read_parameter(value: str, options: dict[str, Any], parts: ImportedParts, where: str) -> int:
    """Note a parameter; the size of the context where it is that."""
    name, _, text = value.partition(" ")
    text = _unquote(text.strip())
    try:
        if name == "stop":
            options["stop"] = [*options.get("stop", []), text]
        elif name == "num_ctx":
            return int(text)
        elif name in OPTIONS:
            field, kind = OPTIONS[name]
            options[field] = kind(text)
        else:
            parts.losses.lose("settings", f"PARAMETER {name}", where)
    except ValueError:
        parts.losses.lose("settings", f"PARAMETER {name} {text[:40]!r}, which is not a number", where)
    return 0


def _make_model(origin: str, path: Path, context: int, adapters: tuple[str, ...]) -> ImportedModel:
    sized = {"context_tokens": context} if context else {}
    if origin.endswith(".gguf") or origin.startswith((".", "/", "~")):
        target = Path(origin).expanduser()
        own = target if target.is_absolute() else path.parent / target
        return ImportedModel(own.stem, {"path": str(own.absolute()), **sized}, adapters=adapters)
    remote = {"remote": "http://127.0.0.1:11434", "dialect": "ollama", "model": origin}
    return ImportedModel(origin, remote, adapters=adapters)
