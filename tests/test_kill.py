"""A short, seeded turn of the kill suite: each victim of an evaluation and each stage of the app once."""

from __future__ import annotations

import pytest

from tests.kill import app, evaluation


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, tiny_gguf):
    folder = tmp_path_factory.mktemp("kill")
    evaluation.write_project(folder / "project", tiny_gguf("tiny"))
    return folder / "project", evaluation.EvaluationTrial(folder / "project", folder / "home").run_undisturbed()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    app.write_project(folder / "project")
    return folder / "project", app.AppTrial(folder / "project", folder / "home").run_undisturbed()


@pytest.mark.parametrize("number", range(len(evaluation.VICTIMS)))
def test_a_kill_in_an_evaluation_loses_nothing(evaluated, tmp_path, number):
    project, expected = evaluated
    kill = evaluation.draw_kill(number, 3)
    assert evaluation.EvaluationTrial(project, tmp_path / "home").run_with(kill, expected).faults == ()


@pytest.mark.parametrize(
    ("stage", "signal", "after"),
    [
        ("opening", "SIGKILL", 2000),
        ("typing", "SIGKILL", 5),
        ("typing", "closed", 4),
        ("typing", "SIGSTOP", 2),
        ("matrix", "SIGTERM", 11),
    ],
)
def test_a_kill_of_the_app_loses_nothing(opened, tmp_path, stage, signal, after):
    project, expected = opened
    kill = app.Kill(f"app {stage}", "app", signal, after)
    assert app.AppTrial(project, tmp_path / "home").run_with(kill, expected).faults == ()
