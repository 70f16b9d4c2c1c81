"""Which requests begin alike, so that a server evaluates their common beginning once."""

from __future__ import annotations

from collections import OrderedDict

from workbench.inference.types import GenerateRequest
from workbench.prompting.prompt_parts import shared_length

_LEAST = 200
"""Characters that are worth waiting for."""

_SHARE = 0.5
"""Of a request's text that has to be common."""

_REMEMBERED = 64


class PrefixGroups:
    """Groups are found by the texts themselves: the first of them is what later ones are compared with."""

    def __init__(self) -> None:
        self._texts: OrderedDict[int, tuple[object, str]] = OrderedDict()
        self._next = 0

    def find(self, request: GenerateRequest) -> int | None:
        """The number of the request's group; None for one that is too short to have any."""
        text = "\0".join(f"{message.role}\0{message.content}" for message in request.messages)
        if len(text) < _LEAST:
            return None
        kind = (request.mode, request.adapters, request.chat_template_kwargs)
        best, longest = None, max(_LEAST, int(len(text) * _SHARE)) - 1
        for number, (other_kind, other) in self._texts.items():
            if other_kind != kind or not other.startswith(text[:_LEAST]):
                continue
            if (shared := shared_length(text, other)) > longest:
                best, longest = number, shared
        if best is None:
            best, self._next = self._next, self._next + 1
            self._texts[best] = (kind, text)
            while len(self._texts) > _REMEMBERED:
                self._texts.popitem(last=False)
        self._texts.move_to_end(best)
        return best
