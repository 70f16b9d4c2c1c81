from __future__ import annotations

import pytest

from workbench import paths
from workbench.runs.recent import list_recent, remember_bench


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))


def test_the_last_is_first_and_each_is_there_once(tmp_path):
    benches = [tmp_path / f"{name}.bench.yaml" for name in "abc"]
    for bench in (*benches, benches[0]):
        bench.write_text("")
        remember_bench(bench)
    assert list_recent() == (benches[0], benches[2], benches[1])
    benches[2].unlink()
    assert list_recent() == (benches[0], benches[1])


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json"])
def test_a_damaged_list_is_empty_and_written_anew(tmp_path, text):
    (paths.data_folder() / "recent-benches.json").parent.mkdir(parents=True, exist_ok=True)
    (paths.data_folder() / "recent-benches.json").write_text(text)
    assert list_recent() == ()
    bench = tmp_path / "a.bench.yaml"
    bench.write_text("")
    remember_bench(bench)
    assert list_recent() == (bench,)
