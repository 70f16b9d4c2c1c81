"""Flow: an action that may wait for dialogs, and what every such action uses: asking, picking a file, saying an error.

The one place where an error becomes a toast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from textual.screen import Screen

from workbench.errors import WorkbenchError
from workbench.evaluation.scoring.probe import describe_unconfined
from workbench.evaluation.trust import Spec, describe_code, find_untrusted, trust
from workbench.sanitize import sanitize
from workbench.tui.dialogs.question import Question

if TYPE_CHECKING:
    from workbench.evaluation.session import Session
    from workbench.tui.screens.bench import BenchScreen


P = ParamSpec("P")
S = TypeVar("S", bound=Screen[Any])
Start = Callable[["BenchScreen"], None]


def flow(action: Callable[Concatenate[S, P], Awaitable[None]]) -> Callable[Concatenate[S, P], None]:
    """Run an action beside the screen, so that it may wait for dialogs; its errors become toasts."""

    def start(screen: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        async def guarded() -> None:
            try:
                await action(screen, *args, **kwargs)
            except WorkbenchError as error:
                say(screen, error)

        screen.run_worker(guarded(), group="action")

    start.__doc__ = action.__doc__
    return start


def say(screen: Screen[Any], error: WorkbenchError) -> None:
    """Show an error as a toast: what happened, then what to do."""
    screen.notify(sanitize(error.hint), title=sanitize(error.message), severity="error", timeout=10)


async def ask(
    screen: Screen[Any], title: str, text: str, answers: list[tuple[str, str]], destructive: Collection[str] = ()
) -> str:
    """The id of the answer; escape is the last one, and enter the first that is not destructive."""
    question: Screen[Any] = Question(title, text, answers, destructive)
    return str(await screen.app.push_screen_wait(question))


async def settle_trust(screen: Screen[Any], session: Session) -> bool:
    """Whether the code among the bench's scorers may run; asks where nobody has agreed to it as it is."""
    return await settle_trust_of(screen, session.bench.scorers, session.path.parent)


async def settle_trust_of(screen: Screen[Any], scorers: Sequence[Spec], folder: Path) -> bool:
    """The same for any bench's scorers. folder: the bench's."""
    found = find_untrusted(scorers, folder)
    if not found:
        return True
    kept = await asyncio.to_thread(describe_unconfined, found)
    lines = ["To judge answers, this bench runs Python code:", describe_code(found), *([kept] if kept else [])]
    text = "\n".join([*lines, "It can do whatever you can. Do you trust it?"])
    answers = [("stay", "Do not run it"), ("run", "Run it"), ("later", "Ask me later")]  # a stray enter runs nothing
    if await ask(screen, "Code of the bench", text, answers) != "run":
        return False
    trust(found)
    return True


async def pick_file(screen: BenchScreen, title: str, suffixes: tuple[str, ...]) -> Path | None:
    """A file that a person chose; suffixes: of those that are listed at first."""
    from workbench.tui.dialogs.file_picker import FilePicker

    return await screen.app.push_screen_wait(FilePicker(Path.home(), title, suffixes))
