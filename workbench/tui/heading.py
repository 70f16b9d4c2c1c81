"""Heading: what the bench screen's top line says of the session, the answers under way and the chosen pane's engine.

Knows nothing of how it is drawn.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.engines.engine import EngineStatus
from workbench.errors import WorkbenchError
from workbench.evaluation.session import Session
from workbench.hosting.pool import Pool
from workbench.tui.runner import Runner
from workbench.tui.widgets.case_view import EXPECTED, ShownCase
from workbench.tui.widgets.title_bar import Title


def tell_title(session: Session, runner: Runner, pool: Pool, chosen: int) -> Title:
    """The state as it is now."""
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


def tell_case(session: Session) -> ShownCase:
    """The current case with what was typed over it, and the expected answer after its variables."""
    case = session.case
    typed = "  (typed over)" if session.case_is_typed and session.cases else ""
    title = f"Case {case.number}{typed}" if session.cases else "Case  (typed: this bench has no dataset)"
    values = {**session.shown_variables(), EXPECTED: case.expected or ""}
    return ShownCase(session.bench.dataset, case.number, title, values)


def tell_time(seconds: float) -> str:
    """A moment since the epoch on this user's clock, with its day where that is another than today."""
    moment, now = (one.astimezone() for one in (datetime.fromtimestamp(seconds, UTC), datetime.now(UTC)))
    return f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment.day} {moment:%b %H:%M}"


def _find_status(session: Session, pool: Pool, chosen: int) -> EngineStatus:
    """What the chosen pane's engine does; nothing where it does not tell."""
    try:
        return pool.status(session.model(chosen)) or EngineStatus()
    except WorkbenchError:
        return EngineStatus()  # the model is not to be found: its pane says so
