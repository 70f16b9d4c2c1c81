"""AppState: the open bench with everything that works on it, shared by all screens.

Slow to import: app.py loads it after the first frame.
"""

from __future__ import annotations

from pathlib import Path

from workbench import paths
from workbench.inference.pool import Pool
from workbench.models.discovery import default_folders, discover_adapters, discover_models, find_known_models
from workbench.models.reference import Adapter, Model
from workbench.runs.new_bench import BenchRequest
from workbench.runs.opening import choose_bench, copy_demo, find_data, list_benches
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.bench_runs import BenchRuns
from workbench.tui.prompt_searches import PromptSearches
from workbench.tui.sweeps import Sweeps
from workbench.tui.trained_adapters import TrainedAdapters
from workbench.tui.training_jobs import TrainingJobs
from workbench.tui.verdicts import Verdicts

LEAVE_SECONDS = 2.0
"""how long leaving waits for cancelled work"""


class AppState:
    """complete: whether all models are known, so that nothing need look for more. proposal: a new bench to offer.
    review: of synthetic rows, to show first."""

    def __init__(
        self,
        session: Session,
        pool: Pool,
        models: tuple[Model, ...] = (),
        adapters: tuple[Adapter, ...] = (),
        complete: bool = False,
        proposal: BenchRequest | None = None,
        review: Path | None = None,
        finder: PassageFinder | None = None,
    ) -> None:
        session.know(models, adapters)
        self.session, self.pool, self.complete, self.proposal = session, pool, complete, proposal
        self.review = review
        self.finder = finder or PassageFinder()
        self.runs = BenchRuns(session, pool, self.finder)
        self.jobs = TrainingJobs(session)
        self.verdicts = Verdicts(session, self.runs)
        self.registry = TrainedAdapters(session, self.runs)
        self.sweeps = Sweeps()
        self.searches = PromptSearches(session, self.runs)

    def stop_tasks(self) -> None:
        """Cancel what runs in the background and wait for it, for some seconds at most. Blocks."""
        started = (self.searches.task, self.sweeps.current, self.verdicts.current, self.registry.check)
        for task in (*started, self.runs.current):
            if task is not None:
                task.close(LEAVE_SECONDS)

    def close(self) -> None:
        """End everything, what uses an engine first. Blocks likewise."""
        self.stop_tasks()
        self.runs.close()
        self.finder.close()
        self.pool.close()


def open_state(
    bench: Path | None,
    model: Path | None,
    settings: Settings,
    proposal: BenchRequest | None = None,
    review: Path | None = None,
) -> AppState:
    """Open a bench, the one that `choose_bench` finds when None, and a pool that has not started an engine.

    model: a file that every pane runs on, remembered in the bench once it is saved. proposal: a new bench to offer
    over it; one is offered also where a folder holds cases but no bench. review: of synthetic rows, to show first.
    Raises WorkbenchError when there is no bench to open.
    """
    folder = Path.cwd()
    if (
        bench is None
        and proposal is None
        and review is None
        and not list_benches(folder)
        and (data := find_data(folder))
    ):
        proposal = BenchRequest(Path(data[0].name))
    session = Session(bench or (copy_demo() if proposal else choose_bench(folder)), settings)
    if model is not None:
        session.use_model(model)
    shipped = (paths.find_shipped("assets"),)
    pool = Pool.configured(settings, low_priority=True)
    return AppState(
        session, pool, discover_models(shipped), discover_adapters(shipped), proposal=proposal, review=review
    )


def replace_bench(old: AppState, path: Path) -> AppState:
    """The state with another bench, on the same engines. Raises WorkbenchError; then nothing has changed."""
    session = old.session
    return AppState(
        Session(path, session.settings), old.pool, session.models, session.adapters, old.complete, finder=old.finder
    )


def find_models(session: Session) -> tuple[tuple[Model, ...], tuple[Adapter, ...]]:
    """Every model and adapter in the usual folders; may take a while."""
    folder = session.path.parent
    return find_known_models(session.settings, folder), discover_adapters(default_folders(session.settings, folder))
