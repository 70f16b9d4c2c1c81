"""Every message's text is in the prompt, or its loss is said: over templates of our own with the quirks of real ones,
and over the real ones where an unpacked source distribution of llama-cpp-python is at hand.

LLAMA_CPP_SDIST names that folder, the one that `vendor` is in, or one that holds the templates themselves.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conversations import CONVERSATIONS

from workbench.errors import TemplateError
from workbench.prompting.chat_template import ChatTemplate, RenderedChat
from workbench.prompting.prompt import Message

NAMES = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

_TURN = "{{ '<|' ~ m.role ~ '|>' ~ m.content ~ '<|end|>' }}"
_OPEN = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
QUIRKS = {
    "plain": f"{{% for m in messages %}}{_TURN}{{% endfor %}}{_OPEN}",
    # as Phi-3-mini and Orion: only two roles are known
    "drops system": f"{{% for m in messages if m.role in ('user', 'assistant') %}}{_TURN}{{% endfor %}}{_OPEN}",
    # as a dozen others: the first message may be the system's, later ones are passed over
    "one system": "{% if messages[0].role == 'system' %}<sys>{{ messages[0].content }}</sys>{% endif %}"
    f"{{% for m in messages if m.role != 'system' %}}{_TURN}{{% endfor %}}{_OPEN}",
    # as SmolVLM and LLaVA: contents are lists of typed parts
    "typed parts": "{% for m in messages %}<|{{ m.role }}|>{% for part in m.content %}{% if part.type == 'text' %}"
    f"{{{{ part.text }}}}{{% endif %}}{{% endfor %}}<|end|>{{% endfor %}}{_OPEN}",
    # as R1 and V3.1: reasoning is cut out of every answer, a begun one too
    "cuts reasoning": "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
    # as Mistral-Nemo: the system message stands in the last turn, if that is the user's
    "system in the last turn": "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set rest = "
    "messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if m.role == 'user' %}[INST]"
    "{% if loop.last and s is defined %}{{ s }}\n\n{% endif %}{{ m.content }}[/INST]{% elif m.role == 'assistant' %}"
    "{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
    # as Gemma: a system message is refused, turns alternate
    "refuses system": "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    f"<{{{{ m.role }}}}>{{{{ m.content | trim }}}}</>{{% endfor %}}{_OPEN}",
    # as RWKV: empty lines inside a text are taken out
    "squeezes lines": "{% for m in messages %}{{ m.role }}: {{ m.content.replace('\n\n', '\n') }}\n\n{% endfor %}",
    "as json": "{% for m in messages %}{{ {'role': m.role, 'text': m.content} | tojson }}\n{% endfor %}",
    "drops everything": "Hello!",
    "drops answers": f"{{% for m in messages if m.role != 'assistant' %}}{_TURN}{{% endfor %}}{_OPEN}",
}


def find_templates() -> list[Path]:
    folder = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
    places = (folder / "vendor/llama.cpp/models/templates", folder)
    return next((found for index in places if (found := sorted(index.glob("*.jinja")))), [])


REAL = find_templates()
NEED_MORE = {"c4ai-command-r-plus-tool_use", "Hermes-2-Pro", "Hermes-3", "firefunction"}
"""Templates that fail without tools, in transformers as here; that is said."""


def check(messages: tuple[Message, ...], found: RenderedChat) -> None:
    """Each text is in the prompt, in so many places as it was written, or it is among the losses, and they are said."""
    lost = {loss.position for loss in found.losses}
    for index, message in enumerate(messages):
        content = message.content.strip()
        spelled = json.dumps(content, ensure_ascii=False)[1:-1]
        assert index in lost or content in found.text or spelled in found.text, message
    assert bool(found.losses) <= bool(found.notes)


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_text_arrives_or_its_loss_is_said(quirk: str, name: str) -> None:
    check(CONVERSATIONS[name], ChatTemplate(QUIRKS[quirk], NAMES).render(CONVERSATIONS[name]))


@pytest.mark.skipif(not REAL, reason="LLAMA_CPP_SDIST names no unpacked source distribution of llama-cpp-python")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_templates_drop_nothing_in_silence(path: Path) -> None:
    template = ChatTemplate(path.read_text("utf-8"), NAMES)
    for messages in CONVERSATIONS.values():
        try:
            found = template.render(messages)
        except TemplateError:
            assert any(part in path.stem for part in NEED_MORE)
            continue
        check(messages, found)
        kinds = {(loss.role, loss.kind) for loss in found.losses}
        assert kinds <= {("assistant", "reasoning")}, messages  # all others can be repaired


def test_a_system_message_that_would_be_dropped_stands_before_the_first_user_message() -> None:
    found = ChatTemplate(QUIRKS["drops system"], NAMES).render(CONVERSATIONS["system"])
    assert found.text == "<|user|>Zephyr rules: be terse.\n\nWhere does the ferry dock?<|end|><|assistant|>"
    assert found.notes == (
        "The model's chat template takes no system message: it is put before the first user message.",
    )


def test_a_system_message_that_the_user_repeats_is_missed_all_the_same() -> None:
    template = ChatTemplate(QUIRKS["drops system"], NAMES)
    found = template.render([Message("system", "Hi"), Message("user", "Hi there")])
    assert "Hi\n\nHi there" in found.text


def test_a_later_system_message_stands_before_the_user_message_behind_it() -> None:
    found = ChatTemplate(QUIRKS["one system"], NAMES).render(CONVERSATIONS["later system"])
    assert "<sys>Zephyr rules: be terse.</sys>" in found.text
    assert "<|user|>Quill rules: cite pages.\n\n  And the" in found.text
    assert found.notes == (
        "The model's chat template takes no later system message: it is put before the user message behind it.",
    )


def test_system_messages_at_the_beginning_are_joined_where_one_is_taken() -> None:
    found = ChatTemplate(QUIRKS["one system"], NAMES).render(CONVERSATIONS["two systems"])
    assert "<sys>Zephyr rules: be terse.\n\nQuill rules: cite pages.</sys>" in found.text
    assert found.notes == ("The model's chat template takes one system message: the 2 at the beginning are joined.",)


def test_a_template_that_wants_typed_parts_is_given_them() -> None:
    found = ChatTemplate(QUIRKS["typed parts"], NAMES).render(CONVERSATIONS["system and prefill"])
    assert found.text.endswith("<|user|>Where does the ferry dock?<|end|><|assistant|>At pier seven.")
    assert found.repair.typed
    assert not found.notes


def test_a_begun_answer_keeps_its_reasoning_and_does_not_open_it_twice() -> None:
    found = ChatTemplate(QUIRKS["cuts reasoning"], NAMES).render(CONVERSATIONS["prefilled reasoning"])
    assert found.text.endswith("<|assistant|><think>\nSeven, I was told.\n</think>\n\nSev")
    assert found.text.count("<think>") == 1
    assert not found.losses


def test_a_begun_answer_behind_an_opened_reasoning_block_takes_its_place() -> None:
    source = QUIRKS["drops answers"].replace("<|assistant|>{%", "<|assistant|><think>\n{%")
    found = ChatTemplate(source, NAMES).render(CONVERSATIONS["prefill"])
    assert found.text.endswith("<|assistant|>At pier seven.")
    inside = ChatTemplate(source, NAMES).render([Message("user", "Hm?"), Message("assistant", "so</think>\n\nYes")])
    assert inside.text.endswith("<|assistant|><think>\nso</think>\n\nYes")


def test_reasoning_that_a_template_cuts_out_of_earlier_answers_is_said() -> None:
    found = ChatTemplate(QUIRKS["cuts reasoning"], NAMES).render(CONVERSATIONS["reasoning in shots"])
    assert found.notes == ("The model's chat template leaves out the reasoning in an assistant message.",)


def test_what_no_repair_brings_into_the_text_is_counted_by_role() -> None:
    found = ChatTemplate(QUIRKS["drops everything"], NAMES).render(CONVERSATIONS["system and shots"])
    assert set(found.notes) >= {
        "The model's chat template leaves out 3 user messages.",
        "The model's chat template leaves out 2 assistant messages.",
    }


def test_white_space_that_a_template_changes_is_said() -> None:
    found = ChatTemplate(QUIRKS["squeezes lines"], NAMES).render(CONVERSATIONS["shots"])
    assert found.notes == ("The model's chat template changes white space inside a user message.",)


def test_a_lone_system_message_that_would_vanish_is_sent_as_the_users() -> None:
    found = ChatTemplate(QUIRKS["drops system"], NAMES).render(CONVERSATIONS["lone system"])
    assert found.text == "<|user|>Zephyr rules: be terse.<|end|><|assistant|>"
    assert found.notes == ("The model's chat template drops a system message by itself: it is sent as a user message.",)


def test_variables_reach_the_template_and_a_date_is_todays() -> None:
    source = "{{ reasoning_effort }} {{ tools[0].name }} {{ strftime_now('%d %b %Y') }}"
    variables = {"reasoning_effort": "low", "tools": [{"name": "look_up"}], "date": "2026-11-30"}
    assert ChatTemplate(source, NAMES, variables).render(()).text == "low look_up 30 Nov 2026"


def test_a_date_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="'soon'"):
        ChatTemplate("{{ strftime_now('%d') }}", NAMES, {"date": "soon"}).render(())
