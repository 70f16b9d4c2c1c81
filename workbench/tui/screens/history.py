"""HistoryScreen: the versions of a prompt with their scores, and what changed between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.analysis.prompt_history import HistoryGroup, PromptHistory, PromptVersion
from workbench.analysis.version_order import ORDERS, sort_rows
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.sanitize import sanitize
from workbench.tui.history_text import describe_selected, show_head, show_version
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Option, OptionList, Static, plain_line

ReadHistory = Callable[[str], "Future[PromptHistory]"]
"""takes the digest of the version to compare with, "" for the usual one"""


class HistoryScreen(KeyedScreen[Prompt | None]):
    """Dismissed with the version to restore, or None."""

    HELP_TEXT: ClassVar[str] = """\
Every version of the prompt that was run or committed: its score with interval on a bench, the tokens of its prompts,
and whether it was better than the version it is compared with, by a paired test on the cases that both have. ● is the
current text, ▸ the version compared with; space makes the selected one that. enter restores a version in the editor,
where ctrl+z undoes it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="history.back"),
        Binding(
            "enter",
            "restore",
            "restore",
            id="history.restore",
            tooltip="Restore the version in the editor",
            priority=True,
        ),
        Binding(
            "space", "compare", "compare with", id="history.compare", tooltip="Compare the others with this version"
        ),
        Binding("s", "sort", "sort", id="history.sort", tooltip="Sort by date, score or verdict"),
        Binding("b", "next_bench", "next bench", id="history.bench", tooltip="Results on the next bench"),
    ]

    def __init__(self, name: str, ask: ReadHistory, bench: str = "", variant: str = "") -> None:
        """name: the prompt's. bench, variant: of what is shown first, where it was run."""
        super().__init__(id="history")
        self.name_of_prompt, self._ask = name, ask
        self.ui = ScreenUi(self)
        self.history: PromptHistory | None = None
        self.order = ORDERS[0]
        self._group = 0
        self._first = bench, variant
        self.list = OptionList(id="history-list")

    def compose(self) -> ComposeResult:
        yield Static(id="history-title")
        with Vertical(id="history-body"):
            yield Static(id="history-head")
            yield self.list
            with VerticalScroll(id="history-details"):
                yield Static(Content("Reading runs and commits…"), id="history-text")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.list.focus()
        self._show_title()
        self.read()

    @work(group="history", exclusive=True)
    async def read(self, reference: str = "") -> None:
        """ReadHistory for the history; what cannot be read is said."""
        try:
            history = await asyncio.wrap_future(self._ask(reference))
        except WorkbenchError as error:
            self.ui.show_error(error)
            if self.history is None:
                self.query_one("#history-text", Static).update(Content(sanitize(error.message)))
            return
        if is_open(self):
            if self.history is None:
                self._group = self._find_first(history)
            self.history = history
            self._fill()

    def _find_first(self, history: PromptHistory) -> int:
        """The group to begin with: of the bench and variant that are open, else of the bench, else the newest."""
        bench, variant = self._first
        ranks = [
            (group.bench == bench) + (group.bench == bench and group.variant == variant) for group in history.groups
        ]
        return ranks.index(max(ranks)) if ranks else 0

    @property
    def group(self) -> HistoryGroup | None:
        """The bench and variant on show; None where the prompt was never run."""
        groups = self.history.groups if self.history else ()
        return groups[self._group % len(groups)] if groups else None

    @property
    def selected(self) -> PromptVersion | None:
        """The version under the cursor."""
        index = self.list.highlighted
        id = self.list.get_option_at_index(index).id if index is not None else None
        versions = self.history.versions if self.history else ()
        return next((version for version in versions if version.digest == id), None)

    def _fill(self) -> None:
        history, group = self.history, self.group
        if history is None or not is_open(self):
            return
        rows = {row.version: row for row in group.rows} if group else {}
        wanted = self.selected.digest if self.selected else ""
        ordered = self._order(history, group)
        reference = group.reference if group else ""
        lines = [Option(show_version(one, rows.get(one.digest), reference), id=one.digest) for one in ordered]
        self.list.set_options(lines)
        self.query_one("#history-head", Static).update(show_head(self.size.width))
        if lines:
            ids = [version.digest for version in ordered]
            self.list.highlighted = ids.index(wanted) if wanted in ids else 0
            self._describe()
        self._show_title()
        self.refresh_bindings()

    def _order(self, history: PromptHistory, group: HistoryGroup | None) -> list[PromptVersion]:
        """The versions in the chosen order; those that were not run here come last in any but that of dates."""
        if group is None or self.order == "date":
            return list(history.versions)
        ranked = [row.version for row in sort_rows(group.rows, self.order)]
        known = {version.digest: version for version in history.versions}
        return [known[digest] for digest in ranked] + [one for one in history.versions if one.digest not in ranked]

    def _show_title(self) -> None:
        history, group = self.history, self.group
        parts: list[str | tuple[str, str]] = [(" history  ", "bold $primary"), sanitize(self.name_of_prompt)]
        if history is not None and len(history.names) > 1:
            parts.append((f"  formerly {sanitize(', '.join(history.names[1:]))}", "$foreground 60%"))
        if history is not None and group is not None:
            many = (
                f" ({self._group % len(history.groups) + 1}/{len(history.groups)})" if len(history.groups) > 1 else ""
            )
            parts.append((f"   {sanitize(group.title)}{many}   by {self.order}", "$accent"))
        elif history is not None:
            parts.append(("   never run by an evaluation: f6 on the bench scores it", "$accent"))
        self.query_one("#history-title", Static).update(Content.assemble(*parts))

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    @on(OptionList.OptionHighlighted)
    def _walked(self) -> None:
        self._describe()

    def _describe(self) -> None:
        if self.history is not None and (version := self.selected) is not None:
            self._describe_version(self.history, self.group, version)

    @work(thread=True, group="details", exclusive=True)
    def _describe_version(self, history: PromptHistory, group: HistoryGroup | None, version: PromptVersion) -> None:
        """Comparing two long texts takes a while."""
        self.app.call_from_thread(self._show_page, version, describe_selected(history, group, version))

    def _show_page(self, version: PromptVersion, page: Content) -> None:
        if not is_open(self) or self.selected is not version:
            return
        panel = self.query_one("#history-details", VerticalScroll)
        panel.border_title = plain_line(version.message or version.short)
        self.query_one("#history-text", Static).update(page)
        panel.scroll_home(animate=False)

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        if action == "next_bench":
            return self.history is not None and len(self.history.groups) > 1
        if action in ("sort", "compare"):
            return self.group is not None
        if action == "restore":
            return self.history is not None and bool(self.history.versions)
        return True

    def action_restore(self) -> None:
        version = self.selected
        if version is not None and not version.current:
            self.dismiss(version.prompt)
        elif version is not None:
            self.ui.toast("The prompt already has this text.")

    def action_compare(self) -> None:
        """Compare with the selected version from now on, where it was run in this bench."""
        version, group = self.selected, self.group
        if version is None or group is None:
            return
        if version.digest not in {row.version for row in group.rows}:
            self.ui.toast(f"{version.short} was not run as {group.title}.")
            return
        self.read(version.digest)

    def action_sort(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._fill()

    def action_next_bench(self) -> None:
        self._group += 1
        self._fill()
