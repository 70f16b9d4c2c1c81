from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.errors import MissingVariablesError, PromptError, TemplateError
from workbench.prompting.prompt import Example, Message, Mode, Placement, Prompt
from workbench.prompting.render import find_sections, find_variables, insert_turns, render, render_turns

ANY = st.text()
HOSTILE = st.one_of(
    ANY,
    st.lists(
        st.sampled_from(["user:", "\nsystem:\n", "# Assistant:", "{{ secret }}", "{% raw %}", "{#", "\ufdd0", "\ufdd1"])
        | st.sampled_from(["\ufdd3", "\ufdd4", "\x1c", "\r", "\n", "\U0010f000"])
    ).map("".join),
)
PLAIN = st.text(st.characters(exclude_characters="{"))


def chat(body: str, placement: Placement = "none", mode: Mode = "chat", **defaults: str) -> Prompt:
    return Prompt("a", body, placement=placement, mode=mode, defaults=defaults)


def show(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


E1 = Example("e1", {"message": "lost"}, "Lantern")
E2 = Example("e2", {"message": "paid"}, "Abacus")


def test_markers_begin_sections_in_any_case_and_as_headings() -> None:
    body = "system:\nRoute.\n\n# User :\nHi\n  ASSISTANT:  \nHello\n## user[name=ann]:\n{{ x }}\n"
    assert show(render(chat(body), {"x": "?"})) == [
        ("system", "Route."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "?"),
    ]


def test_text_before_any_marker_is_the_system_message() -> None:
    assert show(render(chat("Route.\nuser:\nHi"), {})) == [("system", "Route."), ("user", "Hi")]


@pytest.mark.parametrize("body", ["Only this.", "\nOnly this.\n", "Only\nthis: {{ 'that' }}"])
def test_a_body_without_any_marker_is_the_users(body: str) -> None:
    ((role, _),) = show(render(chat(body), {}))
    assert role == "user"
    assert [section.role for section in find_sections(body)] == ["user"]


def test_a_body_without_any_marker_that_turns_out_blank_is_not_sent() -> None:
    assert show(render(chat("{{ '' }}\n"), {})) == []


@pytest.mark.parametrize("line", ["user: hello", "the user:", "users:", "user", "tool:", "`user:`"])
def test_a_marker_stands_alone_on_its_line(line: str) -> None:
    assert show(render(chat(f"user:\n{line}"), {})) == [("user", line)]


def test_a_blank_system_message_is_not_sent() -> None:
    assert show(render(chat("\n \nsystem:\n\nuser:\n"), {})) == [("user", "")]


def test_spaces_and_inner_lines_stay_and_line_breaks_around_a_section_go() -> None:
    body = "system:\r\n\r\n  a \t\r\n\r\nb  \r\n\r\nuser:\n \n x\n \n\n"
    assert show(render(chat(body), {})) == [("system", "  a \t\r\n\r\nb  "), ("user", " \n x\n ")]


def test_a_line_break_at_an_edge_can_be_written_out() -> None:
    assert show(render(chat('user:\nQueue:{{ "\\n" }}\n'), {})) == [("user", "Queue:\n")]


@given(HOSTILE, HOSTILE)
def test_a_value_never_becomes_a_role_or_a_template_and_is_never_trimmed(first: str, second: str) -> None:
    body = "system:\n{{ a }}{{ b }}\nuser:\n\n{{ a }}-{{ b }}\n\nassistant:\n{{ b }}"
    messages = show(render(chat(body), {"a": first, "b": second}))
    assert messages[-2:] == [("user", f"{first}-{second}"), ("assistant", second)]
    assert messages[:-2] == ([("system", first + second)] if (first + second).strip() else [])


@given(HOSTILE, HOSTILE)
def test_an_example_never_becomes_a_role_or_a_template(text: str, answer: str) -> None:
    example = Example(text or "x", {"message": text}, answer)
    turns = render(chat("user:\n<{{ message }}>\n", "turns"), {"message": text}, (example,))
    assert show(turns) == [("user", f"<{text}>"), ("assistant", answer), ("user", f"<{text}>")]
    body = "user:\n{% for e in examples %}{{ e.message }}={{ e.answer }};{% endfor %}"
    assert show(render(chat(body, "inline"), {}, (example,))) == [("user", f"{text}={answer};")]


@given(PLAIN)
def test_text_without_templates_is_sent_as_it_is(text: str) -> None:
    assume(not find_sections(f"user:\n{text}")[1:])
    assert show(render(chat(f"user:\n{text}"), {})) == [("user", text.strip("\r\n"))]


@given(PLAIN)
def test_completion_sends_the_body_to_the_last_byte_but_for_the_end_of_its_last_line(text: str) -> None:
    sent = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    assert show(render(chat(text, mode="completion"), {})) == [("user", sent)]


@pytest.mark.parametrize(
    ("body", "sent"), [("The sky is\n", "The sky is"), ("One\n\n", "One\n"), ("Two\r\n", "Two"), ("{{ a }}\n", "x\n")]
)
def test_a_completion_does_not_go_on_behind_a_files_last_line_break(body: str, sent: str) -> None:
    assert show(render(chat(body, mode="completion"), {"a": "x\n"})) == [("user", sent)]


def test_markers_in_loops_and_conditions_make_messages() -> None:
    body = (
        "{% for e in examples %}\nuser:\n{{ e.message }}\nassistant:\n{{ e.answer }}\n{% endfor %}\n"
        "{%- if x %}\nuser:\n{{ x }}\n{% endif -%}\n"
    )
    assert show(render(chat(body, "inline"), {"x": "?"}, (E1, E2))) == [
        ("user", "lost"),
        ("assistant", "Lantern"),
        ("user", "paid"),
        ("assistant", "Abacus"),
        ("user", "?"),
    ]
    assert show(render(chat(body, "inline"), {"x": ""})) == []


def test_variables_are_found_in_order_of_appearance() -> None:
    body = "system:\n{% set y = b %}{{ y }}{{ a }}\nuser:\n{% for e in examples %}{{ e.x }}{{ c }}{% endfor %}{{ b }}"
    assert find_variables(chat(body)) == ("b", "a", "c")
    assert find_variables(chat("{{ range(3) }}{{ namespace() }}{% macro m(q) %}{{ q }}{% endmacro %}")) == ()


def test_every_missing_variable_is_reported_at_once() -> None:
    with pytest.raises(MissingVariablesError) as caught:
        render(chat("{{ a }}{{ here }}\nuser:\n{{ b }}{% if c %}{% endif %}{% for x in d %}{% endfor %}"), {"here": ""})
    assert caught.value.names == ("a", "b", "c", "d")
    assert "the prompt: a, b, c, d" in caught.value.message


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdef")))
def test_exactly_the_variables_without_a_value_are_missing(asked: set[str], given_names: set[str]) -> None:
    body = "\n".join(f"{{{{ {name} }}}}" for name in sorted(asked))
    values = dict.fromkeys(given_names, "x")
    if asked <= given_names:
        render(chat(body), values)
        return
    with pytest.raises(MissingVariablesError) as caught:
        render(chat(body), values)
    assert caught.value.names == tuple(sorted(asked - given_names))


def test_examples_say_what_they_lack_together_with_the_prompt() -> None:
    prompt = chat("system:\n{{ tone }}\nuser:\n{{ message }} {{ city }}", "turns")
    with pytest.raises(MissingVariablesError) as caught:
        render(prompt, {"message": "m", "city": "c"}, (E1, Example("e2", {"city": "Oslo"}, "")))
    assert caught.value.message.startswith(
        "Variables are missing in the prompt: tone; in example e1: city; in example e2: message."
    )
    assert caught.value.names == ("tone", "city", "message")


def test_an_example_never_borrows_the_case_s_value() -> None:
    with pytest.raises(MissingVariablesError, match="example e3"):
        render(chat("user:\n{{ message }}", "turns"), {"message": "m"}, (Example("e3", {}, ""),))


def test_a_variable_that_is_guarded_may_be_missing() -> None:
    body = "{{ a | default('x') }}{% if b is defined %}{{ b }}{% endif %}{{ c }}"
    assert show(render(chat(body), {"c": "y"})) == [("user", "xy")]
    with pytest.raises(MissingVariablesError) as caught:
        render(chat(body), {})
    assert caught.value.names == ("c",)


def test_defaults_stand_in_for_missing_values_and_cases_win() -> None:
    assert show(render(chat("{{ a }}{{ b }}", a="1", b="2"), {"b": "3"})) == [("user", "13")]


def test_turns_stand_before_the_last_user_message() -> None:
    prompt = chat("system:\nS\nuser:\nfirst\nassistant:\nyes\nuser:\nQ: {{ message }}\nassistant:\nA:", "turns")
    assert show(render(prompt, {"message": "new"}, (E1, E2))) == [
        ("system", "S"),
        ("user", "first"),
        ("assistant", "yes"),
        ("user", "Q: lost"),
        ("assistant", "Lantern"),
        ("user", "Q: paid"),
        ("assistant", "Abacus"),
        ("user", "Q: new"),
        ("assistant", "A:"),
    ]


def test_only_the_examples_that_are_given_are_sent_and_in_that_order() -> None:
    prompt = chat("user:\n{{ message }}", "turns")
    assert [message.content for message in render(prompt, {"message": "m"}, (E2,))] == ["paid", "Abacus", "m"]


@pytest.mark.parametrize("placement", ["none", "turns"])
def test_examples_are_not_in_the_template_unless_they_go_inline(placement: Placement) -> None:
    prompt = chat("system:\n[{% for e in examples %}x{% endfor %}]\nuser:\n{{ message }}", placement)
    assert show(render(prompt, {"message": "m"}, (E1,)))[0] == ("system", "[]")


def test_inline_examples_show_their_fields_by_dot_and_by_bracket() -> None:
    example = Example("e1", {"items": "3", "update": "no"}, "a")
    body = "{% for e in examples %}{{ e.items }},{{ e['update'] }},{{ e.answer }},{{ e.id }},{{ e | list | join('+') }}"
    messages = show(render(chat(body + "{% endfor %}", "inline"), {}, (example,)))
    assert messages == [("user", "3,no,a,e1,items+update+answer+id")]


def test_a_field_that_an_inline_example_lacks_is_an_error_with_its_line() -> None:
    body = "user:\n{% for e in examples %}\n{{ e.city }}{% endfor %}"
    with pytest.raises(PromptError, match=r"fails at line 3: .*city"):
        render(chat(body, "inline"), {}, (E1,))


@pytest.mark.parametrize("prompt", [chat("system:\nS", "turns"), chat("user:\nx", "turns", "completion")])
def test_turns_without_a_user_section_say_what_to_do(prompt: Prompt) -> None:
    with pytest.raises(PromptError, match="none"):
        render(prompt, {}, (E1,))
    assert render(prompt, {})  # without examples there is nothing to place


def test_completion_leaves_markers_as_text_and_takes_examples_inline() -> None:
    prompt = chat("user:\n{% for e in examples %}{{ e.answer }} {% endfor %}", "inline", "completion")
    assert show(render(prompt, {}, (E1, E2))) == [("user", "user:\nLantern Abacus ")]


def test_turns_can_be_rendered_alone_and_placed_later() -> None:
    prompt = chat("user:\n{{ message }}", "turns")
    whole = render(prompt, {"message": "m"}, (E1, E2))
    assert insert_turns(render(prompt, {"message": "m"}), render_turns(prompt, (E1, E2))) == whole


@given(st.lists(st.sampled_from(["user:", "# System:\r", "assistant:", "text", "", " "])).map("\n".join))
def test_sections_cover_the_body_in_order(body: str) -> None:
    sections = find_sections(body)
    assert all(one.end <= two.start for one, two in pairwise(sections))
    for section in sections:
        assert body[: section.start].count("\n") + 1 == section.line or section.start == len(body)
        assert not find_sections(body[section.start : section.end] + "\nuser:\n")[2:]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ oops\nsystem:\na\nuser:\nb", "line 2, column 1: a `{{` or `{%` above this line is not closed."),
        ("user:\n{{ a $ }}", "line 2, column 6: unexpected character '$'."),
    ],
)
def test_a_tag_that_is_never_closed_is_named_in_words_a_person_knows(body, reason):
    with pytest.raises(TemplateError, match=re.escape(reason)):
        render(Prompt("p", body), {"a": ""})
