"""Fixtures that several rooms share: tiny models, written once a session."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a busy machine is not a bug. The same examples each run: a failure then belongs to a change, not to
# chance. `pytest --hypothesis-profile=hunt` looks for new ones.
settings.register_profile("workbench", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("hunt", deadline=None, max_examples=2000)
settings.load_profile("workbench")


CACHES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "LLAMA_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME")
"""Where programs of the field keep models: whatever a developer's machine has there is no part of any test."""


@pytest.fixture(scope="session", autouse=True)
def empty_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every cache of models is a folder that is not there, in this process and in those that a test starts."""
    nowhere = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        for name in CACHES:
            patch.setenv(name, str(nowhere / name.lower()))
        yield


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a tiny model with random weights; the arguments are those of `gguf_fixture.write_gguf`."""
    from gguf_fixture import write_gguf

    folder, numbers = tmp_path_factory.mktemp("models"), itertools.count()

    @functools.cache
    def write(name: str = "tiny", **options: object) -> Path:
        place = folder / str(next(numbers))  # one file for each set of options: an engine may have it mapped
        place.mkdir()
        return write_gguf(place / f"{name}.gguf", **options)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def tiny_hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of a tiny llama with random weights and a context of 200 tokens."""
    from hf_fixture import write_hf

    return write_hf(tmp_path_factory.mktemp("hf") / "tiny")


@pytest.fixture(scope="session")
def desk_gguf() -> Path:
    """The embedded model."""
    from workbench import paths

    path = paths.find_shipped("assets/desk-q8_0.gguf")
    assert path.exists(), f"{path} is missing: make it with `make model`"
    return path


@pytest.fixture(scope="session")
def desk_hf() -> Path:
    """The embedded model as a Hugging Face folder."""
    from workbench import paths

    path = paths.find_shipped("assets/desk")
    assert (path / "config.json").exists(), f"{path} is missing: make it with `make model`"
    return path
