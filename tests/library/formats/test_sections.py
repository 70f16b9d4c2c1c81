"""Messages as the text of a body, and back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.library.formats.sections import Section, join_sections, quote_literal, split_sections, unquote_literal
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.render import render

PIECES = st.lists(
    st.sampled_from(
        ['{{ "" }}', '{{ "\\n" }}', "\n", "\r\n", "user:", "system:", "# Assistant:", "{{", "{%", "}}", "#}", "a", " "]
    ),
    max_size=8,
).map("".join)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), PIECES), min_size=1, max_size=3))
@example([("user", 'user:\n{{ "" }}user:')])
@example([("user", '\n{{ "\\n" }}\n')])
def test_every_text_comes_back_from_a_body(messages):
    sections = tuple(Section(role, text) for role, text in messages)
    assert split_sections(Prompt("p", join_sections(sections))) == sections


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), PIECES), min_size=1, max_size=3))
def test_a_quoted_text_is_rendered_as_it_was(messages):
    body = join_sections(Section(role, quote_literal(text)) for role, text in messages)
    assert render(Prompt("p", body), {}) == tuple(Message(role, text) for role, text in messages)


@given(st.one_of(st.text(), PIECES))
def test_a_quoted_text_is_unquoted_to_itself(text):
    quoted = quote_literal(text)
    if '{{ "' not in text:
        assert unquote_literal(quoted) == text


@pytest.mark.parametrize("template", ["{{ name }}", "a {% if x %}b{% endif %}", "{# note #}"])
def test_what_asks_for_variables_is_no_literal(template):
    assert unquote_literal(template) is None


def test_a_line_break_in_a_block_at_the_edge_is_text():
    text = "{% for x in [1, 2] %}\n- {{ x }}\n{% endfor %}"
    body = join_sections([Section("user", text)])
    assert split_sections(Prompt("p", body)) == (Section("user", text),)
    assert render(Prompt("p", body), {})[0].content == "\n- 1\n\n- 2\n"
