"""A decision as an Ollama Modelfile, by the rules of Ollama's parser (parser/parser.go of ollama 0.34).

It knows no escapes: a value in three quotes is taken as it is, and characters that cannot be printed are left out of
it. What a Modelfile does not set is as Ollama has it, whose defaults draw (top-k 40, top-p 0.9) and have changed, so
that our own are written too.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.errors import ModelError, PromptError
from workbench.interop.decision import Decision, require_chat, require_local
from workbench.interop.exported import Exported, list_messages, rename_options, split_template
from workbench.interop.modelfile import OPTIONS
from workbench.interop.prompt_export import list_options

_IGNORED = ("mirostat", "mirostat_tau", "mirostat_eta")
"""Ollama warns that they are deprecated, and leaves them out."""

_ALWAYS = ("top_p", "top_k", "min_p", "repetition_penalty", "seed")
"""Fields that are written at our default too, beside the temperature and the limit."""

_THREE = '"""'


def export_modelfile(given: Decision) -> Exported:
    """A Modelfile. Raises ModelError or PromptError for what Ollama cannot hold."""
    require_local(given.model, "Ollama")
    require_chat(given, "Ollama")
    found = Exported()
    lines = [
        f"FROM {_quote(str(given.model.path.absolute()), 'the path of the model')}",
        *_write_adapter(given, found),
        *_write_parameters(given, found),
        *_write_messages(given, found),
    ]
    if given.model.chat_template_kwargs:
        found.losses.lose("settings", "chat_template_kwargs", given.name)
    found.files["Modelfile"] = "\n".join(lines) + "\n"
    found.notes.append(f"Make it with: ollama create {given.name.replace(' ', '-').lower()} -f Modelfile")
    found.notes.append("Ollama lays its own template around the messages; compare: workbench parity.")
    return found


def _write_adapter(given: Decision, found: Exported) -> Iterator[str]:
    if len(given.adapters) > 1:
        raise ModelError("Ollama applies one adapter to a model.", "Merge them: workbench convert MODEL OUT --merge …")
    for applied in given.adapters:
        if applied.scale != 1.0:
            raise ModelError(
                f"{applied.adapter.name} has the scale {applied.scale:g}, and Ollama knows no scale.",
                "Merge it at that scale: workbench convert MODEL OUT --merge ADAPTER --scale SCALE.",
            )
        found.losses.change(
            "adapters",
            "Ollama 0.34.1 and later make no model with ADAPTER: take an older one, or merge the adapter first"
            " (workbench convert MODEL OUT --merge ADAPTER)",
            given.name,
        )
        yield f"ADAPTER {_quote(str(applied.adapter.path.absolute()), 'the path of the adapter')}"


def _write_parameters(given: Decision, found: Exported) -> Iterator[str]:
    options = list_options(given.sampling)
    stops = options.pop("stop", ())
    for field in _ALWAYS:
        options.setdefault(field, getattr(given.sampling, field))
    names = {name: field for name, (field, _) in OPTIONS.items() if name not in _IGNORED}
    known, left = rename_options(options, names)
    for option in left:
        found.losses.lose("settings", option, given.name)
    yield from (f"PARAMETER {name} {value}" for name, value in known.items() if value is not None)
    yield from (f"PARAMETER stop {_quote(stop, 'a stop sequence')}" for stop in stops)
    if given.sampling.json_schema:
        found.losses.lose("settings", "json_schema: send it as `format` with each request", given.name)
    if given.model.context_tokens:
        yield f"PARAMETER num_ctx {given.model.context_tokens}"


def _write_messages(given: Decision, found: Exported) -> Iterator[str]:
    """SYSTEM and MESSAGE for the messages before the last one, which must be the same for every case."""
    *before, last = list_messages(given.prompt, given.examples)
    for role, text in before:
        pieces = split_template(text)
        if pieces is None or any(piece.variable for piece in pieces):
            raise PromptError(
                f"The {role} message of {given.prompt.name} depends on the case, and a Modelfile's cannot.",
                "Put the variables into the last user message.",
            )
        written = _quote("".join(piece.text for piece in pieces), f"the {role} message")
        yield f"SYSTEM {written}" if role == "system" else f"MESSAGE {role} {written}"
    if last.role != "user":
        raise PromptError("The prompt does not end with a user message.", "Add one.")
    found.notes.append(f"Send as the user's message: {last.text.strip()[:200]}")


def _quote(text: str, what: str) -> str:
    """A value as Ollama reads it back. Raises PromptError for one that it would read otherwise."""
    dropped = next((sign for sign in text if not sign.isprintable() and sign not in "\t\r\n"), "")
    if dropped or _THREE in text:
        found = f"the character U+{ord(dropped):04X}, which Ollama leaves out" if dropped else "three quotes in a row"
        raise PromptError(
            f"{what[0].upper()}{what[1:]} has {found}; a Modelfile cannot hold it.",
            "Change the text, or export for llama-server.",
        )
    return f"{_THREE}{text}{_THREE}"
