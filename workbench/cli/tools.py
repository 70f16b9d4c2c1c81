"""Tools: what a command asks models with, and where it keeps what they said; closed however the command ends.

Knows nothing of what is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from workbench.hosting.pool import Pool
    from workbench.settings import Settings
    from workbench.store.store import Store


class Tools(NamedTuple):
    """As a person's settings say."""

    settings: Settings
    pool: Pool
    store: Store


@contextlib.contextmanager
def open_tools() -> Iterator[Tools]:
    """All of them. Raises SettingsError or StoreError."""
    from workbench.hosting.pool import Pool
    from workbench.settings import load_settings
    from workbench.training.leftovers import sweep_leftovers

    settings = load_settings()
    sweep_leftovers()
    with open_store() as store, contextlib.closing(Pool.configured(settings)) as pool:
        yield Tools(settings, pool, store)


@contextlib.contextmanager
def open_store() -> Iterator[Store]:
    """A person's store alone, for what asks no model."""
    from workbench import paths
    from workbench.cli import terminal
    from workbench.store.store import Store

    with contextlib.closing(Store(paths.data_folder() / "workbench.sqlite")) as store:
        if store.notice:
            terminal.say(store.notice)
        yield store
