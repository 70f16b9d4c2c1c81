"""Templates of the `llm` command line tool: YAML with `$variables`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import FileError
from workbench.interop.parts import ImportedMessage, ImportedModel, ImportedParts, ImportedPrompt
from workbench.interop.yaml_text import parse_text
from workbench.library.formats.sections import quote_literal

_LOST = {
    "functions": "functions in Python, which are never run",
    "tools": "tools, which are defined in Python",
    "fragments": "fragments, which are read from elsewhere",
    "system_fragments": "fragments, which are read from elsewhere",
    "attachments": "attachments",
    "attachment_types": "attachments",
    "extract": "extract: use `extract` of a scorer",
    "extract_last": "extract: use `extract` of a scorer",
}
KEYS = frozenset({"name", "prompt", "system", "model", "defaults", "options", "schema_object", *_LOST})
OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logit_bias": "logit_bias",
}
_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def looks_like_llm(data: Any) -> bool:
    """Whether the values of a YAML file are such a template."""
    keys = set(data) if isinstance(data, Mapping) else set()
    return bool(keys & {"prompt", "system"}) and keys <= KEYS


def read_llm(path: Path) -> ImportedParts:
    """The template in a file. Raises FileError."""
    parts = ImportedParts()
    data = parse_text(files.read_text(path), str(path))
    if isinstance(data, str):  # llm takes a bare text for the prompt
        data = {"prompt": data}
    if not isinstance(data, Mapping) or not set(data) <= KEYS:
        unknown = ", ".join(sorted(map(str, set(data) - KEYS))) if isinstance(data, Mapping) else "no keys"
        raise FileError(
            f"{path} is not a template of llm: found {unknown}.", f"Its keys are {', '.join(sorted(KEYS))}."
        )
    for key in ("defaults", "options"):
        if not isinstance(data.get(key) or {}, Mapping):
            raise FileError(f"{path}: `{key}` is not a mapping of names to values.", "Correct the file.")
    parts.losses.count("prompts")
    parts.prompts.append(convert_llm(data, path.stem, parts))
    return parts


def convert_llm(data: Mapping[str, Any], name: str, parts: ImportedParts) -> ImportedPrompt:
    """The template as a prompt. Without `prompt`, the input is the whole message."""
    messages = []
    if data.get("system"):
        messages.append(ImportedMessage("system", read_dollars(str(data["system"]))))
    written = data.get("prompt")
    messages.append(ImportedMessage("user", "{{ input }}" if written is None else read_dollars(str(written))))
    prompt = ImportedPrompt(str(data.get("name") or name), tuple(messages))
    prompt.defaults = {str(key): value for key, value in (data.get("defaults") or {}).items()}
    for key, value in (data.get("options") or {}).items():
        if key in OPTIONS:
            prompt.options[OPTIONS[key]] = value
        else:
            parts.losses.lose("settings", f"options.{key}", name)
    if isinstance(data.get("schema_object"), dict):
        prompt.schema = data["schema_object"]
    for key, reason in _LOST.items():
        if data.get(key):
            parts.losses.lose("keys", reason, f"{name}: {key}")
    if data.get("model"):
        prompt.model = str(data["model"])
        parts.models.append(ImportedModel(prompt.model))
        parts.losses.lose("models", f"{data['model']}, for which a model of yours answers", name)
    return prompt


def read_dollars(text: str) -> str:
    """`$name` as `{{ name }}`, `$$` as `$`; a lone `$`, at which llm itself would fail, stays."""
    pieces, position = [], 0
    for found in _VARIABLE.finditer(text):
        pieces.append(quote_literal(text[position : found.start()]))
        pieces.append("$" if found[1] else f"{{{{ {found[2] or found[3]} }}}}")
        position = found.end()
    return "".join([*pieces, quote_literal(text[position:])])
