"""VoteScreen: two answers to one case, side by side, without names; one key votes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from workbench.analysis.preferences import write_preferences
from workbench.analysis.votes import Ballot, Choice, Rating, Votes
from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Static, plain_line
from workbench.units import format_plural


class VoteScreen(KeyedScreen[None]):
    """One ballot after the other."""

    HELP_TEXT: ClassVar[str] = """\
Two answers to the same case, in random order, without names. Vote for the better one. Votes become ratings with
intervals (r shows them, and with them the names), and preference pairs for training: p writes them to a file.
Pairs without a vote come first, and only where the answers differ.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="vote.back"),
        Binding("1,left", "cast('left')", "left", id="vote.left", tooltip="The left answer is better", priority=True),
        Binding(
            "2,right", "cast('right')", "right", id="vote.right", tooltip="The right answer is better", priority=True
        ),
        Binding(
            "0,space,equals_sign", "cast('tie')", "tie", id="vote.tie", tooltip="Both are equally good", priority=True
        ),
        Binding("u", "undo", "undo", id="vote.undo", tooltip="Take the last vote back"),
        Binding("x", "toggle_expected", "expected", id="vote.expected", tooltip="Show or hide the expected answer"),
        Binding("r", "toggle_ratings", "ratings", id="vote.ratings", tooltip="Ratings, with the names of the variants"),
        Binding("p", "export_pairs", "pairs", id="vote.pairs", tooltip="Write the votes as preference pairs"),
    ]

    def __init__(self, votes: Votes, rate: Callable[[], Future[tuple[Rating, ...]]]) -> None:
        """rate: asks for the ratings, which take libraries that are slow to load."""
        super().__init__(id="votes")
        self.ui = ScreenUi(self)
        self._votes, self._rate = votes, rate
        self.ballot: Ballot | None = None
        self._busy = False
        self._expected_shown = False
        self._count = 0

    def compose(self) -> ComposeResult:
        yield Static(id="vote-title")
        yield Static(id="vote-case")
        with Horizontal(id="vote-answers"):
            for side in ("left", "right"):
                with Vertical(classes="vote-side") as column:
                    column.border_title = plain_line(f"{'1' if side == 'left' else '2'}  {side}")
                    with VerticalScroll():
                        yield Static(id=f"vote-{side}")
        yield Static(id="vote-ratings")
        yield KeyFooter()

    def on_mount(self) -> None:
        self._work("next")

    @work(thread=True, group="votes")
    def _work(self, what: str, ballot: Ballot | None = None, choice: Choice = "tie") -> None:
        """Cast or take back, then see what is next and how things stand."""
        try:
            if what == "cast" and ballot is not None:
                self._votes.cast(ballot, choice)
            elif what == "undo":
                self._votes.undo()
            coming, count = self._votes.next(), len(self._votes.list())
        except WorkbenchError as error:
            self.app.call_from_thread(self._fail, error)
            return
        self.app.call_from_thread(self._show, coming, count)

    def _fail(self, error: WorkbenchError) -> None:
        self._busy = False
        self.ui.show_error(error)

    def _show(self, ballot: Ballot | None, count: int) -> None:
        if not is_open(self):
            return
        self.ballot, self._count, self._busy = ballot, count, False
        self._expected_shown = False
        self._draw()
        if self.query_one("#vote-ratings").has_class("-shown"):
            self._ask_ratings()

    def _draw(self) -> None:
        ballot = self.ballot
        title = Content.assemble((" blind vote  ", "bold $primary"), f"{format_plural(self._count, 'vote')} so far")
        self.query_one("#vote-title", Static).update(title)
        if ballot is None:
            done = "Every pair has a vote. r shows the ratings, u undoes the last vote."
            self.query_one("#vote-case", Static).update(done)
        else:
            self.query_one("#vote-case", Static).update(self._case(ballot))
        for side in ("left", "right"):
            text = sanitize(getattr(ballot, side)) if ballot else ""
            self.query_one(f"#vote-{side}", Static).update(Content(text or ("(empty)" if ballot else "")))

    def _case(self, ballot: Ballot) -> Content:
        parts: list[str | tuple[str, str]] = [(f"case {ballot.case}", "bold")]
        for name, value in ballot.variables.items():
            parts += [(f"\n{sanitize(name)}  ", "$foreground 60%"), sanitize(value)]
        if self._expected_shown:
            parts += [("\nexpected  ", "$foreground 60%"), sanitize(ballot.expected or "(none)")]
        return Content.assemble(*parts)

    def action_cast(self, choice: Choice) -> None:
        if self.ballot is not None and not self._busy:
            self._busy = True
            self._work("cast", self.ballot, choice)

    def action_undo(self) -> None:
        if not self._busy:
            self._busy = True
            self._work("undo")

    def action_toggle_expected(self) -> None:
        self._expected_shown = not self._expected_shown
        self._draw()

    @work(thread=True, group="pairs", exclusive=True)
    def action_export_pairs(self) -> None:
        """Write the votes so far as preference pairs, into the folder that the program was started in."""
        try:
            written = write_preferences(self._votes, Path.cwd())
        except WorkbenchError as error:
            self.app.call_from_thread(self.ui.show_error, error)
            return
        ties = f"; left out: {format_plural(written.ties, 'tie')}" if written.ties else ""
        text = f"{written.path}\nA recipe learns from it: preference: {{path: {written.path.name}}}"
        self.app.call_from_thread(self.ui.toast, text, title=f"{format_plural(written.pairs, 'pair')}{ties}", timeout=8)

    def action_toggle_ratings(self) -> None:
        if self.query_one("#vote-ratings").toggle_class("-shown").has_class("-shown"):
            self._ask_ratings()

    @work(thread=True, group="ratings", exclusive=True)
    def _ask_ratings(self) -> None:
        try:
            ratings = self._rate().result()
        except WorkbenchError as error:
            self.app.call_from_thread(self.ui.show_error, error)
            return
        self.app.call_from_thread(self._show_ratings, ratings)

    def _show_ratings(self, ratings: tuple[Rating, ...]) -> None:
        if is_open(self):  # left while they were worked out
            self.query_one("#vote-ratings", Static).update(draw_ratings(ratings))


def draw_ratings(ratings: tuple[Rating, ...]) -> Content:
    """The variants, best first, with the interval of each."""
    if not ratings:
        return Content("No votes yet.")
    width = max(len(rating.variant) for rating in ratings)
    parts: list[str | tuple[str, str]] = [("ratings (Bradley-Terry, 95%)\n", "bold $primary")]
    for rating in ratings:
        interval = f"{rating.low:5.0f} – {rating.high:5.0f}"
        parts += [
            f"{sanitize(rating.variant):<{width}}  ", (f"{rating.rating:5.0f}", "bold"), f"   {interval}   ",
            (f"{rating.wins} won, {rating.losses} lost, {rating.ties} tied\n", "$foreground 60%"),
        ]  # fmt: skip
    return Content.assemble(*parts)
