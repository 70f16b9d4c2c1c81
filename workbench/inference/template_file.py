"""A model's chat template as its files have it, and what that template does with messages, without loading weights.

For a plan before anything runs; once a model is loaded, its engine says the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import TemplateError
from workbench.models.model_info import read_parts
from workbench.models.reference import Model
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message
from workbench.prompting.tool_formats.json_calls import HERMES
from workbench.prompting.tool_formats.protocol import ToolFormat
from workbench.prompting.tool_formats.registry import choose_format

_LONGEST = 4 * 2**20
"""Bytes of a settings file that are read."""


def find_notes(model: Model, messages: Sequence[Message]) -> tuple[str, ...]:
    """What of these messages the model's chat template drops, changes or moves, one sentence each.

    None where the model comes without a template. Raises TemplateError for messages that it refuses, and ModelError
    for a file that cannot be read.
    """
    source = model.chat_template or _read_template(model)
    if not source or not messages:
        return ()
    return _compile(source, model.chat_template_kwargs).render(messages).notes


def find_tool_format(model: Model) -> ToolFormat:
    """The form in which a model writes tool calls, by its chat template; on a server calls come as text of Hermes.

    Raises ModelError for a file that cannot be read.
    """
    if model.format in ("remote", "scripted"):
        return HERMES
    source = model.chat_template or _read_template(model)
    return _choose_format(source) if source else HERMES


@functools.lru_cache(maxsize=16)
def _choose_format(source: str) -> ToolFormat:
    try:
        return choose_format(_compile(source, ""))
    except TemplateError:
        return HERMES  # what is wrong with it is said when it is rendered


@functools.lru_cache(maxsize=16)
def _compile(source: str, kwargs: str) -> ChatTemplate:
    # which texts the special tokens have does not decide what is dropped
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}, json.loads(kwargs) if kwargs else {})


def _read_template(model: Model) -> str:
    if model.format == "gguf":
        found = read_parts(model.path)[0].metadata.get("tokenizer.chat_template")
        return found if isinstance(found, str) else ""
    return read_folder_template(model.path) if model.format == "hf" else ""


def read_folder_template(folder: Path) -> str:
    """A folder's template for plain chats, from where transformers looks for it."""
    file = folder / "chat_template.jinja"
    try:
        if file.is_file() and file.stat().st_size <= _LONGEST:
            return file.read_text("utf-8", "replace")
    except OSError:
        return ""
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = _read_settings(folder / name).get("chat_template")
        if isinstance(found, list):
            named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
            found = named.get("default")
        if isinstance(found, str):
            return found
    return ""


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        if not file.is_file() or file.stat().st_size > _LONGEST:
            return {}
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, RecursionError):
        return {}  # whoever loads the model says what is wrong with it
