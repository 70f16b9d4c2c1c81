"""The text of a model's chat template, read from its files without loading it.

Knows nothing of what a template does (prompting/chat.py).
"""

from __future__ import annotations

from workbench import files
from workbench.errors import WorkbenchError
from workbench.models.foreign_file import read_object
from workbench.models.header import read_header
from workbench.models.reference import Model


def read_template_text(model: Model) -> str:
    """The template that the model's messages go through; "" where it has none, or none that can be read."""
    if model.chat_template is not None:
        return model.chat_template
    try:
        if model.format == "gguf":
            return str(read_header(model.path).metadata.get("tokenizer.chat_template", ""))
        if model.format == "hf":
            return _read_folder(model)
    except WorkbenchError:
        return ""  # loading the model says what is wrong with it
    return ""


def is_dated(model: Model) -> bool:
    """Whether the model's chat template writes the day into each prompt."""
    return "strftime_now" in read_template_text(model)


def _read_folder(model: Model) -> str:
    own = model.path / "chat_template.jinja"
    if own.is_file():
        return files.read_text(own)
    name = "chat_template.json" if (model.path / "chat_template.json").is_file() else "tokenizer_config.json"
    found = read_object(model.path / name).get("chat_template") if (model.path / name).is_file() else ""
    return found if isinstance(found, str) else " ".join(map(str, found or ()))
