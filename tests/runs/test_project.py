from __future__ import annotations

from pathlib import Path

import pytest

from workbench.runs.opening import open_library
from workbench.runs.project import find_library_at, find_root, list_project_files, locate_prompt
from workbench.settings import Settings

BENCH = "variants:\n  - {name: a, prompt: p, model: m}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    for inner in ("prompts/queues", "data/raw", ".git"):
        (folder / inner).mkdir(parents=True)
    (folder / "prompts/queues/plain.prompty").write_text("user:\n{{ message }}\n")
    return folder


def names_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    return [entry.name for entry in open_library(Settings()).entries() if not entry.read_only]


@pytest.mark.parametrize("inner", [".", "prompts", "prompts/queues", "data/raw"])
def test_a_prompt_has_the_same_name_in_every_folder_of_its_project(project, monkeypatch, inner):
    assert names_at(project / inner, monkeypatch) == ["queues/plain"]


def test_the_library_beside_a_bench_is_its_folder(project, monkeypatch):
    made = project / "data" / "reviews"
    made.mkdir()
    (project / "data" / "reviews.bench.yaml").write_text(BENCH)
    (made / "zero-shot.prompty").write_text("user:\nx")
    for inner in ("data", "data/raw", "data/reviews"):
        assert names_at(project / inner, monkeypatch) == ["reviews/zero-shot"]


def test_a_bench_that_names_its_library_names_that_of_its_folder_too(project, monkeypatch):
    (project / "benches").mkdir()
    (project / "benches" / "one.bench.yaml").write_text("library: ../prompts\n" + BENCH)
    assert names_at(project / "benches", monkeypatch) == ["queues/plain"]


def test_nothing_is_looked_for_above_the_repository(project):
    (project.parent / "prompts").mkdir()
    (project / "other" / ".git").mkdir(parents=True)
    assert find_library_at(project / "other") is None


def test_a_folder_that_everybody_may_write_to_is_no_project(project):
    open_to_all = project / "shared"
    (open_to_all / "mine").mkdir(parents=True)
    (open_to_all / "foreign.bench.yaml").write_text(BENCH)
    open_to_all.chmod(0o777)
    assert find_library_at(open_to_all / "mine") is None


def test_a_relative_folder_of_the_settings_is_found_from_below(project, monkeypatch):
    monkeypatch.chdir(project / "data" / "raw")
    assert open_library(Settings(library="prompts")).folder == project / "prompts"


def test_the_files_of_a_project_are_its_benches_and_recipes_and_nothing_installed(project):
    for name in ("a.bench.yaml", "data/b.recipe.yaml", ".venv/c.bench.yaml", "env/d.bench.yaml", "other.yaml"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(BENCH)
    (project / "env" / "pyvenv.cfg").write_text("")
    found = list_project_files(project / "prompts")
    assert [path.relative_to(project).as_posix() for path in found.paths] == ["a.bench.yaml", "data/b.recipe.yaml"]
    assert found.complete


def test_a_search_in_too_many_folders_ends_and_says_so(project, monkeypatch):
    monkeypatch.setattr("workbench.runs.project._MOST_FOLDERS", 2)
    assert not list_project_files(project / "prompts").complete


def test_without_a_repository_the_project_is_what_the_prompts_are_in(tmp_path):
    assert find_root(tmp_path / "x" / "prompts") == tmp_path / "x"
    assert find_root(tmp_path / "x" / "reviews") == tmp_path / "x" / "reviews"


def test_a_file_has_the_name_that_it_has_in_its_library(project, tmp_path):
    assert locate_prompt(project / "prompts/queues/plain.prompty") == (project / "prompts", "queues/plain")
    assert locate_prompt(project / "data/x.prompty") == (project / "data", "x")
