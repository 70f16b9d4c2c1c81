"""What is learned around an answer: the chat template's own frame, and a token that ends it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.errors import ModelError, TemplateError
from workbench.inference.answer_encoder import AnswerEncoder, EncodedConversation
from workbench.inference.answer_frame import read_frame
from workbench.inference.reasoning import read_format
from workbench.inference.types import GenerateRequest
from workbench.inference.vocabulary import Vocabulary
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message

LOOP = "{% for m in messages %}"
CLOSE = "{% endfor %}{% if add_generation_prompt %}"
TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
QUIRKS = {
    "chatml": (f"{LOOP}{TURN}{CLOSE}<|im_start|>assistant\n{{% endif %}}", "", "<|im_end|>\n"),
    "closes with nothing": (f"{LOOP}<{{{{ m.role }}}}>{{{{ m.content }}}}{CLOSE}<assistant>{{% endif %}}", "", "</s>"),
    "closes with white space": (
        f"{LOOP}{{{{ m.role }}}}: {{{{ m.content }}}}\n\n{CLOSE}assistant:{{% endif %}}",
        " ",
        "</s>",
    ),
    "closes with text": (
        f"{LOOP}<{{{{ m.role }}}}>{{{{ m.content }}}}</turn>{CLOSE}<assistant>{{% endif %}}",
        "",
        "</s>",
    ),
    "empty reasoning": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<|im_start|>assistant\n<think>\n\n</think>\n\n{{{{ m.content }}}}"
        f"<|im_end|>\n{{% else %}}{TURN}{{% endif %}}{CLOSE}<|im_start|>assistant\n{{% endif %}}",
        "<think>\n\n</think>\n\n",
        "<|im_end|>\n",
    ),
    "opens reasoning": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<A>{{{{ m.content.split('</think>')[-1] }}}}</s>{{% else %}}<U>"
        f"{{{{ m.content }}}}{{% endif %}}{CLOSE}<A><think>\n{{% endif %}}",
        "\n</think>\n\n",
        "</s>",
    ),
    "opens reasoning, answers behind its end": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<A></think>{{{{ m.content }}}}{{% else %}}<U>{{{{ m.content }}}}"
        f"{{% endif %}}{CLOSE}<A><think>{{% endif %}}",
        "</think>",
        "</s>",
    ),
    "answers inside open reasoning": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<A><think>\n{{{{ m.content }}}}\n<|im_end|>{{% else %}}<U>"
        f"{{{{ m.content }}}}{{% endif %}}{CLOSE}<A><think>\n{{% endif %}}",
        "\n</think>\n\n",
        "\n<|im_end|>",
    ),
    "ends an empty block": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<A></think>{{{{ m.content }}}}</s>{{% else %}}<U>{{{{ m.content }}}}"
        f"{{% endif %}}{CLOSE}<A><think></think>{{% endif %}}",
        "",
        "</s>",
    ),
    "channels": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<|start|>assistant<|channel|>final<|message|>{{{{ m.content }}}}"
        "<|return|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}"
        f"{CLOSE}<|start|>assistant{{% endif %}}",
        "<|channel|>final<|message|>",
        "<|return|>",
    ),
    "two ends": (f"{LOOP}{TURN}{CLOSE}<|im_start|>assistant\n{{% else %}}</s>{{% endif %}}", "", "<|im_end|>\n</s>"),
    "opens the next turn": (
        f"{LOOP}{{% if m.role != 'user' %}}<|start|>{{{{ m.role }}}}{{% endif %}}{{{{ m.content }}}}<|im_end|>"
        "{% endfor %}<|start|>assistant",
        "",
        "<|im_end|>",
    ),
}
"""Template, what is learned before an answer, and what behind it."""

CONTROLS = ("<|im_start|>", "<|im_end|>", "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "</s>")
ANSWERS = (
    "end",
    "d",
    "turn",
    "A",
    "im_end",
    "think",
    "final",
    "<|im_end|>",
    "</s> and on",
    "a\n\nb",
    "ünï €",
    "assistant:",
)


class LetterTokens(Vocabulary):
    """A token is a character's code point, or a control token from 9,000,000 on."""

    def __init__(self, eos: str = "</s>") -> None:
        self.named_end = 9_000_000 + CONTROLS.index(eos) if eos else None
        controls = {9_000_000 + place: text for place, text in enumerate(CONTROLS)}
        super().__init__(9_000_100, None, self.named_end, controls, False, {"eos_token": eos} if eos else {})

    def tokenize(self, text: str, special: bool) -> list[int]:
        ids: list[int] = []
        while text:
            control = next((one for one in CONTROLS if special and text.startswith(one)), "")
            ids.append(9_000_000 + CONTROLS.index(control) if control else ord(text[0]))
            text = text[len(control) or 1 :]
        return ids

    def token_to_bytes(self, token: int) -> bytes:
        return (CONTROLS[token - 9_000_000] if token >= 9_000_000 else chr(token)).encode()

    def ends(self, token: int) -> bool:
        return token == self.named_end or token in self._turn_ends


def finish(
    source: str | None, answer: str, eos: str = "</s>", mode: str = "chat", *messages: Message
) -> tuple[EncodedConversation, str]:
    """An answered prompt, and the text of what is learned."""
    vocabulary = LetterTokens(eos)
    asked = messages or (Message("system", "Be kind."), Message("user", "Where is the end of my turn?"))
    prompts = AnswerEncoder(vocabulary, source)
    request = GenerateRequest(0, asked, mode=mode)  # type: ignore[arg-type]
    made = prompts.finish(request, answer)
    assert made.ids[: made.asked] == prompts.read(request)[1], "the prompt is not what inference reads"
    assert vocabulary.ends(made.ids[made.end])
    assert not any(map(vocabulary.ends, made.ids[made.asked : made.end])), "an answer would end before its end"
    return made, b"".join(map(vocabulary.token_to_bytes, made.ids[made.asked :])).decode()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_an_answer_stands_between_what_the_template_lays_around_it(quirk: str, answer: str) -> None:
    source, opening, closing = QUIRKS[quirk]
    made, learned = finish(source, answer)
    assert learned == opening + answer + closing
    assert made.own_end == quirk.startswith(("closes with", "opens reasoning, answers"))


@pytest.mark.parametrize("quirk", QUIRKS)
def test_an_empty_answer_ends_at_once(quirk: str) -> None:
    source, opening, closing = QUIRKS[quirk]
    assert finish(source, "")[1] == opening + closing


@pytest.mark.parametrize(
    ("quirk", "answer", "learned"),
    [
        ("chatml", "<think>\nHm.\n</think>\n\nYes.", "<think>\nHm.\n</think>\n\nYes.<|im_end|>\n"),
        ("empty reasoning", "<think>\nHm.\n</think>\n\nYes.", "<think>\nHm.\n</think>\n\nYes.<|im_end|>\n"),
        ("opens reasoning", "<think>\nHm.\n</think>\n\nYes.", "Hm.\n</think>\n\nYes.</s>"),
        ("opens reasoning", "Hm.\n</think>\n\nYes.", "Hm.\n</think>\n\nYes.</s>"),
        ("opens reasoning, answers behind its end", "<think>Hm.</think>Yes.", "Hm.</think>Yes.</s>"),
        ("empty reasoning", "I think </think> so", "<think>\n\n</think>\n\nI think </think> so<|im_end|>\n"),
    ],
)
def test_an_answer_that_brings_its_reasoning_takes_the_place_of_the_empty_block(
    quirk: str, answer: str, learned: str
) -> None:
    assert finish(QUIRKS[quirk][0], answer)[1] == learned


def test_white_space_that_a_template_strips_is_told() -> None:
    source = QUIRKS["chatml"][0].replace("m.content", "m.content | trim")
    made, learned = finish(source, " yes\n")
    assert (learned, made.stripped) == ("yes<|im_end|>\n", True)
    made, learned = finish(QUIRKS["chatml"][0], " yes\n")
    assert (learned, made.stripped) == (" yes\n<|im_end|>\n", False)


def test_a_begun_answer_is_gone_on_with() -> None:
    turns = (Message("user", "Who?"), Message("assistant", "It is "))
    _, learned = finish(QUIRKS["chatml"][0], "me.", "</s>", "chat", *turns)
    assert learned == "me.<|im_end|>\n"


@pytest.mark.parametrize(("source", "mode"), [(None, "completion"), ("{{ messages[0].content }}", "completion")])
def test_a_prompt_without_a_template_ends_with_the_tokenizers_end(source: str | None, mode: str) -> None:
    made, learned = finish(source, " here", mode=mode)
    assert (learned, made.own_end) == (" here</s>", True)


def test_a_model_without_an_end_is_refused_with_the_reason() -> None:
    for source, mode, reason in (
        (QUIRKS["closes with nothing"][0], "chat", "the chat template closes an answer with none"),
        (None, "completion", "without a chat template there is none"),
    ):
        with pytest.raises(ModelError) as caught:
            finish(source, "here", "", mode)
        assert reason in caught.value.message
        assert "eos_token" in caught.value.hint
    assert finish(QUIRKS["chatml"][0], "here", "")[1] == "here<|im_end|>\n"


def find_templates() -> list[Path]:
    folder = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
    places = (folder / "vendor/llama.cpp/models/templates", folder)
    return next((found for place in places if (found := sorted(place.glob("*.jinja")))), [])


NO_ANSWER = ("c4ai-command-r-plus-tool_use", "Hermes-2-Pro", "Hermes-3", "firefunction")
"""Templates that fail without tools."""


@pytest.mark.skipif(not find_templates(), reason="LLAMA_CPP_SDIST names no unpacked source distribution")
@pytest.mark.parametrize("path", find_templates(), ids=lambda path: path.stem)
def test_every_real_template_is_learned_with_its_reasoning_closed_and_its_answer_whole(path: Path) -> None:
    template = ChatTemplate(path.read_text("utf-8"), {"bos_token": "<s>", "eos_token": "</s>"})
    form = read_format(template)
    try:
        frame = read_frame(template, [Message("system", ""), Message("user", "")], form)
    except TemplateError:
        assert any(name in path.stem for name in NO_ANSWER)
        return
    asked = template.render([Message("system", "S"), Message("user", "U")]).text
    before = asked + frame.opening
    assert form.find_open(before) is None, "the answer would be taken for reasoning"
    assert before.count("</think>") <= max(before.count("<think>"), 1)
    closed = template.render(
        [Message("system", "S"), Message("user", "U"), Message("assistant", "Yes")], closed=True
    ).text
    assert closed.endswith(f"Yes{frame.closing}")
    if not frame.parts and not frame.open:
        assert closed == f"{before}Yes{frame.closing}"
