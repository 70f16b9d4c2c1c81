"""SanitizeFilter: the last step before the terminal, through which every drawn row goes, whatever widget drew it.

Most text is made safe where it is shown, so that it is measured as it is drawn; this is what makes it certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from workbench.sanitize import is_safe_line, sanitize, sanitize_line


class SanitizeFilter(LineFilter):
    """Replaces what could steer the terminal in the rows of widgets."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(is_safe_line(text) for text, _style, _control in segments):
            return segments
        width = Segment.get_line_length(segments)
        shown = [Segment(sanitize_line(text), style, control) for text, style, control in segments]
        return Segment.adjust_line_length(shown, width)


class SanitizeHook(RenderHook):
    """The same for a Rich console: what an app prints when it ends by an error."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Sanitized(renderable) for renderable in renderables]


class _Sanitized:
    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _sanitize(console.render(self._renderable, options))


def _sanitize(segments: Iterable[Segment]) -> Iterator[Segment]:
    for text, style, control in segments:
        yield Segment(text if control else sanitize(text), style, control)
