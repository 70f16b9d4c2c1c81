"""A variant that was chosen, written for the program that will serve it: Ollama, llama-server, vLLM, or a client."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workbench.errors import ModelError, PromptError
from workbench.inference.types import Sampling
from workbench.interop.exported import Exported, list_messages, rename_options, split_template
from workbench.interop.llama_server_flags import is_held, list_flags
from workbench.interop.modelfile import OPTIONS
from workbench.interop.prompt_export import list_options, write_request
from workbench.library.formats.sections import Section
from workbench.models.adapter_info import inspect_adapter
from workbench.models.reference import Applied, Model
from workbench.prompting.prompt import Example, Prompt
from workbench.prompting.render import render

URL = "http://127.0.0.1:8080/v1/chat/completions"
VLLM_URL = "http://127.0.0.1:8000/v1/chat/completions"
_VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class Decision(NamedTuple):
    """The variant with all that belongs to it. values: of one case, for the example of a request."""

    name: str
    prompt: Prompt
    examples: Sequence[Example]
    model: Model
    adapters: Sequence[Applied]
    sampling: Sampling
    values: Mapping[str, Any]


def export_modelfile(given: Decision) -> Exported:
    """A Modelfile. Raises ModelError or PromptError for what Ollama cannot hold."""
    _require_local(given.model, "Ollama")
    _require_chat(given, "Ollama")
    found = Exported()
    lines = [f"FROM {_quote_path(given.model.path.absolute())}"]
    if len(given.adapters) > 1:
        raise ModelError("Ollama applies one adapter to a model.", "Merge them: workbench convert MODEL OUT --merge …")
    for applied in given.adapters:
        if applied.scale != 1.0:
            raise ModelError(
                f"{applied.adapter.name} has the scale {applied.scale:g}, and Ollama knows no scale.",
                "Merge it at that scale: workbench convert MODEL OUT --merge ADAPTER --scale SCALE.",
            )
        lines.append(f"ADAPTER {_quote_path(applied.adapter.path.absolute())}")
    options = list_options(given.sampling)
    names = {name: field for name, (field, _) in OPTIONS.items()}
    stops = options.pop("stop", ())
    known, left = rename_options(options, names)
    for option in left:
        found.losses.lose("settings", option, given.name)
    lines += [f"PARAMETER {name} {value}" for name, value in known.items()]
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    if given.sampling.json_schema:
        found.losses.lose("settings", "json_schema: send it as `format` with each request", given.name)
    if given.model.context_tokens:
        lines.append(f"PARAMETER num_ctx {given.model.context_tokens}")
    if given.model.chat_template_kwargs:
        found.losses.lose("settings", "chat_template_kwargs", given.name)
    lines += _write_messages(given, found)
    found.files["Modelfile"] = "\n".join(lines) + "\n"
    found.notes.append(f"Make it with: ollama create {given.name.replace(' ', '-').lower()} -f Modelfile")
    found.notes.append("Ollama lays its own template around the messages; compare: workbench parity.")
    return found


def _write_messages(given: Decision, found: Exported) -> list[str]:
    """SYSTEM and MESSAGE for the messages before the last one, which must be the same for every case."""
    *before, last = _sections(given)
    lines = []
    for role, text in before:
        pieces = split_template(text)
        if pieces is None or any(piece.variable for piece in pieces):
            raise PromptError(
                f"The {role} message of {given.prompt.name} depends on the case, and a Modelfile's cannot.",
                "Put the variables into the last user message.",
            )
        content = "".join(piece.text for piece in pieces)
        if '"""' in content:
            raise PromptError(f"The {role} message has three quotes, which a Modelfile cannot hold.", "Change it.")
        if role == "system":
            lines.append(f'SYSTEM """{content}"""')
        else:
            lines.append(f'MESSAGE {role} """{content}"""')
    if last.role != "user":
        raise PromptError("The prompt does not end with a user message.", "Add one.")
    found.notes.append(f"Send as the user's message: {last.text.strip()[:200]}")
    return lines


def export_llama_server(given: Decision) -> Exported:
    """A script that starts llama-server, and a request. Raises ModelError for a model that it cannot load."""
    _require_local(given.model, "llama-server")
    if given.model.format != "gguf":
        raise ModelError(f"{given.model.name} is no GGUF file.", "Convert it: workbench convert MODEL out.gguf.")
    found = Exported()
    words = ["llama-server", "-m", str(given.model.path.absolute()), "--jinja", "--port", "8080"]
    if given.model.context_tokens:
        words += ["-c", str(given.model.context_tokens)]
    for applied in given.adapters:
        if applied.adapter.format != "gguf":
            raise ModelError(f"{applied.adapter.name} is no GGUF adapter.", "Convert it: workbench convert.")
        words += ["--lora-scaled", f"{applied.adapter.path.absolute()}:{applied.scale:g}"]
    words += list_flags(given.sampling, given.model.context_tokens)
    if given.model.chat_template_kwargs:
        words += ["--chat-template-kwargs", given.model.chat_template_kwargs]
    found.files["llama-server.sh"] = _write_script(words)
    _add_request(given, found, given.model.name, held=is_held)
    return found


def export_vllm(given: Decision) -> Exported:
    """A script that starts vLLM, and a request. Raises ModelError for what it cannot serve."""
    _require_local(given.model, "vLLM")
    found = Exported()
    words = ["vllm", "serve", str(given.model.path.absolute()), "--served-model-name", "base", "--port", "8000"]
    if given.model.context_tokens:
        words += ["--max-model-len", str(given.model.context_tokens)]
    name = "base"
    if len(given.adapters) > 1:
        raise ModelError("vLLM applies one adapter to a request.", "Merge them: workbench convert MODEL OUT --merge …")
    for applied in given.adapters:
        if applied.scale != 1.0 or applied.adapter.format != "peft":
            raise ModelError(
                f"vLLM applies PEFT adapters at scale 1; {applied.adapter.name} is {applied.adapter.format} at scale"
                f" {applied.scale:g}.",
                "Merge it: workbench convert MODEL OUT --merge ADAPTER --scale SCALE.",
            )
        rank = max(inspect_adapter(applied.adapter).ranks, default=0)
        most = next((one for one in _VLLM_RANKS if one >= rank), _VLLM_RANKS[-1])
        name = applied.adapter.name
        words += ["--enable-lora", "--lora-modules", f"{name}={applied.adapter.path.absolute()}"]
        words += ["--max-lora-rank", str(most)]
    if given.model.format == "gguf":
        found.notes.append("vLLM's support of GGUF is experimental; a Hugging Face folder is safer.")
    found.files["vllm.sh"] = _write_script(words)
    _add_request(given, found, name, VLLM_URL)
    return found


def _write_script(words: Sequence[str]) -> str:
    """Options that the script is given go before its own."""
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def _add_request(
    given: Decision, found: Exported, model: str, url: str = URL, held: Callable[[str, Any], bool] = lambda *_: False
) -> None:
    """The request of one case, and how to send it. held: as in `write_request`."""
    messages = render(given.prompt, given.values, given.examples)
    text = write_request(messages, given.prompt, given.sampling, found, given.name, model, held)
    if given.model.chat_template_kwargs:
        request = json.loads(text) | {"chat_template_kwargs": json.loads(given.model.chat_template_kwargs)}
        text = json.dumps(request, ensure_ascii=False, indent=2) + "\n"
    found.files["request.json"] = text
    if given.prompt.mode == "completion":
        url = url.replace("/chat/completions", "/completions")
    found.notes.append(f"Ask it: curl -s {url} -H 'Content-Type: application/json' -d @request.json")


_SNIPPET = '''"""Asks the model the prompt {prompt}; written by `workbench export`. Needs jinja2 and a server at URL."""

import json
import urllib.request

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

URL = {url}
MESSAGES = {messages}
DEFAULTS = {defaults}
OPTIONS = {options}

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def render(**variables):
    """The messages for these variables."""
    values = {{**DEFAULTS, **variables}}
    return [
        {{"role": role, "content": _ENVIRONMENT.from_string(template).render(values)}} for role, template in MESSAGES
    ]


def ask(**variables):
    """The model's answer."""
    body = json.dumps({{"messages": render(**variables), **OPTIONS}}).encode()
    request = urllib.request.Request(URL, body, {{"Content-Type": "application/json"}})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


if __name__ == "__main__":
    print(ask(**json.loads({example})))
'''


def export_python(given: Decision) -> Exported:
    """A Python file with a function that renders the prompt and asks a server."""
    _require_chat(given, "the Python file")
    scratch, found = Exported(), Exported()
    request = json.loads(write_request((), given.prompt, given.sampling, scratch, given.name, given.model.name))
    found.losses.merge(scratch.losses)
    request.pop("messages")
    url = f"{given.model.remote.urls[0]}/v1/chat/completions" if given.model.remote else URL
    found.files["ask.py"] = _SNIPPET.format(
        prompt=json.dumps(given.prompt.name, ensure_ascii=False)[1:-1],
        url=json.dumps(url),
        messages=_write_literal([tuple(one) for one in _sections(given)]),
        defaults=_write_literal(dict(given.prompt.defaults)),
        options=_write_literal(request),
        example=_write_literal(json.dumps(dict(given.values), ensure_ascii=False)),
    )
    if given.adapters:
        found.losses.change("adapters", "the server must apply them", given.name)
    if given.model.chat_template_kwargs:
        found.losses.change("settings", "chat_template_kwargs: the server must have them", given.name)
    return found


def _write_literal(value: Any) -> str:
    """A value as Python writes it, in ASCII."""
    return ascii(value)


def _sections(given: Decision) -> tuple[Section, ...]:
    return list_messages(given.prompt, given.examples)


def _require_local(model: Model, program: str) -> None:
    if model.remote is not None:
        raise ModelError(f"{model.name} is on a server already; {program} needs its files.", "Choose --as python.")


def _require_chat(given: Decision, program: str) -> None:
    if given.prompt.mode == "completion":
        raise PromptError(
            f"{given.prompt.name} is a completion, and {program} sends a conversation.",
            "Choose --as llama-server or vllm, whose request is a completion.",
        )


def _quote_path(path: object) -> str:
    text = str(path)
    return f'"{text}"' if " " in text else text


DECISION_FORMS = {
    "modelfile": export_modelfile,
    "llama-server": export_llama_server,
    "vllm": export_vllm,
    "python": export_python,
}
"""Name of a format -> what writes it."""
