from __future__ import annotations

from pathlib import Path

import pytest

from workbench import paths
from workbench.errors import FileError


def test_one_variable_moves_everything_of_a_person_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    places = [paths.settings_file(), paths.data_folder(), paths.cache_folder()]
    assert len(set(places)) == 3
    assert all(place.is_relative_to(tmp_path) for place in places)


def test_without_it_the_system_s_own_folders_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WORKBENCH_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert paths.data_folder().name == "workbench"
    assert len({paths.data_folder(), paths.cache_folder(), paths.settings_file().parent}) >= 2


@pytest.mark.parametrize("wrong", ["", "~no-such-user/x"])
def test_a_user_without_a_home_is_given_the_command_that_helps(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    for name in ("HOME", "WORKBENCH_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as of a container whose user stands in no list
    if wrong:
        monkeypatch.setenv("WORKBENCH_HOME", wrong)
    for find in (paths.settings_file, paths.data_folder, paths.cache_folder):
        with pytest.raises(FileError) as caught:
            find()
        assert caught.value.hint == "export WORKBENCH_HOME=/var/tmp/workbench-$(id -u)"
    assert not Path("~").exists()


def test_the_shipped_folder_holds_the_prompts() -> None:
    assert paths.find_shipped("prompts").is_dir()


def test_an_input_is_looked_for_in_the_bench_s_folder_then_here_then_in_the_shipped_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, here, shipped = (tmp_path / name for name in ("bench", "here", "shipped"))
    for folder in (bench, here, shipped):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "cases.jsonl").write_text(folder.name)
    monkeypatch.chdir(here)
    monkeypatch.setattr(paths, "shipped_folder", lambda: shipped)
    for folder in (bench, here, shipped):
        found = paths.find_input("data/cases.jsonl", bench)
        assert found.read_text() == folder.name
        found.unlink()
    with pytest.raises(FileError) as caught:
        paths.find_input("data/cases.jsonl", bench)
    assert all(str(folder / "data/cases.jsonl") in caught.value.message for folder in (bench, here, shipped))


def test_an_absolute_input_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("x")
    assert paths.find_input(str(file), Path("elsewhere")) == file
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.find_input("~/cases.jsonl", Path("elsewhere")) == file
    with pytest.raises(FileError, match=r"missing\.jsonl"):
        paths.find_input(str(tmp_path / "missing.jsonl"), tmp_path)
