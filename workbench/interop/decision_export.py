"""A variant that was chosen, written for the program that will serve it: Ollama, llama-server, vLLM, or a client."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from workbench.errors import ModelError
from workbench.interop.decision import Decision, require_chat, require_local
from workbench.interop.exported import Exported, list_messages
from workbench.interop.llama_server_flags import is_held, list_flags
from workbench.interop.modelfile_export import export_modelfile
from workbench.interop.prompt_export import write_request
from workbench.models.adapter_info import read_contents
from workbench.models.reference import Adapter
from workbench.prompting.render import render

URL = "http://127.0.0.1:8080/v1/chat/completions"
VLLM_URL = "http://127.0.0.1:8000/v1/chat/completions"
_VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def export_llama_server(given: Decision) -> Exported:
    """A script that starts llama-server, and a request. Raises ModelError for a model that it cannot load."""
    require_local(given.model, "llama-server")
    if given.model.format != "gguf":
        raise ModelError(f"{given.model.name} is no GGUF file.", "Convert it: workbench convert MODEL out.gguf.")
    found = Exported()
    words = ["llama-server", "-m", str(given.model.path.absolute()), "--jinja", "--port", "8080"]
    if given.model.context_tokens:
        words += ["-c", str(given.model.context_tokens)]
    for applied in given.adapters:
        if applied.adapter.format != "gguf":
            raise ModelError(f"{applied.adapter.name} is no GGUF adapter.", "Convert it: workbench convert.")
        path = str(applied.adapter.path.absolute())
        if "," in path or ":" in path:  # which it takes for the end of a path, and of the scale
            raise ModelError(f"llama-server cannot be given a path with a comma or a colon: {path}.", "Rename it.")
        words += ["--lora-scaled", f"{path}:{applied.scale:g}"]
    words += list_flags(given.sampling, given.model.context_tokens)
    if given.model.chat_template_kwargs:
        words += ["--chat-template-kwargs", given.model.chat_template_kwargs]
    found.files["llama-server.sh"] = _write_script(words)
    _add_request(given, found, given.model.name, held=is_held)
    return found


def export_vllm(given: Decision) -> Exported:
    """A script that starts vLLM, and a request. Raises ModelError for what it cannot serve."""
    require_local(given.model, "vLLM")
    found = Exported()
    words = ["vllm", "serve", str(given.model.path.absolute()), "--served-model-name", "base", "--port", "8000"]
    words += ["--generation-config", "vllm"]  # else the model's own file fills in what a request leaves open
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
        name = applied.adapter.name if applied.adapter.name != name else f"{name}-lora"
        words += ["--enable-lora", "--lora-modules", f"{name}={applied.adapter.path.absolute()}"]
        words += ["--max-lora-rank", str(_find_vllm_rank(applied.adapter))]
    if given.model.format == "gguf":
        found.notes.append("vLLM's support of GGUF is experimental; a Hugging Face folder is safer.")
    found.files["vllm.sh"] = _write_script(words)
    _add_request(given, found, name, VLLM_URL)
    return found


def _find_vllm_rank(adapter: Adapter) -> int:
    """The least rank that vLLM can be started with for an adapter. Raises ModelError for one that it cannot apply."""
    contents = read_contents(adapter)
    rank = max((pair.rank for pair in contents.low_rank.pairs), default=0)
    problems = list(contents.more_than_low_rank)
    if rank > _VLLM_RANKS[-1]:
        problems.append(f"its rank is {rank}, and at most {_VLLM_RANKS[-1]} can be")
    if problems:
        raise ModelError(
            f"vLLM cannot apply {adapter.name}: {'; '.join(problems)}.",
            "Merge it: workbench convert MODEL OUT --merge ADAPTER.",
        )
    return next(one for one in _VLLM_RANKS if one >= rank)


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
    require_chat(given, "the Python file")
    scratch, found = Exported(), Exported()
    request = json.loads(write_request((), given.prompt, given.sampling, scratch, given.name, given.model.name))
    found.losses.merge(scratch.losses)
    request.pop("messages")
    url = f"{given.model.remote.urls[0]}/v1/chat/completions" if given.model.remote else URL
    found.files["ask.py"] = _SNIPPET.format(
        prompt=json.dumps(given.prompt.name, ensure_ascii=False)[1:-1],
        url=json.dumps(url),
        messages=_write_literal([tuple(one) for one in list_messages(given.prompt, given.examples)]),
        defaults=_write_literal(dict(given.prompt.defaults)),
        options=_write_literal(request),
        example=_write_literal(json.dumps(dict(given.values), ensure_ascii=False)),
    )
    if given.sampling.temperature > 0:
        found.losses.change("settings", "what the request leaves open is as the server has it", given.name)
    if given.adapters:
        found.losses.change("adapters", "the server must apply them", given.name)
    if given.model.chat_template_kwargs:
        found.losses.change("settings", "chat_template_kwargs: the server must have them", given.name)
    return found


def _write_literal(value: Any) -> str:
    """A value as Python writes it, in ASCII."""
    return ascii(value)


DECISION_FORMS = {
    "modelfile": export_modelfile,
    "llama-server": export_llama_server,
    "vllm": export_vllm,
    "python": export_python,
}
"""Name of a format -> what writes it."""
