"""The text of the token that stands before a text without context: beginning of text, else end of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import FileError, ModelError
from workbench.models.gguf_header import read_header
from workbench.models.reference import Model


def find_prefix_text(model: Model) -> str:
    """That token as a prompt spells it, which lm-eval calls the prefix token. Raises ModelError where none is known."""
    found = ""
    if model.format == "gguf":
        found = _read_gguf(model.path)
    elif model.format == "hf":
        found = _read_folder(model.path)
    if not found:
        raise ModelError(
            f"{model.name} names no token for the beginning or the end of a text, which the log-likelihood of a text"
            " without context needs.",
            "Run tasks that give a context, or a model on this machine with such a token.",
        )
    return found


def _read_gguf(path: Path) -> str:
    from gguf import GGUFReader

    metadata = read_header(path).metadata
    ids = (metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("bos", "eos"))
    token = next((one for one in ids if isinstance(one, int)), None)
    field = GGUFReader(path).fields.get("tokenizer.ggml.tokens")
    return str(field.contents(token)) if token is not None and field is not None else ""


def _read_folder(path: Path) -> str:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            config: Any = json.loads(files.read_text(path / name))
        except (FileError, ValueError):
            continue
        for key in ("bos_token", "eos_token"):
            held = config.get(key) if isinstance(config, dict) else None
            text = held.get("content") if isinstance(held, dict) else held
            if isinstance(text, str) and text:
                return text
    return ""
