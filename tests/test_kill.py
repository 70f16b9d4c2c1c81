"""A short, seeded turn of the kill suite: each victim once."""

from __future__ import annotations

import pytest

from tests.kill.evaluation import VICTIMS, Trial, draw_kill, write_project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_gguf):
    folder = tmp_path_factory.mktemp("kill")
    write_project(folder / "project", tiny_gguf("tiny"))
    return folder / "project", Trial(folder / "project", folder / "home").run_undisturbed()


@pytest.mark.parametrize("number", range(len(VICTIMS)))
def test_a_kill_loses_nothing(undisturbed, tmp_path, number):
    project, expected = undisturbed
    assert Trial(project, tmp_path / "home").run_with(draw_kill(number, 3), expected).faults == ()
