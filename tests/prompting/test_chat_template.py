from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import TemplateError
from workbench.prompting.chat_template import CHATML, PLAIN, ChatTemplate, TextSegment, render_segments
from workbench.prompting.prompt import Message

SYSTEM = Message("system", "Be kind.")
USER = Message("user", "Hi <b> & {{ 7 * 7 }}")
CONTROL = re.compile(re.escape("<|im_end|>"))
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CONTENTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def test_a_template_is_laid_around_messages_and_opens_the_answer() -> None:
    text = ChatTemplate(CHATML).render([SYSTEM, USER]).text
    assert text == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi <b> & {{ 7 * 7 }}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_without_a_template_turns_are_named_in_plain_words() -> None:
    assert ChatTemplate(PLAIN).render([USER]).text == "User: Hi <b> & {{ 7 * 7 }}\n\nAssistant:"


@given(CONTENTS)
def test_contents_go_in_byte_for_byte(content: str) -> None:
    text = ChatTemplate(CHATML).render([Message("user", content)]).text
    assert text == f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"


@given(CONTENTS)
def test_a_last_assistant_message_is_left_open_with_its_trailing_spaces(content: str) -> None:
    text = ChatTemplate(CHATML).render([USER, Message("assistant", content + "  ")]).text
    assert text.endswith(f"<|im_start|>assistant\n{content}  ")


def test_a_template_that_refuses_system_messages_gets_them_in_the_first_user_message() -> None:
    source = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    )
    found = ChatTemplate(source).render([SYSTEM, Message("user", "Hi")])
    assert found.text == "[Be kind.\n\nHi]"
    assert found.notes == (
        "The model's chat template takes no system message: it is put before the first user message.",
    )


def test_what_a_template_complains_of_is_passed_on() -> None:
    source = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(TemplateError, match="roles must alternate"):
        ChatTemplate(source).render([USER])


def test_a_begun_answer_that_a_template_drops_stands_behind_its_opening_of_one() -> None:
    source = (
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<answer>{% endif %}"
    )
    found = ChatTemplate(source).render([USER, Message("assistant", " So")])
    assert found.text == f"{USER.content}<answer> So"
    assert not found.losses


def test_a_syntax_error_says_where_it_is() -> None:
    with pytest.raises(TemplateError, match="line 2") as caught:
        ChatTemplate("a\n{% for %}")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ ''.join(cycler.__init__.__globals__) }}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_cannot_reach_out_of_its_sandbox(source: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(source).render([USER])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages[0].content | tojson }}", '"Hi <b> & {{ 7 * 7 }}"'),
        ("  {% if true %}\nx\n  {% endif %}\n", "x\n"),
        ("{{ bos_token }}|{{ eos_token }}|{{ unk_token }}", "<s>|</s>|<unk>"),
        ("{% if pad_token is defined %}a{% else %}b{% endif %}", "b"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% if tools %}tools{% endif %}{{ strftime_now('%%') }}", "%"),
        ("{% generation %}x{{ 1 }}{% endgeneration %}", "x1"),
        ("{% if enable_thinking is defined %}a{% else %}b{% endif %}", "b"),
    ],
)
def test_templates_find_the_names_that_transformers_gives_them(source: str, expected: str) -> None:
    assert ChatTemplate(source, NAMES).render([USER]).text == expected


REAL_SHAPES = [
    CHATML,
    # a date, a default system text, a role that is renamed, white space control everywhere
    "{{- bos_token }}\n{%- if messages[0]['role'] == 'system' %}\n"
    "    {%- set system = messages[0]['content'] | trim %}\n"
    "    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system = 'You help.' %}\n{%- endif %}\n"
    "{{- '<<SYS>>' + system + '<</SYS>>' }}\n{%- for message in messages %}\n"
    "    {%- set role = 'model' if message.role == 'assistant' else message.role %}\n"
    "    {{- '<turn>' ~ role ~ '\\n' ~ message.content | trim ~ '</turn>\\n' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<turn>model\\n' }}\n{%- endif %}\n",
    # reasoning cut out of earlier turns, macros, namespaces, loop variables
    "{% macro turn(m, last) %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1].lstrip('\\n') }}"
    "{% if not last %}{{ eos_token }}{% endif %}{% endmacro %}"
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
    "{{ loop.index }}/{{ ns.n }}{{ turn(m, loop.last) }}\n{% endfor %}"
    "{% if tools is not none and tools %}{{ tools | tojson(indent=2) }}{% endif %}"
    "{{ messages | tojson }}{% if add_generation_prompt %}<|assistant|>{% endif %}",
]


@pytest.mark.parametrize("source", REAL_SHAPES)
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_template_gives_what_transformers_makes_of_it(source: str, turns: int) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    texts = ["  Ünïcode <b>&\n\n ", "<think>\nhm</think>\nYes", "{{ 1 }} {% x %} 'quoted' \"twice\""]
    roles = ["system", "user", "assistant", "user"]
    messages = [Message(role, texts[index % 3]) for index, role in enumerate(roles[: turns + 1])]  # type: ignore[arg-type]
    if messages[-1].role == "assistant":
        messages = messages[:-1]
    (expected,), _ = render_jinja_template(
        conversations=[[{"role": message.role, "content": message.content} for message in messages]],
        chat_template=source,
        add_generation_prompt=True,
        bos_token="<s>",
        eos_token="</s>",
    )
    assert ChatTemplate(source, NAMES).render(messages).text == expected


def test_control_tokens_in_contents_are_kept_apart_as_text() -> None:
    segments = render_segments(ChatTemplate(CHATML), [Message("user", "a<|im_end|>b")], CONTROL).segments
    assert segments == (
        TextSegment("<|im_start|>user\na"),
        TextSegment("<|im_end|>", True),
        TextSegment("b<|im_end|>\n<|im_start|>assistant\n"),
    )


@given(st.lists(st.sampled_from(["<|im_end|>", "a", "\U000f0000", "1", "\U000f0001", " "]), max_size=8))
def test_segments_join_to_the_rendered_text(parts: list[str]) -> None:
    messages = [Message("user", "".join(parts))]
    segments = render_segments(ChatTemplate(CHATML), messages, CONTROL).segments
    assert "".join(segment.text for segment in segments) == ChatTemplate(CHATML).render(messages).text
    assert sum(segment.literal for segment in segments) == parts.count("<|im_end|>")


def test_contents_without_control_tokens_stay_in_one_segment() -> None:
    assert len(render_segments(ChatTemplate(CHATML), [SYSTEM, USER], CONTROL).segments) == 1
