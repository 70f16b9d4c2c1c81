"""Dotprompt's `.prompt` files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import FileError, WorkbenchError
from workbench.interop.bounded_files import BoundedFiles
from workbench.interop.handlebars import HandlebarsError, convert_prompt
from workbench.interop.parts import ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.picoschema import read_picoschema
from workbench.interop.text_file import read_unmarked
from workbench.interop.yaml_text import parse_text

SUFFIX = ".prompt"
OPTIONS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
}
"""Dotprompt's name of a sampling field, and Prompty's, -> ours."""

_KNOWN = frozenset({"name", "variant", "version", "description", "model", "config", "input", "output", "tools"})
_FRONT = re.compile(r"\A(?:\s*(?:#[^\n]*)?\n)*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def read_dotprompt(path: Path) -> ImportedParts:
    """The prompt in a file, with the partials beside it. Raises FileError."""
    text = read_unmarked(path)
    parts = ImportedParts()
    prompt = convert_dotprompt(text, path.name, _read_partials(path), parts)
    if prompt is not None:
        parts.prompts.append(prompt)
    return parts


def convert_dotprompt(text: str, name: str, partials: Mapping[str, str], parts: ImportedParts) -> ImportedPrompt | None:
    """The prompt in a text; what it uses and we do not goes to the losses of `parts`, with it its model and values."""
    yaml, body = split_front(text)
    data = parse_text(yaml, name) if yaml else {}
    if data is not None and not isinstance(data, Mapping):
        raise FileError(f"{name}: the front matter is not a mapping of keys to values.")
    data = data or {}
    parts.losses.count("prompts")
    try:
        converted = convert_prompt(body, partials)
    except HandlebarsError as error:
        parts.losses.lose("prompts", str(error), name)
        return None
    prompt = ImportedPrompt(_name(data, name), tuple(ImportedMessage(*one) for one in converted.sections))
    prompt.kinds = converted.kinds
    for one in converted.dropped:
        parts.losses.lose("keys", one, name)
    prompt.description = str(data.get("description") or "")
    _read_config(prompt, data, parts, name)
    for key in data:
        if key not in _KNOWN:
            parts.losses.lose("keys", str(key), name)
    if data.get("tools"):
        parts.losses.lose("keys", "tools, which are named and defined elsewhere", name)
    return prompt


def split_front(text: str) -> tuple[str, str]:
    """The front matter and the body; comments before it are left out, and white space around a body below one."""
    match = _FRONT.match(text)
    return (match[1], text[match.end() :].strip()) if match else ("", text)


def _name(data: Mapping[str, Any], file: str) -> str:
    stem = file.removesuffix(SUFFIX)
    return str(data["name"]) if isinstance(data.get("name"), str) and data["name"] else stem


def _read_config(prompt: ImportedPrompt, data: Mapping[str, Any], parts: ImportedParts, name: str) -> None:
    config = data.get("config")
    for key, value in config.items() if isinstance(config, Mapping) else ():
        if key in OPTIONS:
            prompt.options[OPTIONS[key]] = value
        else:
            parts.losses.lose("settings", f"config.{key}", name)
    if isinstance(data.get("model"), str):
        prompt.model = data["model"]
        parts.models.append(ImportedModel(data["model"]))
        parts.losses.lose("models", f"{data['model']}, for which a model of yours answers", name)
    given = data.get("input")
    if isinstance(given, Mapping) and isinstance(given.get("default"), Mapping):
        prompt.defaults = {str(key): value for key, value in given["default"].items()}
    output = data.get("output")
    if isinstance(output, Mapping) and output.get("schema") is not None:
        try:
            prompt.schema = read_picoschema(output["schema"])
        except ValueError as error:
            parts.losses.lose("keys", f"output.schema: {error}", name)
    elif isinstance(output, Mapping) and output.get("format") == "json":
        prompt.schema = {"type": "object"}


def _read_partials(path: Path) -> dict[str, str]:
    """The files `_name.prompt` beside a file, by name."""
    folder = BoundedFiles(path.parent)
    found = {}
    for name in folder.glob(f"_*{SUFFIX}"):
        try:
            found[name[1 : -len(SUFFIX)]] = split_front(folder.read(name))[1]
        except WorkbenchError:
            continue
    return found
