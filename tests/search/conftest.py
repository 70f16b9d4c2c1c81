from __future__ import annotations

import contextlib

import pytest

from tests.search.example_folder import SearchFolder


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A search folder whose rule is hidden in its rows: each topic has a queue, and no instruction says which."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    with contextlib.closing(SearchFolder(work)) as folder:
        yield folder
