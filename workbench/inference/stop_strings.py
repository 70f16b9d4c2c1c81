"""Stop strings in a stream: what may still become one is held back until it is known."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text on up to the first stop string, which itself is not passed on."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        lengths = range(max(map(len, self._stops), default=1) - 1, 0, -1)
        begun = [tuple({stop[:length] for stop in self._stops if len(stop) > length}) for length in lengths]
        self._begun = tuple(zip(lengths, begun, strict=True))
        self._any_begun = tuple(start for starts in begun for start in starts)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is certain now. After a stop string was found (`stopped`), nothing more."""
        if self.stopped:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        starts = [start for stop in self._stops if (start := text.find(stop)) >= 0]
        if starts:
            self.stopped, self._held = True, ""
            return text[: min(starts)]
        kept = self._overlap(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def flush(self) -> str:
        """What was held back and turned out to be text, at the end of the stream."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, text: str) -> int:
        """Length of the longest end of `text` with which a stop string begins."""
        if not text.endswith(self._any_begun):  # nearly always, and in one call
            return 0
        return next(length for length, starts in self._begun if text.endswith(starts))
