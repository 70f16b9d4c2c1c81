from __future__ import annotations

import time

import pytest

from workbench.errors import PromptError, TemplateError
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.render import find_sections, find_variables, render

DOUBLED = "{% set n = namespace(t='ab') %}{% for i in range(21) %}{% set n.t = n.t ~ n.t %}{% endfor %}"
LISTED = "{% set n = namespace(t=[1]) %}{% for i in range(16) %}{% set n.t = n.t + n.t %}{% endfor %}"
NESTED = "{% set a = ['x', 'x'] %}" + "{% set a = [a, a] %}" * 40
TUPLES = "{% set a = ('x', 'x') %}" + "{% set a = (a, a) %}" * 40
LOOP = "{% for i in range(99999) %}"

BODIES = [
    # joins
    DOUBLED + LOOP + "{% set y = n.t ~ i %}{% endfor %}",
    LISTED + LOOP + "{% set y = n.t | join(x) %}{% endfor %}",
    LISTED + "{{ n.t | join(x * 10000) }}",
    LISTED + "{{ (x * 10000).join(n.t | map('string')) }}",
    # slices
    DOUBLED + LOOP + "{% set y = n.t[i:] %}{% endfor %}",
    LISTED + LOOP + "{% set y = n.t[::-1] %}{% endfor %}",
    # formatting
    DOUBLED + "{{ ('%s' * 500) % ((n.t,) * 500) }}",
    DOUBLED + "{{ ('{0}' * 500).format(n.t) }}",
    DOUBLED + "{{ ('{x}' * 500) | format(x=n.t) }}{{ ('%(x)s' * 500) | format(x=n.t) }}",
    LOOP + "{% set y = '%s %s' | format(x * 1000, i) %}{% endfor %}",
    "{{ '%.999999999f' | format(1) }}",
    # loops inside filters, and what a loop leaves out
    LISTED + LOOP + "{% set y = n.t | map('upper') | select('eq', 'Q') | list %}{% endfor %}",
    LISTED + LOOP + "{% set y = n.t | sort | unique | list %}{% endfor %}",
    LOOP + "{% for j in range(99999) if j == 0 %}{% endfor %}{% endfor %}",
    LOOP + "{% set y = range(99999) | list | sum %}{% endfor %}",
    LOOP + "{% set y = range(99999) | batch(2) | list | length %}{% endfor %}",
    LOOP + "{% set y = i in range(99999) | list %}{% endfor %}",
    # text that a loop repeats
    "{% set y %}" + LOOP + "z" * 50_000 + "{% endfor %}{% endset %}",
    "{% macro m() %}" + "z" * 50_000 + "{% endmacro %}{% set y %}" + LOOP + "{{ m() }}{% endfor %}{% endset %}",
    "{% filter upper %}" + LOOP + "{{ x * 1000 }}{% endfor %}{% endfilter %}",
    "{% block b %}" + "z" * 50_000 + "{% endblock %}{% set y %}" + LOOP + "{{ self.b() }}{% endfor %}{% endset %}",
    # values that hold themselves again and again
    NESTED + "{{ a }}",
    NESTED + "{{ a == a }}{{ a < a }}",
    NESTED + "{{ a | string }}",
    NESTED + "{{ a | tojson }}",
    NESTED + "{{ a | sort }}",
    NESTED + "{{ '%s' % a }}",
    NESTED + "{{ [a] | join }}",
    NESTED + "{{ 'x' ~ a }}",
    TUPLES + "{{ {a: 1} }}",
    TUPLES + "{{ {}[a] }}",
    # numbers
    "{{ (7 ** 30000) // (3 ** 20000) }}",
    "{% set n = namespace(t=7) %}" + LOOP + "{% set n.t = n.t * n.t %}{% endfor %}",
    "{{ 1.5 | round(10**7) }}",
    "{{ 1 | tojson(indent=10**9) if 1 }}{{ [1, [2]] | tojson(indent=10**9) }}",
    # methods that search or cut twice
    DOUBLED + "{{ n.t.rfind('ba' * 500000 + 'c') }}",
    DOUBLED + "{{ n.t.strip('cdefgh' * 500000) }}",
    DOUBLED + "{{ ('<!-- -->' * 400000) | striptags }}",
    DOUBLED + "{{ n.t | wordwrap(1) }}",
    DOUBLED + "{{ n.t.split('a') | length }}{{ n.t | list | length }}",
    DOUBLED + "{{ n.t.replace('a', 'b' * 100) }}",
    DOUBLED + "{{ n.t.translate({97: 'x' * 1000}) }}",
    DOUBLED + "{{ n.t | indent(9999999) }}",
    "{{ ('\\t' * 100000).expandtabs(100000) }}",
    LISTED + "{{ ([n.t] * 2000) | sum(start=[]) | length }}",
    # macros and recursion
    "{% macro a(n) %}{% for i in range(10) %}{{ a(n) }}{% endfor %}{% endmacro %}{{ a(1) }}",
    "{% for i in [1] recursive %}{% for j in range(50) %}{{ loop([1]) if loop is defined }}{% endfor %}{% endfor %}",
    "{% set n = namespace(g=[1]) %}" + LOOP + "{% set n.g = n.g | map('string') %}{% endfor %}{{ n.g | list }}",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_work_of_every_kind_is_counted_and_ends_in_seconds(body: str) -> None:
    begun = time.thread_time()
    with pytest.raises(TemplateError):
        render(Prompt("p", f"user:\n{body}"), {"x": "x" * 100})
    assert time.thread_time() - begun < 4  # about half a second on a machine of its own


@pytest.mark.parametrize("body", BODIES[::5], ids=range(len(BODIES[::5])))
def test_chat_templates_are_held_to_the_same_limits(body: str) -> None:
    begun = time.thread_time()
    with pytest.raises(TemplateError):
        ChatTemplate("{% set x = 'x' * 100 %}" + body).render([Message("user", "Hi")])
    assert time.thread_time() - begun < 1.5


@pytest.mark.parametrize(
    "body",
    [
        "{% for w in x.split() %}{{ loop.index }}: {{ w | upper | replace('A', 'b') }}\n{% endfor %}",
        "{{ x | wordwrap(60) | indent(4) }}",
        "{% set n = namespace(t=[]) %}{% for w in x.split() %}{% set n.t = n.t + [w] %}{% endfor %}"
        "{{ n.t | join(',') }}",
        "{% for w in x.split() | sort | unique %}{% if w in x and w != 'z' %}{{ '%-10s' | format(w) }}{% endif %}"
        "{% endfor %}",
    ],
)
def test_ordinary_work_on_a_long_text_is_done(body: str) -> None:
    text = " ".join(f"word{number % 97}" for number in range(1000))
    assert len(render(Prompt("p", f"user:\n{body}"), {"x": text})[0].content) > 500


def test_a_long_conversation_goes_through_an_ordinary_chat_template() -> None:
    template = (
        "{% set ns = namespace(found=false) %}{% for m in messages[::-1] %}{% if m.role == 'user' %}"
        "{% set ns.found = true %}{% endif %}{% endfor %}{% for m in messages %}"
        "{% set content = m.content.split('</think>')[-1].lstrip('\\n') %}"
        "{{ '<|im_start|>' + m.role + '\\n' + content | trim + '<|im_end|>' + '\\n' }}{% endfor %}"
    )
    messages = [Message(("user", "assistant")[turn % 2], "word " * 2000) for turn in range(401)]
    assert len(ChatTemplate(template).render(messages).text) > 4_000_000


@pytest.mark.parametrize(
    "body",
    [
        "user:" + " " * 100_000 + "x",
        "\t" * 100_000 + "#" * 100_000 + "user",
        "user:\na" + "\n" * 100_000 + "b",
        "user:\n" + "\r\n" * 50_000 + "b" + "\n" * 50_000,
        "".join(map(chr, range(0xF0000, 0xFFFFE))) * 2,
        "user:\n" + "{{ x }}\n" * 1000,
        "user:\n" + "{{ x }}\n" * 100_000,
        "user:\n{% raw %}" + "{{ x }}\n" * 100_000 + "{% endraw %}",
        "user:\n{{ " + "1" * 6000 + " }}",
        "user:\n{{ x" + "[0]" * 3000 + " }}",
        "user:\n{% if x %}" * 200_000,
    ],
    ids=range(11),
)
def test_no_body_takes_long_to_read(body: str) -> None:
    begun = time.thread_time()
    find_sections(body)
    try:
        render(Prompt("p", body), {"x": "1"})
    except PromptError as error:
        assert len(str(error)) < 1000
    assert time.thread_time() - begun < 4


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{% if x %}{% extends 'a' %}{% endif %}", "line 1"),
        ("a\n{% for i in x %}{% extends 'a' %}{% endfor %}", "line 2"),
        ("{% if 'a'['b'] and 1 %}y{% endif %}", "no attribute"),
        ("{{ {'a'['b']: 1} }}", "no attribute"),
        ("{% autoescape 1 if 1[::9] %}y{% endautoescape %}", "autoescape takes true or false"),
        ("{% autoescape 'x' | center(99999999) %}y{% endautoescape %}", "autoescape takes true or false"),
        ("{% filter list %}y{% endfilter %}", "gives a list, not a text"),
        ("{% block a %}{% endblock %}{% block a %}{% endblock %}", "line 1"),
    ],
)
def test_what_jinja_finds_only_when_it_compiles_is_said_in_words(body: str, reason: str) -> None:
    with pytest.raises(PromptError, match=reason):
        render(Prompt("p", body), {"x": "1"})


@pytest.mark.parametrize(
    "body", ["{{ 'x' | center(9) }}", "{% set y = 'x' | center(99999999) %}", "{{ 'x' | indent }}"]
)
def test_no_filter_runs_while_a_template_is_only_looked_at(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a filter has run")

    monkeypatch.setattr("workbench.prompting.sandbox.count_units", fail)
    assert find_variables(Prompt("p", body)) == ()


def test_half_a_character_in_a_template_is_spelled_in_its_error() -> None:
    with pytest.raises(PromptError) as refused:
        render(Prompt("p", "{{ x | \ud800 }}"), {"x": "1"})
    str(refused.value).encode()
    assert r"\ud800" in str(refused.value)


@pytest.mark.parametrize(
    "body", ["{% autoescape 'x' | center(99999999) %}y{% endautoescape %}", "{% autoescape x %}{% endautoescape %}"]
)
def test_a_chat_template_works_nothing_out_while_it_compiles(body: str) -> None:
    with pytest.raises(TemplateError, match="autoescape takes true or false"):
        ChatTemplate(body)
