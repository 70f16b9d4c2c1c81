"""PromptPicker: the prompts of the library, searched by words, tags and scores. Dismissed as a Picker is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

from textual import work

from workbench.analysis.prompt_scores import PromptScore, describe_score
from workbench.errors import WorkbenchError
from workbench.library.library import PromptEntry
from workbench.library.search import parse_query
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.picker import Picker, PickerCommand, PickerRow

_ORIGINS = {"own": "", "shared": "another folder", "shipped": "shipped"}


class PromptPicker(Picker):
    """The scores may come later than the prompts: they are shown once they are there."""

    PLACEHOLDER = "words, tag:routing, score>=0.8"

    def __init__(
        self,
        title: str,
        entries: Sequence[PromptEntry],
        scores: Future[dict[str, PromptScore]],
        empty: str,
        commands: Sequence[PickerCommand] = (),
        current: str = "",
    ) -> None:
        super().__init__(title, [_make_row(entry) for entry in entries], empty, commands, current)
        self._entries = {entry.name: entry for entry in entries}
        self._coming = scores
        self._scores: dict[str, PromptScore] = {}

    def on_mount(self) -> None:
        super().on_mount()
        self._show_scores()

    @work(exclusive=True)
    async def _show_scores(self) -> None:
        try:
            scores = await asyncio.wrap_future(self._coming)
        except WorkbenchError:
            return  # the prompts can be chosen all the same
        if scores and is_open(self):
            self._scores = scores
            self._choices = tuple(_make_row(entry, scores.get(entry.name)) for entry in self._entries.values())
            self.refill()

    def find(self, words: Sequence[str]) -> list[PickerRow]:
        """The rows that the query asks for."""
        query = parse_query(" ".join(words), typing=True)
        values = {name: score.value for name, score in self._scores.items()}
        return [row for row in self._choices if query.matches(self._entries[row.id], values.get(row.id))]

    def list_words(self, query: str) -> list[str]:
        """Those of the query that are looked for in texts."""
        return list(parse_query(query, typing=True).words)


def _make_row(entry: PromptEntry, score: PromptScore | None = None) -> PickerRow:
    notes = [entry.description, describe_score(score) if score else "", _ORIGINS[entry.origin]]
    tags = " ".join(f"#{tag}" for tag in entry.tags)
    return PickerRow(entry.name, entry.name, " · ".join(filter(None, [*notes, tags])), entry.text)
