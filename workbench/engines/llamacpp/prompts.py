"""Requests to token ids: the model's chat template laid around messages, or their text as it is.

Knows nothing of sampling or rows.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from workbench.engines.engine import Request
from workbench.engines.llamacpp.vocabulary import Vocabulary
from workbench.engines.llamacpp.weights import Weights
from workbench.models.reference import Model
from workbench.prompting.chat import CHATML, PLAIN, PLAIN_STOP, ChatTemplate, Segment, render_segments

_REMEMBERED = 256


class Prompts:
    """The way from a request to what the model reads. stops: stop strings that come with the template."""

    def __init__(self, model: Model, weights: Weights, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._known: dict[bytes, tuple[str, list[int]]] = {}
        own = model.chat_template or weights.read_text("tokenizer.chat_template")
        chatml = vocabulary.has("<|im_start|>", "<|im_end|>")
        self._source = own or (CHATML if chatml else PLAIN)
        self.stops = (PLAIN_STOP,) if self._source == PLAIN else ()

    def read(self, request: Request) -> tuple[str, list[int]]:
        """The final text and its token ids; remembered, since a prompt is counted, shown and run.

        Raises TemplateError.
        """
        key = msgspec.msgpack.encode((request.mode, request.messages))
        if key not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            segments = self._lay_out(request)
            ids = self._vocabulary.begin(self._tokenize(segments))
            self._known[key] = "".join(segment.text for segment in segments), ids
        return self._known[key]

    def _lay_out(self, request: Request) -> tuple[Segment, ...]:
        if request.mode == "completion":
            return (Segment("".join(message.content for message in request.messages)),)
        if not request.messages:
            return ()
        return render_segments(self._template, request.messages, self._vocabulary.control)

    def _tokenize(self, segments: Sequence[Segment]) -> list[int]:
        ids: list[int] = []
        for segment in segments:
            tokenize = self._vocabulary.continue_text if ids else self._vocabulary.tokenize
            ids += tokenize(segment.text, not segment.literal)
        return ids

    @functools.cached_property
    def _template(self) -> ChatTemplate:
        """Compiled when it is first needed: a broken one still leaves completion mode."""
        names = (self._vocabulary.text(self._vocabulary.bos), self._vocabulary.text(self._vocabulary.eos))
        return ChatTemplate(self._source, *names)
