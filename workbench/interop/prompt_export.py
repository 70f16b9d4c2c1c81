"""A prompt written as Prompty, Dotprompt, a template of llm, or OpenAI's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import asdict

from workbench.errors import PromptError
from workbench.inference.remote.tool_calls import write_messages
from workbench.inference.types import Sampling
from workbench.interop import chat_json, dotprompt, llm_template
from workbench.interop.exported import Exported, list_messages, rename_options, split_template
from workbench.library.formats import prompty
from workbench.library.names import get_suffix
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.render import render
from workbench.prompting.steps import without_contents
from workbench.runs.prompt_options import with_options
from workbench.yaml_render import render_block

_ROLES = {"assistant": "model"}
_NESTED = ("items", "anyOf")


class PromptExport(NamedTuple):
    """What is exported. sampling: of the variant; None: none. values: of one case, for formats without variables.
    source: the text of the prompt's file, which is at `path`."""

    prompt: Prompt
    examples: Sequence[Example]
    sampling: Sampling | None
    values: Mapping[str, Any]
    source: str | None = None
    path: Path = Path()

    @property
    def name(self) -> str:
        return self.prompt.name.rpartition("/")[2]

    @property
    def options(self) -> dict[str, Any]:
        """The sampling fields that differ from our defaults, and always the temperature."""
        return list_options(self.sampling)


def list_options(sampling: Sampling | None) -> dict[str, Any]:
    """The fields that differ from our defaults; the temperature always, since others draw by default."""
    if sampling is None:
        return {}
    usual = asdict(Sampling())
    found = {name: value for name, value in asdict(sampling).items() if value != usual[name]}
    found.pop("json_schema", None)
    return {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens, **found}


def export_prompty(given: PromptExport) -> Exported:
    """The file as it is. What a variant's sampling sets besides is listed as lost."""
    if given.source is None:
        raise PromptError(f"The file of {given.prompt.name} was not read.")
    text = prompty.dump(without_contents(given.prompt), given.source, given.path)
    found = Exported({f"{given.name}{get_suffix(given.path)}": text})
    if given.sampling is not None:
        own, set_here = asdict(with_options(Sampling(), given.prompt)), asdict(given.sampling)
        _note_options(found, [f"{field} of the variant" for field in own if set_here[field] != own[field]], given.name)
    if len(given.examples) < len(given.prompt.examples):
        found.losses.lose("examples", "those that the variant switches off stay in the file", given.name)
    if given.prompt.examples:
        found.losses.change("examples", "they stand in a file of their own beside the prompt", given.name)
    return found


def export_dotprompt(given: PromptExport) -> Exported:
    """Handlebars for what only prints variables. Raises PromptError for a template that does more."""
    found = Exported()
    header: dict[str, Any] = {"description": given.prompt.description} if given.prompt.description else {}
    config, left = rename_options(given.options, dotprompt.OPTIONS)
    _note_options(found, left, given.name)
    if config:
        header["config"] = config
    if given.prompt.defaults:
        header["input"] = {"default": dict(given.prompt.defaults)}
    if given.sampling and given.sampling.json_schema:
        header["output"] = {"format": "json", "schema": given.sampling.json_schema}
    sections = list_messages(given.prompt, given.examples)
    single = len(sections) == 1 and sections[0].role == "user"
    body = "".join(
        ("" if single else f'{{{{role "{_ROLES.get(role, role)}"}}}}') + _write_handlebars(text, given.name)
        for role, text in sections
    )
    front = f"---\n{render_block(header)}---\n" if header else ""
    if front and body != body.strip():
        found.losses.change("texts", "Dotprompt leaves out the white space at both ends of a text", given.name)
    found.files[f"{given.name}.prompt"] = front + body
    return found


def _write_handlebars(template: str, name: str) -> str:
    pieces = split_template(template)
    if pieces is None:
        raise _too_much(name, "Dotprompt")
    if any("{{" in piece.text or piece.text.endswith("{") for piece in pieces if not piece.variable):
        raise PromptError(f"{name} has a text with two braces, which Handlebars would act on.", "Change the text.")
    return "".join(f"{{{{{piece.text}}}}}" if piece.variable else piece.text for piece in pieces)


def export_llm(given: PromptExport) -> Exported:
    """One system and one user message with `$variables`. Raises PromptError for a prompt that is more than that."""
    found = Exported()
    sections = list_messages(given.prompt, given.examples)
    roles = [one.role for one in sections]
    if roles not in (["user"], ["system", "user"], ["system"]):
        raise PromptError(
            f"{given.name} has the messages {', '.join(roles)}; a template of llm has a system and a user message.",
            "Export it as promptfoo, Dotprompt or OpenAI JSON.",
        )
    data: dict[str, Any] = {}
    for role, text in sections:
        data["prompt" if role == "user" else "system"] = _write_dollars(text, given.name)
    if given.prompt.defaults:
        data["defaults"] = dict(given.prompt.defaults)
    options, left = rename_options(given.options, llm_template.OPTIONS)
    _note_options(found, left, given.name)
    if options:
        data["options"] = options
    if given.sampling and given.sampling.json_schema:
        data["schema_object"] = given.sampling.json_schema
    found.files[f"{given.name}.yaml"] = render_block(data)
    return found


def _write_dollars(template: str, name: str) -> str:
    pieces = split_template(template)
    if pieces is None or any(piece.variable and "." in piece.text for piece in pieces):
        raise _too_much(name, "llm")
    return "".join(f"${{{piece.text}}}" if piece.variable else piece.text.replace("$", "$$") for piece in pieces)


def export_openai(given: PromptExport) -> Exported:
    """The request for one case, rendered. Raises PromptError for variables that have no value."""
    found = Exported()
    messages = render(given.prompt, given.values, given.examples)
    found.files[f"{given.name}.json"] = write_request(messages, given.prompt, given.sampling, found, given.name)
    if given.sampling and given.sampling.json_schema and not is_strict(given.sampling.json_schema):
        reason = "json_schema: OpenAI holds no answer to one with optional or further fields"
        found.losses.change("settings", reason, given.name)
    return found


def write_request(
    messages: Sequence[Message],
    prompt: Prompt,
    sampling: Sampling | None,
    found: Exported,
    name: str,
    model: str = "",
    held: Callable[[str, Any], bool] = lambda _field, _value: False,
) -> str:
    """The body of a request for a chat completion, or for a completion, as JSON. held: whether the server was started
    with a field, so that its absence here loses nothing."""
    request: dict[str, Any] = {"model": model} if model else {}
    if prompt.mode == "completion":
        request["prompt"] = "".join(one.content for one in messages)
    else:
        request["messages"] = write_messages(messages)
    options, left = rename_options(list_options(sampling), chat_json.OPTIONS)
    _note_options(found, [one for one in left if not held(one, getattr(sampling, one))], name)
    request |= options
    if sampling and sampling.json_schema:
        strict = is_strict(sampling.json_schema)  # OpenAI refuses others as strict ones
        schema = {"name": "structured_output", "schema": sampling.json_schema, "strict": strict}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    if prompt.tools:
        request["tools"] = [one.declaration for one in prompt.tools]
    return json.dumps(request, ensure_ascii=False, indent=2) + "\n"


def is_strict(schema: Any) -> bool:
    """Whether OpenAI takes a schema as a strict one: every object of it has all its properties, and no others."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    whole = schema.get("additionalProperties") is False and set(schema.get("required") or ()) == set(properties or ())
    if (properties is not None or schema.get("type") == "object") and not whole:
        return False
    inside = [*properties.values()] if isinstance(properties, dict) else []
    return all(is_strict(one) for one in (*inside, *(value for key, value in schema.items() if key in _NESTED)))


def _note_options(found: Exported, left: Sequence[str], name: str) -> None:
    for option in left:
        found.losses.lose("settings", option, name)


def _too_much(name: str, form: str) -> PromptError:
    return PromptError(
        f"The template of {name} does more than to print variables, which {form} writes otherwise.",
        "Export it as Prompty or promptfoo, whose templates are the same.",
    )


PROMPT_FORMS: dict[str, Callable[[PromptExport], Exported]] = {
    "prompty": export_prompty,
    "dotprompt": export_dotprompt,
    "llm": export_llm,
    "openai": export_openai,
}
"""Name of a format -> what writes it."""
