from __future__ import annotations

import pytest

from workbench import paths
from workbench.errors import BenchError
from workbench.runs.bench import Bench, Variant, load_bench
from workbench.runs.opening import choose_bench, open_library
from workbench.settings import Settings

VARIANTS = (Variant("a", "queues/plain", "desk"),)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path, home, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_demo_of_a_project_comes_first(folder):
    touch(folder, "prompts/demo.bench.yaml", "mine.bench.yaml")
    assert choose_bench(folder) == folder / "prompts" / "demo.bench.yaml"


@pytest.mark.parametrize("name", ["mine.bench.yaml", "prompts/mine.bench.yaml"])
def test_the_only_bench_of_a_folder_is_opened(folder, name):
    touch(folder, name)
    assert choose_bench(folder) == folder / name


def test_of_several_benches_one_has_to_be_named(folder):
    touch(folder, "b.bench.yaml", "a.bench.yaml")
    with pytest.raises(BenchError, match=r"a\.bench\.yaml, b\.bench\.yaml"):
        choose_bench(folder)


def test_an_empty_folder_opens_an_own_copy_of_the_demo(folder, home):
    chosen = choose_bench(folder)
    assert chosen == home / "data" / "demo.bench.yaml"
    assert chosen.read_bytes() == paths.find_shipped("prompts/demo.bench.yaml").read_bytes()
    assert list(folder.iterdir()) == []


def test_what_was_saved_in_the_copy_is_there_again(folder):
    choose_bench(folder).write_text("# mine")
    assert choose_bench(folder).read_text() == "# mine"


def test_the_copy_finds_the_shipped_prompts_and_cases(folder):
    chosen = choose_bench(folder)
    bench = load_bench(chosen)
    library = open_library(Settings(), bench, chosen.parent)
    for variant in bench.variants:
        assert library.open(variant.prompt).prompt.body
    assert bench.dataset
    assert paths.find_input(bench.dataset.path, chosen.parent).is_file()


def test_a_library_is_the_one_of_the_bench_then_of_the_settings_then_beside_the_bench(folder, tmp_path):
    (folder / "own").mkdir()
    settings = Settings(library=str(tmp_path / "set"))
    named = Bench(VARIANTS, library="own")
    assert open_library(settings, named, folder).folder == folder / "own"
    assert open_library(settings, Bench(VARIANTS), folder).folder == tmp_path / "set"
    assert open_library(Settings(), Bench(VARIANTS), folder).folder == folder


def test_without_a_bench_the_library_is_that_of_the_working_folder(folder, home):
    assert open_library(Settings()).folder == home / "data"
    (folder / "prompts").mkdir()
    assert open_library(Settings()).folder == folder / "prompts"
