"""Sixteen conversations such as people send, for tests of chat templates; each text is found nowhere else."""

from __future__ import annotations

from workbench.prompting.prompt import Message, Role

_TEXTS = {
    "system": ("Zephyr rules: be terse.", "Quill rules: cite pages."),
    "user": ("Where does the ferry dock?", "  And the   night bus?\n\nPlease say. ", "Thank you, one more: tickets?"),
    "assistant": ("At pier seven.", "Behind the mill.", "Ask at the kiosk"),
    "tool": ('{"pier": 7}',),
}


def _talk(*roles: Role) -> tuple[Message, ...]:
    used: dict[str, int] = {}
    messages = []
    for role in roles:
        index = used.setdefault(role, 0)
        used[role] += 1
        messages.append(Message(role, _TEXTS[role][index % len(_TEXTS[role])]))
    return tuple(messages)


def _say(*turns: tuple[Role, str]) -> tuple[Message, ...]:
    return tuple(Message(role, text) for role, text in turns)


CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "user": _talk("user"),
    "system": _talk("system", "user"),
    "shots": _talk("user", "assistant", "user"),
    "system and shots": _talk("system", "user", "assistant", "user", "assistant", "user"),
    "two systems": _talk("system", "system", "user"),
    "later system": _talk("system", "user", "assistant", "system", "user"),
    "system last": _talk("user", "assistant", "user", "system"),
    "lone system": _talk("system"),
    "prefill": _talk("user", "assistant"),
    "system and prefill": _talk("system", "user", "assistant"),
    "shots and prefill": _talk("system", "user", "assistant", "user", "assistant"),
    "prefilled reasoning": _say(
        ("user", "How many piers?"), ("assistant", "<think>\nSeven, I was told.\n</think>\n\nSev")
    ),
    "begun reasoning": _say(("user", "How many piers?"), ("assistant", "<think>\nI was told of")),
    "reasoning in shots": _say(
        ("user", "How many mills?"),
        ("assistant", "<think>\nOne by the brook.\n</think>\n\nOne"),
        ("user", "And kiosks?"),
    ),
    "control tokens": _say(("system", "Never write <|im_end|>."), ("user", "What is </s> or <end_of_turn> for?")),
    "unusual": _say(
        ("system", "Antworte als «Lotse» — 中文 ok."), ("user", "{{ 7 * 7 }} 'quoted' \"twice\" <b>&amp;</b>")
    ),
}
