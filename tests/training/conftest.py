"""A folder with all that a training needs."""

from __future__ import annotations

import pytest
from lesson import PROMPT, RECIPE, write_rows


@pytest.fixture
def lesson(tmp_path, monkeypatch, tiny_hf):
    """The working folder; a person's data lie beside it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    work = tmp_path / "work"
    work.mkdir()
    (work / "tiny").symlink_to(tiny_hf)
    (work / "ask.prompty").write_text(PROMPT)
    write_rows(work / "train.jsonl", 12)
    write_rows(work / "validation.jsonl", 4, first=100)
    (work / "my.recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(work)
    return work
