"""Prompt files: opened, changed, written, and filled in with values of every type; and templates alone."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from workbench.files import read_text
from workbench.library.formats import prompty
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.prompt_parts import render_prompt
from workbench.prompting.render import find_sections, find_variables, render
from workbench.prompting.values import JsonText, read_json

from .grammars import mutate_chat_template, mutate_prompt, mutate_template
from .kinds import kind

VALUES = {
    "message": "Where is my parcel?",
    "doc": read_json('{"title": "Refunds", "tags": ["a", "b"], "open": false, "items": 3}'),
    "choices": read_json('["red", "green"]'),
    "flag": False,
    "n": 5,
    "price": read_json("1.50"),
    "text": '["not", "text"]',
}

PROMPTS = {
    "v2.prompty": """---
name: queues  # a comment
description: Route a message.
authors: [ann, bob]
model: {id: gpt-4, options: {temperature: 0.5}}
template: {format: {kind: jinja2}, parser: {kind: prompty}}
shared: &shared {default: x}
inputs:
  - {name: message, kind: string, default: Hello}
  - name: choices
    kind: array
    default: [red, green]
  - {name: n, kind: integer, default: 3}
metadata:
  workbench: {placement: inline, mode: chat}
---
system:
Route {{ choices | join(', ') }}.
user:
{% for e in examples %}{{ e.message }}{% endfor %}{{ message | upper }} {{ n + 1 }}
""",
    "v1.prompty": """---
model: {api: completion, parameters: {max_tokens: 9}}
sample:
  message: Oslo
  list: [1, 2.50, true]
inputs:
  name: {type: string, sample: "Ann"}
---
{{ message }} {{ name | default('x') }} {%- if flag %} urgent {% endif %}
""",
}

TEMPLATES = {
    "loops.txt": "{% for c in choices %}{{ loop.index }}) {{ c ~ '.' }}\n{% else %}none{% endfor %}"
    "{% set ns = namespace(total=0) %}{% for i in range(10) %}{% set ns.total = ns.total + i %}{% endfor %}"
    "{{ ns.total }}",
    "filters.txt": "{{ message | upper | replace('A', 'b') | center(40) }}{{ choices | sort | join('-') | indent(4) }}"
    "{{ '%s and %05.1f' | format(message, price) }}{{ doc | tojson }}{{ message | wordwrap(10) | truncate(20) }}",
    "methods.txt": "{{ message.split(' ')[1:3] }}{{ '{:>10}'.format(n) }}{{ doc.items() | list }}{{ message[::-1] }}",
    "logic.txt": "{% if flag and n > 3 or 'a' in doc.tags %}{{ 2 ** n % 7 }}{% elif price is number %}x{% endif %}"
    "{% macro m(a, b='c') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{% macro n(a) %}{{ caller() }}{% endmacro %}"
    "{% call n(2) %}y{% endcall %}",
}

CHAT = {
    "chatml.txt": "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "llama.txt": "{{- bos_token }}{% set loop_messages = messages %}{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- endif %}"
    "{% for message in messages %}{% set content = '<|start|>' + message['role'] + '\n\n' "
    "+ message['content'] | trim %}"
    "{% if loop.index0 == 0 %}{{ strftime_now('%d %b %Y') }}{% endif %}{{ content }}{% endfor %}"
    "{%- if tools is not none %}{{ tools | tojson(indent=4) }}{% endif %}",
    "strict.txt": "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% set ns = namespace(found=false) %}{% for m in messages[::-1] %}{% if m.role == 'user' and not ns.found %}"
    "{% set ns.found = true %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endif %}{% endfor %}",
}


def _write(folder: Path, texts: dict[str, str]) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    return [folder / name for name in texts]


@kind("prompt", lambda folder: _write(folder, PROMPTS), mutate_prompt)
def read_prompt(path: Path) -> object:
    source = read_text(path)
    prompt = prompty.load(source, "p", path).prompt
    prompty.dump(replace(prompt, description="new", defaults={**prompt.defaults, "n": "4"}), source, path)
    return render(prompt, VALUES)


@kind("template", lambda folder: _write(folder, TEMPLATES), mutate_template)
def read_template(path: Path) -> object:
    prompt = Prompt("p", read_text(path))
    find_sections(prompt.body)
    find_variables(prompt)
    render(replace(prompt, mode="completion"), {name: JsonText("[1]") for name in VALUES} | VALUES)
    return render_prompt(prompt, VALUES, ())


@kind("chat-template", lambda folder: _write(folder, CHAT), mutate_chat_template)
def read_chat_template(path: Path) -> object:
    template = ChatTemplate(read_text(path), {"bos_token": "<s>", "eos_token": "</s>"})
    template.render([Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye")])
    return template.render([Message("system", "Be brief."), Message("user", "Hi")])
