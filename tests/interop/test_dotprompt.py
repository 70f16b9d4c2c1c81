"""Dotprompt: what is converted, in cases of our own; those of its specification are in dotprompt_suite.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.interop.dotprompt import convert_dotprompt
from workbench.interop.handlebars import HandlebarsError, convert_handlebars
from workbench.interop.parts import ImportedMessage, ImportedParts, ImportedPrompt
from workbench.interop.picoschema import read_picoschema
from workbench.interop.prompty_text import write_prompty
from workbench.library.formats import prompty
from workbench.prompting.pictures import Picture
from workbench.prompting.render import render


def messages(template: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    sections = convert_handlebars(template)
    text = write_prompty(ImportedPrompt("x", tuple(ImportedMessage(*one) for one in sections)))
    prompt = prompty.load(text, "x", Path("x.prompty")).prompt
    return [(one.role, one.content) for one in render(prompt, values)]


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        (
            '{{role "system"}}S{{role "user"}}U{{role "model"}}M',
            {},
            [("system", "S"), ("user", "U"), ("assistant", "M")],
        ),
        ("{{#if a}}yes{{else}}no{{/if}}", {"a": False}, [("user", "no")]),
        ("{{#unless a}}yes{{/unless}}", {"a": False}, [("user", "yes")]),
        (
            "{{#each xs}}{{@index}}:{{this}}{{#unless @last}},{{/unless}}{{/each}}",
            {"xs": ["a", "b"]},
            [("user", "0:a,1:b")],
        ),
        ("{{#each xs}}\n- {{name}}\n{{/each}}\n", {"xs": [{"name": "a"}, {"name": "b"}]}, [("user", "- a\n- b\n")]),
        ("{{#with p}}{{name}} {{@root.x}}{{/with}}", {"p": {"name": "n"}, "x": "y"}, [("user", "n y")]),
        ("{{#ifEquals a 1}}one{{else}}other{{/ifEquals}}", {"a": 1}, [("user", "one")]),
        ('{{#unlessEquals a "x"}}not x{{/unlessEquals}}', {"a": "y"}, [("user", "not x")]),
        ("{{json o}}", {"o": {"a": [1, "<"]}}, [("user", '{"a":[1,"<"]}')]),
        (
            "{{#each xs}}{{../a}}{{#each this.ys}}{{../b}}{{../../a}}{{this}};{{/each}}{{/each}}",
            {"a": "A", "xs": [{"b": "B", "ys": ["1", "2"]}]},
            [("user", "ABA1;BA2;")],
        ),
        ("{{#if a}}\nyes\n{{else}}\nno\n{{/if}}\n", {"a": True}, [("user", "yes\n")]),
        ("{{#if a}}\nyes\n{{else}}\nno\n{{/if}}\n", {"a": False}, [("user", "no\n")]),
        ("{{#if a}}x{{else}}\n\n\ny{{/if}}", {"a": False}, [("user", "\n\n\ny")]),
        ("{{{html}}} {{! gone }}{{~ a ~}} b", {"html": "<i>", "a": "x"}, [("user", "<i> xb")]),
        ("{% raw jinja %} {# kept #} }}", {}, [("user", "{% raw jinja %} {# kept #} }}")]),
    ],
)
def test_handlebars_do_in_jinja_what_they_did(template, values, expected):
    assert messages(template, values) == expected


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{#if a}}{{history}}{{/if}}", "the helper history inside a block"),
        ('{{media url="http://a/b"}}', "the helper media with another address"),
        ("{{#each xs}}{{media url=x}}{{/each}}", "the helper media with another address"),
        ("{{#if a}}", "never closed"),
        ("{{/if}}", "closes nothing"),
        ("{{> missing}}", "the partial missing"),
        ("{{../y}}", "outside of all blocks"),
        ('{{role "robot"}}', "the role"),
        ('{{#if a}}{{role "user"}}{{/if}}', "a role inside a block"),
        ("{{helper (inner x)}}", "the helper helper"),
    ],
)
def test_what_has_no_counterpart_is_named(template, reason):
    with pytest.raises(HandlebarsError, match=reason):
        convert_handlebars(template)


def test_a_conversation_pictures_sections_and_metadata():
    parts = ImportedParts()
    template = '{{role "system" tone="x"}}S{{history}}{{role "user"}}{{section "one"}}See {{media url=photo}}: {{q}}'
    found = convert_dotprompt(template, "x.prompt", {}, parts)
    prompt = prompty.load(write_prompty(found), "x", Path("x.prompty")).prompt
    assert prompt.kinds == {"history": "thread", "photo": "image"}
    assert [one.reason for one in parts.losses.losses] == ["metadata of a message", "the mark of a section"]
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    picture = Picture("image/png", b"\x89PNG")
    sent = render(prompt, {"history": history, "photo": picture, "q": "?"})
    assert [(one.role, one.content) for one in sent] == [
        ("system", "S"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "See : ?"),
    ]
    assert sent[-1].pictures[0].at == 4


def test_partials_and_what_stands_around_a_text_below_a_front_matter():
    partials = {"greet": "Hi {{name}}{{> mark}}", "mark": "{{! gone }}!"}
    text = "# a note\n---\ninput: {default: {who: Ann}}\n---\n\n{{> greet name=who}} Go on.\n\n"
    prompt = prompty.load(
        write_prompty(convert_dotprompt(text, "x.prompt", partials, ImportedParts())), "x", Path("x.prompty")
    ).prompt
    assert [one.content for one in render(prompt, {})] == ["Hi Ann! Go on."]


def test_picoschema_is_a_json_schema():
    found = read_picoschema(
        {
            "name": "string, who it is",
            "age?": "integer",
            "tags(array, words)": "string",
            "kind(enum)": ["a", "b"],
            "inner(object)": {"x": "number"},
            "(*)": "any",
        }
    )
    assert found == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "who it is"},
            "age": {"type": ["integer", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "words"},
            "kind": {"enum": ["a", "b"]},
            "inner": {
                "type": "object",
                "properties": {"x": {"type": "number"}},
                "additionalProperties": False,
                "required": ["x"],
            },
        },
        "additionalProperties": {},
        "required": ["name", "tags", "kind", "inner"],
    }
    assert read_picoschema({"type": "object", "properties": {"a": {"type": "string"}}})["type"] == "object"
    with pytest.raises(ValueError, match="no such type"):
        read_picoschema({"a": "strng"})
