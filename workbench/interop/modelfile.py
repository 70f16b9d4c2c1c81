"""Ollama's Modelfile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench import paths
from workbench.errors import FileError
from workbench.interop.parts import ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.text_file import read_unmarked
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

_KINDS = (
    *("FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "LICENSE", "MESSAGE", "REQUIRES"),
    *("DRAFT", "RENDERER", "PARSER", "CAPABILITY"),
)
_QUIET = frozenset({"LICENSE", "REQUIRES"})
"""Instructions that change no answer."""

_LINE = re.compile(rf"[ \t]*({'|'.join(_KINDS)})[ \t]+", re.IGNORECASE)
_NAME = re.compile(r"(\w+)[ \t]+")
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


def looks_like_modelfile(text: str) -> bool:
    """Whether a text is a Modelfile: an instruction FROM."""
    return re.search(r"^[ \t]*FROM[ \t]+\S", text, re.MULTILINE | re.IGNORECASE) is not None


def read_modelfile(path: Path) -> ImportedParts:
    """The system message, examples, parameters, model and adapters of a file. Raises FileError."""
    text = read_unmarked(path)
    parts = ImportedParts()
    messages: list[ImportedMessage] = []
    options: dict[str, Any] = {}
    adapters: list[str] = []
    origin, context = "", 0
    for kind, name, value in list_instructions(text):
        if kind == "FROM":
            origin = value
        elif kind == "SYSTEM":
            messages = [one for one in messages if one.role != "system"]
            messages.insert(0, ImportedMessage("system", quote_literal(value)))
        elif kind == "MESSAGE":
            if name in _ROLES:
                messages.append(ImportedMessage(_ROLES[name], quote_literal(value)))
        elif kind == "ADAPTER":
            adapters.append(str((path.parent / paths.expand(value)).absolute()))
        elif kind == "PARAMETER":
            context = _read_parameter(name, value, options, parts, path.name) or context
        elif kind == "TEMPLATE":
            parts.losses.lose("settings", "TEMPLATE: the model's own chat template is used", path.name)
        elif kind not in _QUIET:
            parts.losses.lose("settings", kind, path.name)
    if not origin:
        raise FileError(f"{path} names no model.", "Add a line FROM with a model's name or a .gguf file.")
    messages.append(ImportedMessage("user", "{{ input }}"))
    name = path.stem if path.stem.lower() != "modelfile" else (path.parent.name or "modelfile")
    parts.prompts.append(ImportedPrompt(name, tuple(messages), options=options))
    parts.losses.count("prompts")
    parts.models.append(_make_model(origin, path, context, tuple(adapters)))
    return parts


class ModelfileEntry(NamedTuple):
    """name: of a parameter, or the role of a message."""

    kind: str
    name: str
    value: str


def list_instructions(text: str) -> Iterator[ModelfileEntry]:
    """Each instruction with its value, by the rules of Ollama's parser: a value that opens with quotes ends at the
    first end of a line where they are closed. Raises FileError where they never are."""
    position = 0
    while position < len(text):
        end = _find_end(text, position)
        match = _LINE.match(text, position, end)
        kind = match[1].upper() if match else ""
        named = _NAME.match(text, match.end(), end) if match and kind in ("PARAMETER", "MESSAGE") else None
        if match is None or (kind in ("PARAMETER", "MESSAGE") and named is None):
            position = end + 1
            continue
        start = (named or match).end()
        while not _is_closed(text, start, end):
            if end >= len(text):
                raise FileError(f"The value of {kind} opens with quotes that are never closed.", "Close them.")
            end = _find_end(text, end + 1)
        yield ModelfileEntry(kind, named[1] if named else "", _unquote(text[start:end].strip()))
        position = end + 1


def _find_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_closed(text: str, start: int, end: int) -> bool:
    """Whether what stands there is no value in quotes, or a whole one."""
    quotes = next((one for one in ('"""', '"') if text.startswith(one, start)), "")
    while end > start and text[end - 1].isspace():
        end -= 1
    return not quotes or (end - start >= 2 * len(quotes) and text.endswith(quotes, start, end))


def _unquote(value: str) -> str:
    if value.startswith('"""') and len(value) >= 6:
        return value[3:-3]
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _read_parameter(name: str, text: str, options: dict[str, Any], parts: ImportedParts, where: str) -> int:
    """Note a parameter; the size of the context where it is that."""
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
        target = paths.expand(origin)
        own = target if target.is_absolute() else path.parent / target
        return ImportedModel(own.stem, {"path": str(own.absolute()), **sized}, adapters=adapters)
    remote = {"remote": "http://127.0.0.1:11434", "dialect": "ollama", "model": origin}
    return ImportedModel(origin, remote, adapters=adapters)
