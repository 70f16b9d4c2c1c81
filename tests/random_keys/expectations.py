"""What must hold once the keyboard rests on the bench screen; and at any time of the drafts."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.errors import WorkbenchError
from workbench.runs.session import Session
from workbench.tui.screens.bench import BenchScreen
from workbench.tui.status_line import make_case_title, make_shown_case
from workbench.tui.widgets.case_view import CaseField
from workbench.tui.widgets.plain import plain_line


def compare_screen(screen: BenchScreen) -> Iterator[str]:
    """Where the bench screen shows something else than its session holds, a line each."""
    session, bench = screen.session, screen.controller
    edited = session.prompts.edited
    panes = [(pane._shown_name, pane._edited) for pane in screen.panes]
    variants = [(variant.name, variant.prompt in edited) for variant in session.variants]
    yield from _differ("panes", panes, variants)
    editor = bench.edit.editor
    if not editor.read_only:
        yield from _differ("prompt", editor.prompt, bench.variant.prompt)
        yield from _differ("text of the prompt", editor.text, session.prompt(bench.variant.prompt).body)
    shown = make_shown_case(session)
    fields = {field.variable: field.value for field in bench.edit.case.query(CaseField)}
    yield from _differ("case", fields, dict(shown.values))
    yield from _differ(
        "title of the case", str(bench.edit.case.border_title), str(plain_line(make_case_title(session)))
    )
    title = bench.title_bar._title
    yield from _differ("title", (title.bench, title.case, title.live, title.unsaved), (
        session.path.name, session.position, session.live, bool(session.unsaved),
    ))  # fmt: skip


def compare_drafts(session: Session) -> Iterator[str]:
    """Where what is kept for the next start differs from the session, a line each."""
    kinds = [key for key in session.autosaves.all() if key.startswith(("example:", "header:"))]
    yield from _differ("drafts of closed dialogs", kinds, [])
    folder = f"{session.library.folder.resolve()}:"
    drafted = [key.removeprefix(folder) for key in session.autosaves.all() if key.startswith(folder)]
    yield from _differ("drafted prompts", sorted(drafted), sorted(session.prompts.edited))
    again = Session(session.path, session.settings)
    yield from _differ("problems", [str(problem) for problem in again.problems], [])
    yield from _differ("bench", again.bench, session.bench)
    yield from _differ("typed inputs", again._inputs.all, session._inputs.all)
    for name in dict.fromkeys((*session.prompts.edited, *(variant.prompt for variant in session.variants))):
        yield from _differ(f"prompt {name}", _read(again, name), _read(session, name))


def _read(session: Session, name: str) -> object:
    try:
        return session.prompt(name)
    except WorkbenchError as error:
        return str(error)


def _differ(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: found {found!r}, expected {expected!r}"


class TypedPrompts:
    """The prompts that something was typed into or that a command changed: only those may have a draft."""

    def __init__(self) -> None:
        self._typed: set[str] = set()

    def note_step(self, screen: BenchScreen, before: str, editing: bool) -> list[str]:
        """A step is over; the prompts that have a draft and should not. before: the prompt that was chosen when it
        began. editing: whether the step could change a prompt."""
        prompts = screen.session.prompts
        self._typed |= prompts._new
        if editing:
            self._typed |= {before, screen.controller.variant.prompt, *prompts.edited}
        return [name for name in prompts.edited if name not in self._typed]
