from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from workbench.errors import PromptError
from workbench.library.formats import prompty
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render

PATH = Path("somewhere/a.prompty")
TEXT = st.text(st.characters(codec="utf-8"))
LINES = st.lists(st.sampled_from(["---", "+++", "# note", "user:", " x: 1", "\ufeff", "", " ", "a\r", "\t"])).map(
    "\n".join
)
BODIES = st.one_of(TEXT, LINES)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
PROMPTS = st.builds(
    Prompt,
    name=st.just("a"),
    body=BODIES,
    description=TEXT,
    defaults=st.dictionaries(NAMES, BODIES, max_size=4),
    placement=st.sampled_from(["turns", "inline", "none"]),
    mode=st.sampled_from(["chat", "completion"]),
)
SOURCE = """---
# who wrote this
name:   few-shot   # the name others see
description: Route a message.  # shown in the list
authors: [ann,  bob]   # unknown to the workbench
metadata:
   team: desk
   workbench:
      # turns work best
      placement: turns
# what goes in
inputs:
   -  name: message
      kind: string
      default: "Hello"   # a greeting
   # more to come
tools: &tools
   - {kind: function,  name: look_up}
model: {id: local, options: {temperature: 0.50}}
---
system:
Route.  \r
user:
{{ message }}"""


def load(text: str) -> Prompt:
    return prompty.load(text, "a", PATH).prompt


@given(PROMPTS)
def test_a_prompt_comes_back_as_it_was_written(prompt: Prompt) -> None:
    assert load(prompty.dump(prompt)) == prompt


@given(PROMPTS, PROMPTS)
def test_a_prompt_written_over_another_file_comes_back_as_it_was_written(old: Prompt, new: Prompt) -> None:
    assert load(prompty.dump(new, prompty.dump(old))) == new


@given(PROMPTS, TEXT)
def test_a_prompt_written_over_a_hand_written_file_comes_back(prompt: Prompt, examples: str) -> None:
    text = prompty.dump(prompt, SOURCE, examples=examples)
    loaded = prompty.load(text, "a", PATH)
    assert (replace(loaded.prompt, kinds={}, unsupported="", tools=(), options={}), loaded.examples) == (
        prompt,
        examples,
    )


@given(BODIES)
def test_a_changed_body_leaves_every_byte_of_the_front_matter(body: str) -> None:
    head = SOURCE[: SOURCE.index("system:")]
    assert prompty.dump(replace(load(SOURCE), body=body), SOURCE) == head + body


@given(PROMPTS)
def test_comments_and_unknown_keys_survive_every_change(prompt: Prompt) -> None:
    text = prompty.dump(prompt, SOURCE)
    head = text[: len(text) - len(prompt.body)] if prompt.body else text
    for kept in (
        "# who wrote this\nname:   few-shot   # the name others see\n",
        "authors: [ann,  bob]   # unknown to the workbench\n",
        "   team: desk\n",
        "      # turns work best\n",
        "# what goes in\ninputs:",
        "   # more to come\n",
        "tools: &tools\n   - {kind: function,  name: look_up}\n",
        "model: {id: local, options: {temperature: 0.50}}\n---\n",
    ):
        assert kept in head


def test_a_change_touches_only_the_line_that_says_it() -> None:
    text = prompty.dump(replace(load(SOURCE), placement="inline"), SOURCE)
    assert text == SOURCE.replace("placement: turns", "placement: inline")


def test_windows_line_endings_stay_when_a_key_changes() -> None:
    source = "---\r\n# note\r\ndescription: old\r\n---\r\nbody\r\n"
    text = prompty.dump(replace(load(source), description="new", mode="completion"), source)
    assert text.startswith("---\r\n# note\r\ndescription: new\r\n")
    assert text.replace("\r\n", "").count("\n") == 0


def test_a_byte_order_mark_stays_and_is_not_part_of_the_body() -> None:
    assert load("\ufeffbody").body == "body"
    assert prompty.dump(Prompt("a", "other"), "\ufeffbody") == "\ufeffother"
    assert prompty.dump(Prompt("a", "b", description="d"), "\ufeffb") == "\ufeff---\ndescription: d\n---\nb"


def test_a_prompt_without_settings_has_no_front_matter() -> None:
    assert prompty.dump(Prompt("a", "Say hello.\n")) == "Say hello.\n"


def test_defaults_are_left_out_of_the_file() -> None:
    text = prompty.dump(Prompt("a", "b", description="Greets."))
    assert text == "---\ndescription: Greets.\n---\nb"


def test_a_date_and_a_number_are_the_text_they_were_written_as() -> None:
    source = "---\ninputs:\n  a: 2020-01-02\n  b: 2020-99-99\n  c: 1.50\n  d: 0x10\n---\nx"
    prompt = load(source)
    assert prompt.defaults == {"a": "2020-01-02", "b": "2020-99-99", "c": "1.50", "d": "0x10"}
    changed = replace(prompt, defaults={**prompt.defaults, "a": "2021-01-02", "c": "2.50", "d": "17"})
    assert load(prompty.dump(changed, source)).defaults == changed.defaults


def test_a_long_description_is_not_folded() -> None:
    description = "word " * 100 + "end"
    assert f"description: {description}\n" in prompty.dump(Prompt("a", "b", description=description))


def test_several_lines_are_written_as_a_block() -> None:
    text = prompty.dump(Prompt("a", "b", defaults={"x": "one\ntwo\n"}))
    assert "x: |\n    one\n    two\n" in text


def test_front_matter_that_is_never_closed_is_an_error_and_not_a_prompt() -> None:
    with pytest.raises(PromptError, match=r"a\.prompty:1: the front matter opens with `---` and is never closed"):
        load("---\ndescription: x\nsystem:\nHello\n")


def test_the_keys_of_version_1_are_read() -> None:
    source = (
        "---\nmodel:\n  api: completion\n  parameters: {max_tokens: 9}\nsample:\n  city: Oslo\n"
        "inputs:\n  name: {type: string, sample: Ann}\n  price:\n    default: 1.50\ntemplate: jinja2\n---\nb"
    )
    prompt = load(source)
    assert prompt.mode == "completion"
    assert prompt.defaults == {"city": "Oslo", "name": "Ann", "price": "1.50"}
    changed = replace(prompt, mode="chat", defaults={"city": "Rome", "name": "Ann", "price": "1.50"})
    text = prompty.dump(changed, source)
    assert load(text) == changed
    assert "city: Rome" in text and "parameters: {max_tokens: 9}" in text


def test_the_short_form_of_an_input_is_its_default() -> None:
    assert load("---\ninputs:\n  a: x\n  b: 3\n  c: true\n  d:\n---\n").defaults == {"a": "x", "b": "3", "c": "true"}


def test_a_default_keeps_its_type_and_is_written_back_with_it() -> None:
    source = (
        "---\ninputs:\n  - {name: tags, default: [a, b]}\n  - name: doc\n    default:\n      title: Refunds\n"
        "      open: true\n  - {name: n, default: 3}\n  - {name: flag, kind: boolean, default: false}\n"
        "  - {name: code, kind: string, default: '[1]'}\n---\nuser:\n{{ tags | join('+') }} {{ doc.title }} {{ n + 1 }}"
        "{% if flag %}!{% endif %}{% if doc.open %}?{% endif %} {{ code | length }}"
    )
    prompt = load(source)
    assert prompt.kinds == {
        "tags": "array", "doc": "object", "n": "integer", "flag": "boolean", "code": "string"
    }  # fmt: skip
    assert render(prompt, {})[0].content == "a+b Refunds 4? 3"
    changed = replace(
        prompt, defaults={**prompt.defaults, "tags": '["c", 1.5]', "n": "7", "flag": "true", "doc": "none"}
    )
    text = prompty.dump(changed, source)
    assert "default: ['c', 1.5]" in text.replace('"', "'") or "default: [c, 1.5]" in text
    assert "default: 7" in text and "default: true" in text
    assert load(text).defaults == changed.defaults
    assert load(text).kinds["n"] == "integer"


def test_inputs_under_properties_are_read_and_added_to() -> None:
    source = "---\ninputs:\n  properties:\n    - {name: a, default: x}\n---\n{{ a }}"
    prompt = load(source)
    assert prompt.defaults == {"a": "x"}
    changed = replace(prompt, defaults={"a": "x", "b": "y"})
    assert load(prompty.dump(changed, source)).defaults == changed.defaults


@pytest.mark.parametrize("template", ["nunjucks", "{format: {kind: nunjucks}}", "{format: nunjucks, parser: prompty}"])
def test_nunjucks_is_filled_in_as_jinja(template: str) -> None:
    prompt = load(f"---\ntemplate: {template}\n---\nuser:\nHello {{{{ name | upper }}}}")
    assert render(prompt, {"name": "Ann"})[0].content == "Hello ANN"


@pytest.mark.parametrize(
    ("front", "named"),
    [
        ("model: gpt-4o", "`model: gpt-4o`"),
        ("model: {id: gpt-4, options: {temperature: 0.7, tone: 1}}", "`model.options.tone`"),
        ("model: {parameters: {n: 9}}", "`model.parameters.n`"),
        ("model: {connection: {kind: key, apiKey: secret}}", "`model.connection`"),
        ("model: {apiType: embedding}", "`apiType: embedding`"),
        ("outputs: [{name: answer, kind: image}]", "`outputs`"),
        ("tools: [{name: look_up, kind: mcp}]", "the tool `look_up` of kind mcp"),
        ("inputs: [{name: sound, kind: audio}]", "the input `sound` of kind audio"),
        ("inputs: {voice: {kind: audio}}", "the input `voice` of kind audio"),
        ("inputs: {x: {kind: matrix}}", "the kind `matrix` of the input `x`"),
        ("template: {format: jinja2, parser: {kind: other}}", "`template.parser: other`"),
    ],
)
def test_what_is_not_used_of_a_file_is_named(front: str, named: str) -> None:
    prompt = load(f"---\n{front}\n---\nuser:\nx")
    assert named in prompt.unsupported
    assert "secret" not in prompt.unsupported
    assert load("---\nname: x\ndescription: y\ntemplate: jinja2\n---\nx").unsupported == ""


def test_a_developer_section_is_the_system_message() -> None:
    assert [message.role for message in render(load("developer:\nBe brief.\nuser:\nHi"), {})] == ["system", "user"]


@pytest.mark.parametrize(
    "yaml",
    [
        "a: &x\n  <<: *x",
        "a: &x [*x]",
        "&x\nb: *x",
        "<<: 3",
        "<<: *x",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)),
        "a: " + "[" * 3000,
        "a: " + "[" * 400 + "]" * 400,
        "a: " + "9" * 5000,
        "a: !!binary xx",
        "a: !!int x",
        "x: y\n" * 60_000,
    ],
)
def test_yaml_that_means_harm_or_nothing_is_refused_in_words(yaml: str) -> None:
    with pytest.raises(PromptError, match="front matter"):
        load(f"---\n{yaml}\n---\nx")


def test_merge_keys_and_aliases_are_read_and_kept() -> None:
    source = (
        "---\nshared: &shared {default: x}\ninputs:\n  a:\n    <<: *shared\n    kind: string\n"
        "  b: *shared\n---\n{{ a }}{{ b }}"
    )
    prompt = load(source)
    assert prompt.defaults == {"a": "x", "b": "x"}
    assert prompty.dump(replace(prompt, body="other"), source) == source.replace("{{ a }}{{ b }}", "other")
    assert load(prompty.dump(replace(prompt, description="new"), source)).description == "new"


def test_an_environment_variable_is_never_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    assert load("---\ninputs:\n  a: ${env:SECRET}\n---\n").defaults == {"a": "${env:SECRET}"}


def test_a_file_reference_is_read_and_written_back_as_a_reference(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("from the file")
    source = "---\ninputs:\n  a: ${file:note.txt}\n  b: x\n---\nbody"
    loaded = prompty.load(source, "a", tmp_path / "a.prompty").prompt
    assert loaded.defaults["a"] == "from the file"
    changed = replace(loaded, defaults={**loaded.defaults, "b": "y"})
    assert prompty.dump(changed, source, tmp_path / "a.prompty") == source.replace("b: x", "b: y")


@pytest.mark.parametrize("reference", ["/etc/hostname", "../secret", "link/secret", "C:\\secret", "a/../../b", ""])
def test_a_reference_out_of_the_folder_is_refused(tmp_path: Path, reference: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    source = f"---\ninputs:\n  a: '${{file:{reference}}}'\n---\n"
    with pytest.raises(PromptError, match="not in the prompt's own folder"):
        prompty.load(source, "a", tmp_path / "in" / "a.prompty")


def test_all_problems_are_reported_with_file_line_and_key() -> None:
    source = (
        "---\nmetadata:\n  workbench:\n    placment: turns\n    mode: talk\ndescription: 5\n"
        "template: mustache\ninputs:\n  - message\n---\n"
    )
    with pytest.raises(PromptError) as caught:
        load(source)
    assert caught.value.message.split("\n") == [
        f"{PATH}:4: `metadata.workbench.placment` is not a key of the workbench; did you mean `placement`?",
        f"{PATH}:5: `metadata.workbench.mode` is `talk`; expected chat, completion",
        f"{PATH}:6: `description` is not a string; put it in quotes",
        f"{PATH}:7: `template` asks for `mustache`; only jinja2 and nunjucks templates can be run",
        f"{PATH}:9: `inputs[0]` has no `name`",
    ]


@pytest.mark.parametrize(
    "yaml", ["a: [1", "- a\n- b", "a: 1\na: 2", "just text", "a: *b", "\t- x: :", "a: !!python/object:os.system x"]
)
def test_front_matter_that_cannot_be_used_is_an_error_that_names_the_file(yaml: str) -> None:
    try:
        load(f"---\n{yaml}\n---\nbody")
    except PromptError as error:
        assert str(PATH) in error.message
    else:
        assert yaml.startswith("a: !!python")  # an unknown tag on an unknown key is kept, and never acted upon


@given(st.text(st.characters(codec="utf-8")))
def test_any_front_matter_either_loads_or_is_a_prompt_error(yaml: str) -> None:
    try:
        load(f"---\n{yaml}\n---\nbody")
    except PromptError:
        return
