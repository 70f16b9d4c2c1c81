"""A prompt that training rows cannot show is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import TrainingError
from workbench.settings import Settings
from workbench.training.recipe import Recipe
from workbench.training.task import _open_prompt


def test_a_prompt_with_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "look.prompty").write_text("---\ninputs: {photo: {kind: image}}\n---\nuser:\nHi\n")
    recipe = Recipe(base="desk", prompt="look", library=str(tmp_path))
    with pytest.raises(TrainingError, match="look has pictures"):
        _open_prompt(recipe, None, None, tmp_path, Settings())
