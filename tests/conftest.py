"""Fixtures that several rooms share: tiny models, written once a session."""

from __future__ import annotations

import functools
import gc
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


MAX_RERUNS = 5
"""A run in which more tests than these passed only at their second try fails: that is no machine's bad moment."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    tried_again = {report.nodeid for report in reporter.stats.get("rerun", ())}
    if len(tried_again) > MAX_RERUNS and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\n{len(tried_again)} tests passed only at their second try; at most {MAX_RERUNS} may.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


LONGEST_ID = 100
"""Characters of a parameter that name its test. A worker sends the names of all tests, each is set as a variable of the
environment while it runs, and some parameters have twenty million characters."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text names its test by its beginning and its length; everything else as usual."""
    if not isinstance(val, (str, bytes)) or len(val) <= LONGEST_ID:
        return None
    beginning = val[: LONGEST_ID // 2]
    text = beginning if isinstance(beginning, str) else beginning.decode("latin-1")
    return f"{text.encode('unicode_escape').decode('ascii')}... {len(val)} long"


CACHES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "LLAMA_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME")
"""Where programs of the field keep models: whatever a developer's machine has there is no part of any test."""


def pytest_collection_finish() -> None:
    """The objects of modules stay: torch and transformers have more than a million, and a full collection, of which a
    test of the screen causes several, would go over all of them. Fewer collections are enough, as each module ends
    with one."""
    gc.set_threshold(10_000, 20, 20)
    _freeze()


@pytest.fixture(scope="module", autouse=True)
def freeze_what_stays() -> Iterator[None]:
    """What a module has imported stays as well. Its own fixtures end first."""
    yield
    _freeze()


def _freeze() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def empty_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every cache of models is a folder that is not there, in this process and in those that a test starts."""
    nowhere = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        for name in CACHES:
            patch.setenv(name, str(nowhere / name.lower()))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_servers() -> Iterator[None]:
    """Model servers of a developer's machine are no part of any test."""
    from workbench.inference.remote import found_server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found_server, "PORTS", {})
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
