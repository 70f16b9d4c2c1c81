"""The final text's segments to token ids, pictures among them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workbench.errors import EngineError
from workbench.inference.picture_tokens import PictureChunk, PictureEncoder, PictureSpan
from workbench.inference.types import ShownPicture
from workbench.inference.vocabulary import Vocabulary
from workbench.prompting.chat_template import TextSegment
from workbench.prompting.pictures import Picture


class PromptTokens(NamedTuple):
    """Token ids of a prompt. spans: where the embeddings of pictures stand. ranges: each picture's first id and how
    many it has, by its mark."""

    ids: list[int]
    spans: tuple[PictureSpan, ...] = ()
    ranges: Mapping[str, tuple[int, int]] = {}

    def moved(self, ids: list[int]) -> PromptTokens:
        """The same behind further ids that stand in front."""
        by = len(ids) - len(self.ids)
        spans = tuple(PictureSpan(start + by, chunk) for start, chunk in self.spans)
        return PromptTokens(ids, spans, {mark: (start + by, count) for mark, (start, count) in self.ranges.items()})

    def show(self, marks: Mapping[str, Picture]) -> tuple[ShownPicture, ...]:
        """The pictures, in the order in which they stand in the ids."""
        shown = []
        for mark, (start, count) in sorted(self.ranges.items(), key=lambda item: item[1]):
            size = marks[mark].size
            width, height = (size.width, size.height) if size else (0, 0)
            shown.append(ShownPicture(marks[mark].name, width, height, start, count))
        return tuple(shown)


class SegmentTokenizer:
    """completes_template: put the model's beginning-of-text token before a chat that begins otherwise. pictures: None
    for a model that sees none."""

    def __init__(self, vocabulary: Vocabulary, pictures: PictureEncoder | None, completes_template: bool) -> None:
        self._vocabulary = vocabulary
        self._pictures = pictures
        self._completes_template = completes_template

    def tokenize(
        self, segments: Sequence[TextSegment], mode: str, marks: Mapping[str, Picture] | None = None
    ) -> PromptTokens:
        """A whole prompt's. marks: its pictures, by the characters that stand for them in the text.

        Raises EngineError for pictures that the model cannot see.
        """
        tokens = self._read(segments, marks or {})
        if self._completes_template or mode == "completion":
            return tokens.moved(self._vocabulary.begin(tokens.ids))
        return tokens

    def _read(self, segments: Sequence[TextSegment], marks: Mapping[str, Picture]) -> PromptTokens:
        ids: list[int] = []
        spans: list[PictureSpan] = []
        ranges: dict[str, tuple[int, int]] = {}
        for segment in segments:
            for text in _split_at(segment.text, marks):
                if text in marks:
                    start = len(ids)
                    self._add_picture(marks[text], ids, spans)
                    ranges[text] = start, len(ids) - start
                elif text:
                    tokenize = self._vocabulary.continue_text if ids else self._vocabulary.tokenize
                    ids += tokenize(text, not segment.literal)
        return PromptTokens(ids, tuple(spans), ranges)

    def _add_picture(self, picture: Picture, ids: list[int], spans: list[PictureSpan]) -> None:
        if self._pictures is None:
            raise EngineError("This model cannot be shown pictures.", "Choose a model that sees.")
        for part in self._pictures.encode(picture).parts:
            if isinstance(part, PictureChunk):
                spans.append(PictureSpan(len(ids), part))
                ids += part.ids
            else:
                ids += part


def _split_at(text: str, marks: Mapping[str, object]) -> list[str]:
    """The text in pieces, each mark one of its own."""
    return re.split(f"([{''.join(marks)}])", text) if marks else [text]
