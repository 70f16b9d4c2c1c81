"""Tool calls in the forms of model families: what is read of an answer, and which form a template has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.prompting.llama_cpp_cases import LlamaCppCase, read_cases
from workbench.inference.reasoning import read_format
from workbench.inference.thinking import ThinkingFilter
from workbench.prompting.chat_template import CHATML, ChatTemplate
from workbench.prompting.tool_formats.bare_calls import GENERIC
from workbench.prompting.tool_formats.registry import FORMATS, choose_format
from workbench.prompting.tools import Tool, ToolCall, write_call

VOLUME = Tool("set_volume", "", {"type": "object", "properties": {"level": {"type": "integer"}}})
CITY = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}})
NAMED = {form.name: form for form in FORMATS}

ANSWERS = [
    ("Hermes", '<tool_call>\n{"name": "set_volume", "arguments": {"level": 3}}\n</tool_call>'),
    ("Hermes", '<tool_call>{"name": "set_volume", "arguments": "{\\"level\\": 3}"}'),
    ("Apriel", '<tool_calls>[{"name": "set_volume", "arguments": {"level": 3}}]</tool_calls>'),
    ("Nemotron", '<TOOLCALL>[{"name": "set_volume", "arguments": {"level": 3}}]</TOOLCALL>'),
    ("Granite", '<|tool_call|>[{"name": "set_volume", "arguments": {"level": 3}}]'),
    ("Mistral", '[TOOL_CALLS][{"name": "set_volume", "arguments": {"level": 3}, "id": "abc123def"}]'),
    ("Mistral", '[TOOL_CALLS]set_volume[ARGS]{"level": 3}'),
    ("Mistral", '[TOOL_CALLS]set_volume[CALL_ID]abc123def[ARGS]{"level": 3}'),
    ("Command R7B", '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "set_volume", "parameters": {"level": 3}}]<|END_ACTION|>'),  # noqa: E501
    ("Command R+", 'Action:\n```json\n[{"tool_name": "set_volume", "parameters": {"level": 3}}]\n```'),
    ("Apertus", '<|tools_prefix|>[{"set_volume": {"level": 3}}]<|tools_suffix|>'),
    ("FireFunction", ' functools[{"name": "set_volume", "arguments": {"level": 3}}]'),
    ("GigaChat", '<|function_call|>{"name": "set_volume", "arguments": {"level": 3}}'),
    ("Kimi K2", '<|tool_calls_section_begin|><|tool_call_begin|>functions.set_volume:0<|tool_call_argument_begin|>{"level": 3}<|tool_call_end|><|tool_calls_section_end|>'),  # noqa: E501
    ("DeepSeek", '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>set_volume\n```json\n{"level": 3}\n```<｜tool▁call▁end｜>'),  # noqa: E501
    ("DeepSeek", '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>set_volume<｜tool▁sep｜>{"level": 3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'),  # noqa: E501
    ("DeepSeek DSML", '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="set_volume">\n<｜DSML｜parameter name="level" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>'),  # noqa: E501
    ("Functionary 3.1", '<function=set_volume>{"level": 3}</function>'),
    ("Functionary 3.2", 'set_volume\n{"level": 3}'),
    ("harmony", '<|channel|>commentary to=functions.set_volume <|constrain|>json<|message|>{"level": 3}'),
    ("Qwen 3 Coder", "<tool_call>\n<function=set_volume>\n<parameter=level>\n3\n</parameter>\n</function>\n</tool_call>"),  # noqa: E501
    ("GLM", "<tool_call>set_volume\n<arg_key>level</arg_key>\n<arg_value>3</arg_value>\n</tool_call>"),
    ("MiniMax", '<minimax:tool_call>\n<invoke name="set_volume">\n<parameter name="level">3</parameter>\n</invoke>\n</minimax:tool_call>'),  # noqa: E501
    ("MiniCPM", '<function name="set_volume"><param name="level">3</param></function>'),
    ("Gemma 4", "<|tool_call>call:set_volume{level:3}<tool_call|>"),
    ("LFM2", "<|tool_call_start|>[set_volume(level=3)]<|tool_call_end|>"),
    ("Llama 3", '{"name": "set_volume", "parameters": {"level": 3}}'),
    ("Llama 3", '<|python_tag|>{"type": "function", "name": "set_volume", "parameters": {"level": 3}}'),
    ("Llama 3", "<|python_tag|>set_volume.call(level=3)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_a_call_is_read_in_the_form_of_each_family(name: str, answer: str) -> None:
    found = NAMED[name].parse(answer, (VOLUME,))
    assert [(call.name, call.values) for call in found.calls] == [("set_volume", {"level": 3})]
    assert (found.content, found.problem) == ("", "")


@pytest.mark.parametrize(
    ("name", "answer"), [pair for pair in ANSWERS if pair[0] not in ("Llama 3", "Functionary 3.2")]
)
def test_what_is_said_before_a_call_is_kept(name: str, answer: str) -> None:
    found = NAMED[name].parse(f"I will turn it down.\n{answer}", (VOLUME,))
    assert found.content == "I will turn it down."
    assert [call.name for call in found.calls] == ["set_volume"]


def test_several_calls_come_in_their_order() -> None:
    hermes = "".join(write_call(ToolCall("weather", f'{{"city": "{city}"}}')) for city in ("Oslo", "Rome"))
    assert [call.values["city"] for call in NAMED["Hermes"].parse(hermes, (CITY,)).calls] == ["Oslo", "Rome"]
    llama = '{"name": "weather", "parameters": {"city": "Oslo"}}; {"name": "weather", "parameters": {"city": "Rome"}}'
    assert [call.values["city"] for call in NAMED["Llama 3"].parse(llama, (CITY,)).calls] == ["Oslo", "Rome"]


def test_a_bare_value_has_the_type_of_its_parameter() -> None:
    answer = "<tool_call>\n<function=weather>\n<parameter=city>\n0150\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>"  # noqa: E501
    assert NAMED["Qwen 3 Coder"].parse(answer, (CITY,)).calls[0].values == {"city": "0150", "days": 2}


@pytest.mark.parametrize(
    ("name", "answer", "problem"),
    [
        ("Hermes", '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}', "its JSON is broken"),
        ("Hermes", '<tool_call>{"arguments": {}}</tool_call>', "it names no tool"),
        ("Hermes", '<tool_call>{"name": "weather", "arguments": [1]}</tool_call>', "are not an object"),
        ("Hermes", '{"name": "weather", "arguments": {"city": "Oslo"}}', "it is the JSON of a call"),
        ("Hermes", "<function=weather><parameter=city>Oslo", "it has <function="),
        ("Qwen 3 Coder", "<function=weather><parameter=city>Oslo", "are not closed"),
        ("Llama 3", '{"name": "weather", "parameters": {"city": ', "its JSON is broken"),
        ("LFM2", "<|tool_call_start|>[weather(city=open('x'))]<|tool_call_end|>", "is not a plain value"),
        ("Hermes", '<tool_call>{"name": "weather", "arguments": {"days": NaN}}</tool_call>', "NaN is no JSON"),
    ],
)
def test_a_broken_call_says_what_is_wrong(name: str, answer: str, problem: str) -> None:
    found = NAMED[name].parse(answer, (CITY,))
    assert problem in found.problem
    assert not found.calls
    assert found.content == answer.strip()


@pytest.mark.parametrize("answer", ['{"city": "Oslo", "temperature": 3}', "[1, 2]", "{ not json", "Oslo", ""])
def test_json_that_is_no_call_is_an_answer(answer: str) -> None:
    for form in (NAMED["Llama 3"], GENERIC):
        assert form.parse(answer, (CITY,)) == (answer, (), "")


@given(st.text() | st.text(alphabet="<>|[]{}=:\"'/tool_callfunctionx01 \n,"))
def test_no_text_breaks_a_parser(text: str) -> None:
    for form in FORMATS:
        form.parse(text, (CITY, VOLUME))


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.lists(st.booleans())))
def test_a_written_call_is_read_again(arguments: dict[str, object]) -> None:
    import json

    call = ToolCall("weather", json.dumps(arguments, ensure_ascii=False))
    found = NAMED["Hermes"].parse(write_call(call), (CITY,))
    assert [(one.name, one.values) for one in found.calls] == [("weather", arguments)]


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    deep = "[" * 100_000
    assert NAMED["Hermes"].parse("<tool_call>" + deep, ()).problem
    assert NAMED["Gemma 4"].parse("<|tool_call>call:f{a:" + deep, ()).problem
    assert NAMED["LFM2"].parse("<|tool_call_start|>" + deep, ()).problem


def test_a_template_that_writes_no_calls_has_the_form_of_hermes() -> None:
    assert choose_format(ChatTemplate(CHATML)).name == "Hermes"


# --- llama.cpp's own templates and tests ------------------------------------------------------------------------------

SDIST = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
TEMPLATES = SDIST / "vendor/llama.cpp/models/templates"
needs_sdist = pytest.mark.skipif(not TEMPLATES.is_dir(), reason="LLAMA_CPP_SDIST names no unpacked source distribution")
CHOSEN = {
    "Qwen-Qwen2.5-7B-Instruct": "Hermes",
    "Qwen-Qwen3-0.6B": "Hermes",
    "Qwen3-Coder": "Qwen 3 Coder",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "Hermes",
    "meta-llama-Llama-3.1-8B-Instruct": "Llama 3",
    "meta-llama-Llama-3.2-3B-Instruct": "Llama 3",
    "mistralai-Mistral-Nemo-Instruct-2407": "Mistral",
    "Mistral-Small-3.2-24B-Instruct-2506": "Mistral",
    "meetkai-functionary-medium-v3.1": "Functionary 3.1",
    "meetkai-functionary-medium-v3.2": "Functionary 3.2",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "Command R7B",
    "CohereForAI-c4ai-command-r-plus-tool_use": "Command R+",
    "deepseek-ai-DeepSeek-V3.1": "DeepSeek",
    "deepseek-ai-DeepSeek-V3.2": "DeepSeek DSML",
    "google-gemma-4-31B-it": "Gemma 4",
    "ibm-granite-granite-3.3-2B-Instruct": "Granite",
    "ibm-granite-granite-4.0": "Hermes",
    "openai-gpt-oss-120b": "harmony",
    "GLM-4.6": "GLM",
    "Kimi-K2-Instruct": "Kimi K2",
    "LFM2-8B-A1B": "LFM2",
    "microsoft-Phi-3.5-mini-instruct": "Hermes",
}
KNOWN = {"Kimi-K3": 1, "MiniMax-M3": 1}
"""Cases that are read otherwise: a call that llama.cpp takes for none, and markup inside a text that may be no markup."""  # noqa: E501


def open_template(name: str) -> ChatTemplate:
    source = (TEMPLATES / f"{name}.jinja").read_text("utf-8")
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})


@needs_sdist
@pytest.mark.parametrize("name", CHOSEN)
def test_the_form_is_that_of_the_template(name: str) -> None:
    assert choose_format(open_template(name)).name == CHOSEN[name]


@needs_sdist
def test_calls_are_read_as_llama_cpp_reads_them() -> None:
    cases = read_cases(SDIST)
    assert len(cases) > 150
    wrong = [case for case in cases if not _reads(case)]
    assert {case.template: [one.template for one in wrong].count(case.template) for case in wrong} == KNOWN


def _reads(case: LlamaCppCase) -> bool:
    template = open_template(case.template)
    form = read_format(template)
    closing = next((pair.closing for pair in form.tags if pair.closing in case.text), None)
    thinking = ThinkingFilter(closing, form) if closing and not closing.startswith("<|end|>") else None
    parts = [*thinking.feed(case.text), *thinking.flush()] if thinking else []
    answer = "".join(part.text for part in parts if not part.thinking) if thinking else case.text
    found = choose_format(template).parse(answer, case.tools)
    return tuple((call.name, call.values) for call in found.calls) == case.calls
