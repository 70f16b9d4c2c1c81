"""The sweep screen: what is tried, the trials ranked, the best taken into the form; nothing is trained here."""

from __future__ import annotations

from datetime import datetime

import pytest
from conftest import settled, until
from test_training_screen import RECIPE
from textual.widgets import Input, Static

from workbench.analysis.summary import Estimate
from workbench.training import sweep
from workbench.training.events import JobEnded, JobEvaluated, Journal
from workbench.training.job import TrainingJob
from workbench.training.job_dir import create_job_dir
from workbench.training.manifest import Manifest, write_manifest
from workbench.training.recipe import Recipe
from workbench.training.registry import Registry
from workbench.training.sweep import Ranking, Trial
from workbench.tui.actions import sweep as actions
from workbench.tui.screens.sweep import SweepScreen, describe_ranking

WIDE, NARROW = (160, 45), (80, 24)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def trained(monkeypatch):
    """Trials that end at once: the higher the rank, the better."""

    def start(recipe, folder, name="", path=None):
        place = create_job_dir(recipe.name, "", folder, datetime.now())
        journal = Journal(place.events)
        score = recipe.method.rank / 40
        journal.write(JobEvaluated(1.0, 2, 1.0, 1.0, {"exact_match": score}, 50, "exact_match", True))
        adapter = Registry().folder / recipe.name
        adapter.mkdir(parents=True)
        write_manifest(adapter, Manifest(recipe.name, 1, 1.0, "lora", "b", "d", ""))
        journal.write(JobEnded(2.0, "done", "Done.", adapter=str(adapter), best_step=2))
        journal.close()
        return TrainingJob(place)

    monkeypatch.setattr(sweep, "start_job", start)
    monkeypatch.setattr(actions, "open_task", lambda *_: None)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_trials_are_ranked_and_the_best_is_gone_on_with(app, folder, trained, size):
    taken: list[Recipe | None] = []
    async with app.run_test(size=size) as pilot:
        await settled(pilot)

        async def search() -> None:
            taken.append(await app.open_sweep(RECIPE, folder))

        app.run_worker(search())
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        screen = app.screen
        assert screen.query_one("#sweep-0", Input).value == "method.rank=4,8,16,32"
        screen.query_one("#sweep-trials", Input).value = "3"
        screen.query_one("#sweep-0", Input).value = "method.rank=20"
        for place in (1, 2):
            screen.query_one(f"#sweep-{place}", Input).value = ""
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.sweeps.current is not None and not screen.sweeps.running)
        screen.poll()
        table = str(screen.query_one("#sweep-table", Static).visual)
        assert "complete  best" in table
        assert "0.500" in table
        await pilot.press("f4")
        await until(pilot, lambda: bool(taken))
    assert taken[0] is not None
    assert taken[0].method.rank == 20


async def test_what_cannot_be_tried_is_told_and_nothing_begins(app, folder, trained):
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        app.run_worker(app.open_sweep(RECIPE, folder))
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        app.screen.query_one("#sweep-0", Input).value = "method.rank=9..4"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: any("expected low < high" in one.title for one in app._notifications))
        assert not app.screen.sweeps.running


def test_trials_that_may_be_as_good_as_the_best_are_marked():
    trials = (
        Trial(1, {"method.rank": 8, "training.learning_rate": 0.00123}, "complete", Estimate(0.9, 0.8, 0.95, 50)),
        Trial(0, {"method.rank": 4, "training.learning_rate": 0.01}, "complete", Estimate(0.88, 0.8, 0.93, 50)),
        Trial(2, {"method.rank": 2, "training.learning_rate": 5.0}, "failed", reason="It blew up. [b]"),
    )
    told = describe_ranking(Ranking("study", "exact_match", trials, (0,))).plain
    assert "0.00123" in told
    assert told.splitlines()[1].endswith("complete  best")
    assert told.splitlines()[2].endswith("complete  may be as good")
    assert "It blew up. [b]" in told
