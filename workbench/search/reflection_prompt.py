"""What a reflector is asked: the instruction, what came of it on some cases of the train split, and the rules."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.prompting.prompt import Message
from workbench.search.feedback import CaseFeedback
from workbench.search.instruction_text import choose_fence, find_tags

_LONGEST_TEXT = 600
_LONGEST_EXPLANATION = 400


def write_reflection(
    instruction: str,
    feedback: Sequence[CaseFeedback],
    inputs: Sequence[str],
    form: str = "",
    required: Sequence[str] = (),
    most_characters: int = 0,
) -> tuple[Message, ...]:
    """inputs: the variables that are shown of a case. form: how answers have to look.

    required: texts that have to stay. most_characters: that the instruction may have; 0: any number.
    """
    cases = "\n\n".join(_show(number, one, inputs) for number, one in enumerate(feedback, 1))
    rules = "\n".join(f"- {rule}" for rule in _list_rules(instruction, form, required, most_characters))
    fence = choose_fence(instruction)
    text = (
        "A language model follows the instruction below for every input. Write a better instruction for it.\n\n"
        f"The instruction now:\n{fence}\n{instruction}\n{fence}\n\n"
        f"What the model answered to {len(feedback)} inputs, and how the answers were scored:\n\n{cases}\n\n"
        "Find out what the wrong answers have in common and what the instruction does not say: rules of the task, what"
        " each answer stands for, the form of the answer. Write them as general rules that hold for new inputs.\n\n"
        f"Keep to this:\n{rules}\n\n"
        "Say in one or two sentences what is wrong. Then give the whole new instruction between two lines of"
        f" {len(fence)} backticks ({fence}), and nothing after it."
    )
    return (Message("user", text),)


def _list_rules(instruction: str, form: str, required: Sequence[str], most_characters: int) -> list[str]:
    tags = find_tags(instruction)
    rules = ["Do not copy whole inputs or answers from above into the instruction."]
    if tags:
        rules.append(f"Keep these exactly as they are, once each: {', '.join(tags)}")
    rules.append("Write no other text in double braces, and no line that is only `system:`, `user:` or `assistant:`.")
    if form:
        rules.append(f"The answers keep their form: {form}")
    if required:
        rules.append(f"These words stay in the instruction: {', '.join(required)}")
    if most_characters:
        rules.append(f"Use at most {most_characters:,} characters.")
    return rules


def _show(number: int, one: CaseFeedback, inputs: Sequence[str]) -> str:
    shown = "\n".join(f"{name}: {_cut(one.case.variables[name])}" for name in inputs if name in one.case.variables)
    result = one.result
    lines = [f"Input {number}", shown, f"Answer: {_cut(result.text) if result.text.strip() else '(empty)'}"]
    if one.case.expected is not None:
        lines.append(f"Expected: {_cut(one.case.expected)}")
    remark = result.error or result.explanation
    if remark:
        lines.append(f"Scorer: {_cut(remark, _LONGEST_EXPLANATION)}")
    return "\n".join(lines)


def _cut(text: str, most: int = _LONGEST_TEXT) -> str:
    """The text on as few lines as it has, without fences that would end the reflector's own; a long one's beginning."""
    bare = text.strip().replace("```", "'''")
    return bare if len(bare) <= most else f"{bare[:most]} … ({len(bare) - most:,} characters more)"
