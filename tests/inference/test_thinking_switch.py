"""Thinking switched on and off: by the template's own variables, else by the tags that it frames reasoning with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_reasoning import HARMONY, OPENED, PLAIN, SEED, Pieces

from workbench.errors import EngineError
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.scheduling.sampling import choose_token
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.types import Chunk, Completion, GenerateRequest, LoglikelihoodRequest, Sampling, fold
from workbench.prompting.prompt import Message

LOOP = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>"
QWEN = (
    LOOP
    + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
GRANITE = LOOP + "{% if thinking %}[think first]{% endif %}{% endif %}"
EFFORT = LOOP + "{{ reasoning_effort }}{{ thinking_budget }}{% endif %}"
R1 = LOOP + "<think>\n{% endif %}"


def read(source: str, *messages: Message, mode: Any = "chat", **sampling: Any) -> str:
    asked = messages or (Message("user", "Hm?"),)
    return PromptEncoder(Pieces(), source).read(GenerateRequest(1, asked, Sampling(**sampling), mode))[0]


@pytest.mark.parametrize(
    ("source", "sampling", "end"),
    [
        (QWEN, {}, "<a>"),
        (QWEN, {"thinking": "off"}, "<a><think>\n\n</think>\n\n"),
        (QWEN, {"thinking": "on"}, "<a>"),
        (GRANITE, {"thinking": "on"}, "[think first]"),
        (GRANITE, {"thinking": "off"}, "<a>"),
        (EFFORT, {"reasoning_effort": "low", "thinking_budget": 7}, "<a>low7"),
        (EFFORT, {"thinking": "off"}, "<a>0"),
        (R1, {}, "<a><think>\n"),
        (R1, {"thinking": "on"}, "<a><think>\n"),
        (R1, {"thinking": "off"}, "<a><think>\n\n</think>\n\n"),
        (OPENED, {"thinking": "off"}, "<a><think>\n\n</think>\n\n"),
        (SEED, {"thinking": "on"}, "<bos>assistant\n<seed:think>"),
        (SEED, {"thinking": "off"}, "<bos>assistant\n<seed:think></seed:think>\n"),
        (HARMONY, {"thinking": "on"}, "<|start|>assistant<|channel|>analysis<|message|>"),
        (
            HARMONY,
            {"thinking": "off"},
            "<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        (PLAIN, {"thinking": "off"}, "<a>"),
    ],
)
def test_a_prompt_ends_as_the_model_is_told_to_think(source: str, sampling: dict[str, Any], end: str) -> None:
    assert read(source, **sampling).endswith(end)


@pytest.mark.parametrize(
    ("source", "sampling", "named"),
    [
        (PLAIN, {"thinking": "on"}, "thinking is on"),
        (QWEN, {"reasoning_effort": "low"}, "reasoning_effort is low"),
        (QWEN, {"thinking": "off", "mode": "completion"}, "thinking is off"),
    ],
)
def test_what_a_model_cannot_be_told_is_refused_by_name(source: str, sampling: dict[str, Any], named: str) -> None:
    with pytest.raises(EngineError, match=named):
        read(source, **sampling)


def test_a_loglikelihood_reads_the_same_prompt_as_an_answer() -> None:
    request = LoglikelihoodRequest(1, (Message("user", "Hm?"),), ("7",), thinking="off").request
    assert PromptEncoder(Pieces(), R1).read(request)[0].endswith("<think>\n\n</think>\n\n")


def test_a_begun_answer_is_continued_as_it_is() -> None:
    assert read(OPENED, Message("user", "Hm?"), Message("assistant", "It is"), thinking="off").endswith("It is")


def test_past_thinking_is_dropped_from_earlier_turns_and_noted() -> None:
    talk = (Message("user", "a"), Message("assistant", "<think>why\n</think>\n\nyes"), Message("user", "b"))
    encoder, request = PromptEncoder(Pieces(), PLAIN), GenerateRequest(1, talk)
    assert encoder.read(request)[0] == "<user>a<assistant>yes<user>b<a>"
    assert encoder.notes(request) == ("Reasoning in earlier answers (1) is left out, as chat templates do.",)


def answer(source: str, wanted: str, **sampling: Any) -> tuple[Completion, list[Chunk]]:
    """What comes of a model that would write this, a token in each second."""
    vocabulary = Pieces("<|return|>" if source == HARMONY else "<end>")
    request = GenerateRequest(1, (Message("user", "Hm?"),), Sampling(max_tokens=200, **sampling))
    sequence = SequenceState(PromptEncoder(vocabulary, source).begin_answer(request, 0.0))
    now = [0.0]
    queue = SequenceQueue(vocabulary, 9999, lambda: now[0], lambda one, failed: queue.running.clear())
    queue.running.append(sequence)
    tokens = vocabulary.tokenize(wanted, special=True)
    events = []
    assert vocabulary.known_end is not None
    while queue.running:
        now[0] += 1
        logits = np.zeros(256, np.float32)
        logits[tokens[0] if tokens else vocabulary.known_end] = 9
        sequence.advance(len(sequence.pending))
        chosen = choose_token(sequence, logits, vocabulary)
        tokens = tokens[1:] if tokens and chosen == tokens[0] else tokens
        events += queue.write(sequence, chosen)
    chunks = [event for event in events if isinstance(event, Chunk)]
    return fold(chunks), chunks


def test_thinking_is_counted_and_timed_apart() -> None:
    completion, _ = answer(OPENED, "abc</think>yes")
    assert (completion.thinking, completion.text) == ("abc", "yes")
    assert completion.thinking_tokens == len("abc</think>")
    assert completion.seconds_to_first_token == 1
    assert completion.seconds_to_first_answer_token == len("abc</think>") + 1
    plain, _ = answer(PLAIN, "yes")
    assert (plain.thinking_tokens, plain.seconds_to_first_answer_token) == (0, 1)


@pytest.mark.parametrize("source", [OPENED, HARMONY])
@pytest.mark.parametrize("budget", [1, 4])
def test_a_budget_closes_reasoning_and_the_answer_comes(source: str, budget: int) -> None:
    begun = "" if source == OPENED else "<|channel|>analysis<|message|>"
    found, _ = answer(source, f"{begun}{'x' * 60}", thinking_budget=budget)
    assert found.text.startswith("x" * 30)
    assert len(found.thinking.strip()) <= budget
    assert found.thinking_tokens < 40
    assert "<" not in found.text + found.thinking


def test_reasoning_that_is_never_closed_is_the_answer_and_no_thinking() -> None:
    completion, _ = answer(OPENED, "just this")
    assert (completion.text, completion.thinking) == ("just this", "")
    assert (completion.thinking_tokens, completion.seconds_to_first_answer_token) == (0, 1)
