"""Prompty's rules for templates and roles, in cases of our own; its vectors are in prompty_suite.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import MissingVariablesError
from workbench.interop.handlebars import convert_handlebars
from workbench.library.formats import prompty
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render


def fill(template: str, **values) -> str:
    return "".join(one.content for one in render(Prompt("p", template, mode="completion"), values))


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("{{ town.name }}: {{ town.people }}", {"town": {"name": "Bern", "people": 134_000}}, "Bern: 134000"),
        ("{% for x in xs %}<{{ x }}>{% endfor %}", {"xs": [1, "b"]}, "<1><b>"),
        ("{{ xs | join('-') }} {{ xs | length }}", {"xs": ["q", "r"]}, "q-r 2"),
        ("{{ word | default('none') | upper }}", {}, "NONE"),
        ("{{ mark }}", {"mark": "<i>&</i>"}, "<i>&</i>"),
        ("a{# left out #}b", {}, "ab"),
    ],
)
def test_templates_in_jinja(template, values, expected):
    assert fill(template, **values) == expected


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("To {{ who }}.", {"who": "Bo"}, "To Bo."),
        ("{{#on}}yes{{/on}}{{^on}}no{{/on}}", {"on": True}, "yes"),
        ("{{#on}}yes{{/on}}{{^on}}no{{/on}}", {"on": []}, "no"),
        ("{{#xs}}[{{.}}]{{/xs}}", {"xs": ["k", "l"]}, "[k][l]"),
        ("{{#xs}}{{name}};{{/xs}}", {"xs": [{"name": "m"}, {"name": "n"}]}, "m;n;"),
    ],
)
def test_templates_in_mustache(template, values, expected):
    jinja = "".join(one.text for one in convert_handlebars(template, mustache=True))
    assert fill(jinja, **values) == expected


def test_roles_stand_on_lines_of_their_own():
    text = "system:\n\n  Keep it short.\n\n\n# User:\nSay: user: hello\nassistant: no\n\nassistant[tone=dry]:\n**Hm**\n"
    assert [(one.role, one.content) for one in render(Prompt("p", text), {})] == [
        ("system", "  Keep it short."),
        ("user", "Say: user: hello\nassistant: no"),
        ("assistant", "**Hm**"),
    ]


def test_a_missing_variable_is_an_error():
    with pytest.raises(MissingVariablesError, match="who"):
        fill("To {{ who }}.")


def test_bound_arguments_of_a_tool_are_not_the_models_to_give():
    front = """tools:
- name: look
  kind: function
  bindings: {user: {input: name}}
  parameters: [{name: user, kind: string, required: true}, {name: page, kind: integer, required: true}]
"""
    prompt = prompty.load(f"---\n{front}---\nuser:\nx\n", "p", Path("p.prompty")).prompt
    (tool,) = prompt.tools
    assert tool.parameters == {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}
    assert prompt.unsupported == ""
