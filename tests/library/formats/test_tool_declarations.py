"""`tools` in a prompt's front matter: Prompty's form, OpenAI's form, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import PromptError
from workbench.library.formats import prompty
from workbench.prompting.prompt import Prompt
from workbench.prompting.tools import Tool

PATH = Path("somewhere/tools.prompty")
WEATHER = Tool(
    "weather",
    "The weather of a city",
    {
        "type": "object",
        "properties": {"city": {"description": "its name", "type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)


def read(front: str) -> Prompt:
    return prompty.load(f"---\n{front}\n---\nuser:\n{{{{ question }}}}\n", "tools", PATH).prompt


FORMS = {
    "a list of properties": """
tools:
  - name: weather
    kind: function
    description: The weather of a city
    parameters:
      - {name: city, kind: string, description: its name, required: true}
      - {name: days, kind: integer}
""",
    "properties by name": """
tools:
  weather:
    description: The weather of a city
    parameters:
      city: {kind: string, description: its name, required: true}
      days: integer
""",
    "a JSON schema": """
tools:
  - name: weather
    description: The weather of a city
    parameters:
      type: object
      properties: {city: {description: its name, type: string}, days: {type: integer}}
      required: [city]
""",
    "OpenAI's form": """
tools:
  - type: function
    function:
      name: weather
      description: The weather of a city
      parameters:
        type: object
        properties: {city: {description: its name, type: string}, days: {type: integer}}
        required: [city]
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_is_read_in_every_form(form: str) -> None:
    prompt = read(FORMS[form])
    assert prompt.tools == (WEATHER,)
    assert prompt.unsupported == ""


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    assert read("tools: [{name: now}]").tools[0].schema == {"type": "object", "properties": {}}


def test_nested_properties_and_choices_are_kept() -> None:
    front = """
tools:
  - name: book
    parameters:
      - name: place
        kind: object
        properties: [{name: row, kind: integer, required: true}, {name: side, kind: string, enumValues: [left, right]}]
      - {name: tags, kind: array, items: {kind: string}}
"""
    properties = read(front).tools[0].parameters["properties"]
    assert properties["place"]["required"] == ["row"]
    assert properties["place"]["properties"]["side"] == {"type": "string", "enum": ["left", "right"]}
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ("tools: look_up", "`tools` is neither a list nor a mapping"),
        ("tools: [look_up]", "`tools[0]` is not a mapping"),
        ("tools: [{name: look up}]", "has the name 'look up'"),
        ("tools: [{name: a}, {name: a}]", "is named 'a', as one before it"),
        ("tools: [{name: a, parameters: [{kind: string}]}]", "expected properties with a name"),
        ("tools: [{name: a, parameters: {x: {kind: matrix}}}]", "is no JSON schema"),
        ("tools: [{name: a, parameters: {type: object, properties: {x: {pattern: '('}}}}]", "is no JSON schema"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(front: str, problem: str) -> None:
    with pytest.raises(PromptError, match=r"tools\.prompty:2: ") as caught:
        read(front)
    assert problem in caught.value.message


def test_saving_another_default_leaves_the_tools_as_they_were_written() -> None:
    source = f"---\n{FORMS['a list of properties'].strip()}\n---\nuser:\n{{{{ question }}}}\n"
    prompt = prompty.load(source, "tools", PATH).prompt
    import msgspec

    changed = msgspec.structs.replace(prompt, description="About the weather")
    saved = prompty.dump(changed, source, PATH)
    assert FORMS["a list of properties"].strip() in saved
    assert prompty.load(saved, "tools", PATH).prompt.tools == (WEATHER,)
