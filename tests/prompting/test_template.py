from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import MissingVariablesError, PromptError, TemplateError
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render


def fail(body: str, **variables: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(Prompt("a", body), variables)
    return caught.value


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        ("{{ x y }}", 1, 6),
        ("one\n\n  {{ x y }}", 3, 8),
        ("one\r\n\r\n  {{ x y }}", 3, 8),
        ("user:\ntext\n# assistant:\n{{ x", 4, 5),
        ("{% if %}", 1, 7),
        ("é😀 {{ ? }}", 1, 7),
        ("a\n{% nonsense %}", 2, 4),
        ("a\n{% for x in y %}\nb", 3, 2),
        ("a\n{{ x | upper | shout }}", 2, 16),
        ("a\n\n{% if x is shouted %}{% endif %}", 3, 12),
        ("{# never closed", 1, 3),
        ("a\n}}\n{{ }}", 3, 4),
        ("{%- if x -%}\n  \n  {{ y z }}{% endif %}", 3, 8),
        ("{{ 'a' 'b' }}{{ 1 2 }}", 1, 19),
        ("{% endfor %}", 1, 4),
        ("{{ (1 }}", 1, 7),
        ("{% raw %}{{ x {% endraw %}\n{{ x z }}", 2, 6),
        ("{# a\nb #}{{ x z }}", 2, 10),
    ],
)
def test_a_syntax_error_says_line_and_column_in_the_body(body: str, line: int, column: int) -> None:
    error = fail(body, x="")
    assert (error.line, error.column) == (line, column)
    assert f"line {line}, column {column}" in error.message


def test_the_section_that_examples_go_through_keeps_its_line_numbers() -> None:
    from workbench.prompting.prompt import Example

    prompt = Prompt("a", "system:\nS\n\nuser:\n\n{{ message }}\n{{ 1 // message | int }}", placement="turns")
    with pytest.raises(TemplateError) as caught:
        render(prompt, {"message": "1"}, (Example("e1", {"message": "0"}, ""),))
    assert caught.value.line == 7


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a\n{{ 1 / 0 }}", "division by zero"),
        ("a\n{{ x.nothing }}", "no attribute 'nothing'"),
        ("a\n{{ x.upper(1, 2) }}", "argument"),
        ("a\n{% include 'other' %}", "no loader"),
        ("a\n{{ x | int + 'a' }}", "unsupported operand"),
    ],
)
def test_a_template_that_fails_says_line_and_reason(body: str, reason: str) -> None:
    error = fail(body, x="1")
    assert error.line == 2
    assert reason in error.message


@pytest.mark.parametrize(
    "body",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% for i in x %}" * 60 + "{% endfor %}" * 60,
        "{% if x %}" * 3000 + "{% endif %}" * 3000,
        "{{ x" + " | upper" * 3000 + " }}",
        "{{ x" + " + x" * 3000 + " }}",
    ],
)
def test_a_template_that_nests_too_deeply_is_an_error(body: str) -> None:
    assert "nests too deeply" in fail(body, x="1").message


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x['__class__'].mro() }}",
        "{{ x | attr('__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ [].append(1) }}",
        "{{ {}.update({}) }}",
        "{{ range(1).__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ namespace().__init__.__globals__ }}",
        "{{ examples.append(1) }}",
        "{{ (x for x in y) }}",
    ],
)
def test_a_template_reaches_nothing_but_its_variables(body: str) -> None:
    fail(body, x="1")


@pytest.mark.parametrize(
    "body",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{{ [0] * 10**9 }}",
        "{{ 10 ** (10 ** 9) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:>{w}}'.format(1, w=999999999) }}",
        "{{ x.ljust(10**9) }}",
        "{{ x | center(10**9) }}",
        "{{ x | indent(10**9) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}{% macro b() %}{{ c() }}{{ c() }}{% endmacro %}"
        "{% macro c() %}{% for i in range(99999) %}x{% endfor %}{% endmacro %}{{ a() }}",
        "{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        "{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
        "{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t | replace('a', n.t) %}"
        "{% endfor %}{{ n.t }}",
        "{% set n = namespace(t=['ab']) %}{% for i in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}",
    ],
)
def test_a_runaway_template_is_stopped(body: str) -> None:
    fail(body, x="x" * 100)


def test_a_rendering_has_nothing_of_chance_in_it() -> None:
    assert "random" in fail("{{ x | random }}", x="abc").message
    with pytest.raises(MissingVariablesError):
        render(Prompt("a", "{{ lipsum() }}"), {})


def test_a_long_text_is_no_runaway() -> None:
    text = "word " * 200_000
    assert render(Prompt("a", "user:\n{{ x }}"), {"x": text})[0].content == text


@given(st.text(), st.text())
def test_any_body_renders_or_is_a_prompt_error(body: str, value: str) -> None:
    try:
        render(Prompt("a", body), {"x": value})
    except PromptError:
        return


@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "x", "for", "in", "if", "|", "(", "'", "\n", " "]))
)
def test_any_mixture_of_syntax_renders_or_is_an_error_with_a_place(parts: list[str]) -> None:
    body = " ".join(parts)
    try:
        render(Prompt("a", body), {"x": "1"})
    except TemplateError as error:
        lines = body.split("\n")
        assert error.line and 1 <= error.line <= len(lines)
        assert error.column is None or 1 <= error.column <= len(lines[error.line - 1]) + 1
    except PromptError:
        return
