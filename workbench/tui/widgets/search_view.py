"""SearchView: lineage on the left, the change against the parent in the middle, gained and lost cases on the right."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll

from workbench.search.candidate import Candidate
from workbench.search.state import SearchState
from workbench.tui.search_text import LineageRow, describe_cases, describe_change, describe_row, list_lineage
from workbench.tui.widgets.plain import Option, OptionList, Static, plain_line


class SearchView(Horizontal):
    """The cursor follows the best candidate until a person moves it."""

    def __init__(self) -> None:
        super().__init__(id="optimize-columns")
        self.list = OptionList(id="optimize-lineage")
        self._rows: dict[str, LineageRow] = {}
        self._state = SearchState()
        self._whole = True
        self._follows = True
        self._drawn: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        yield self.list
        with VerticalScroll(id="optimize-change"):
            yield Static(id="optimize-diff")
        with VerticalScroll(id="optimize-cases"):
            yield Static(id="optimize-gains")

    @property
    def highlighted_row(self) -> LineageRow | None:
        """The candidate under the cursor."""
        at = self.list.highlighted
        id = self.list.get_option_at_index(at).id if at is not None else None
        return self._rows.get(id or "")

    @property
    def candidate(self) -> Candidate | None:
        """The same, unless it was refused."""
        row = self.highlighted_row
        return row.candidate if row is not None and row.refused is None else None

    def toggle_whole(self) -> bool:
        """Show refused and dropped candidates, or hide them; whether they are shown now."""
        self._whole = not self._whole
        self.show(self._state)
        return self._whole

    def show(self, state: SearchState) -> None:
        """Show a search as it is now."""
        row = self.highlighted_row
        if state is not self._state:
            self._follows = True
        self._state = state
        rows = list_lineage(state, self._whole)
        self._rows = {row.candidate.id: row for row in rows}
        ids = list(self._rows)
        wanted = state.best if self._follows or row is None else row.candidate.id
        with self.list.prevent(OptionList.OptionHighlighted):
            self.list.set_options([Option(describe_row(one, state), id=one.candidate.id) for one in rows])
            if ids:
                self.list.highlighted = ids.index(wanted) if wanted in ids else 0
        hidden = len(state.candidates) + len(state.refused) - len(rows)
        title = f"Candidates  {len(rows)}" + (f"  {hidden} hidden" if hidden else "")
        self.list.border_title = plain_line(title)
        self._describe()

    @on(OptionList.OptionHighlighted)
    def _walked(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._follows = event.option_id == self._state.best
        self._describe()

    def _describe(self) -> None:
        row = self.highlighted_row
        if row is None:
            return
        one = row.candidate
        against = f" against {one.parent}" if one.parent else ""
        self._update("change", "diff", f"{one.id}{against}", describe_change(row, self._state), one.id)
        self._update("cases", "gains", "Cases", describe_cases(row, self._state), one.id)

    def _update(self, panel: str, text: str, title: str, content: Any, id: str) -> None:
        """Show a text; from its top where it is another candidate's."""
        scroll = self.query_one(f"#optimize-{panel}", VerticalScroll)
        scroll.border_title = plain_line(title)
        self.query_one(f"#optimize-{text}", Static).update(content)
        if self._drawn.get(panel) != id:
            self._drawn[panel] = id
            scroll.scroll_home(animate=False)
