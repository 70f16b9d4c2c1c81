"""The status line of the bench screen, and the case as it shows it: values made from the session and the engines."""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import EngineStatus
from workbench.runs.session import Session
from workbench.tui.runner import Runner
from workbench.tui.widgets.case_view import EXPECTED, ShownCase
from workbench.tui.widgets.title_bar import Title


def make_title(session: Session, runner: Runner, pool: Pool, chosen: int) -> Title:
    """The status line as of now."""
    busy = runner.busy
    engine = _find_status(session, pool, chosen) if busy else EngineStatus()
    return Title(
        bench=session.path.name,
        unsaved=bool(session.unsaved),
        case=session.position,
        cases=len(session.cases),
        live=session.live,
        model=session.variants[chosen].model,
        speed=sum(pane.tokens_per_second for pane in busy),
        bandwidth=engine.bandwidth_share,
        cached=engine.cached_share or None,
        done=runner.total - len(busy),
        total=runner.total if busy else 0,
    )


def make_shown_case(session: Session) -> ShownCase:
    """The current case with what was typed over it, and the expected answer after its variables."""
    case = session.case
    values = {**session.shown_variables(), EXPECTED: case.expected or ""}
    return ShownCase(session.bench.dataset, case.number, make_case_title(session), values)


def make_case_title(session: Session) -> str:
    """Which case it is, and whether it was edited; scores are dimmed until its expected answer is edited too."""
    if not session.cases:
        return "Input  (this bench has no dataset)"
    edited = "  (edited; check expected)" if session.is_expected_outdated else "  (edited)"
    return f"Case {session.number}{edited if session.case_is_typed else ''}"


def format_moment(seconds: float) -> str:
    """A moment since the epoch on this user's clock, with its day where that is another than today."""
    moment, now = (one.astimezone() for one in (datetime.fromtimestamp(seconds, UTC), datetime.now(UTC)))
    return f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment.day} {moment:%b %H:%M}"


def _find_status(session: Session, pool: Pool, chosen: int) -> EngineStatus:
    """What the chosen pane's engine does; an empty status where it does not say."""
    try:
        return pool.status(session.model(chosen)) or EngineStatus()
    except WorkbenchError:
        return EngineStatus()  # no such model: its pane says so
