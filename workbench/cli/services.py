"""Settings, model pool and store of a command, closed however the command ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from workbench.inference.pool import Pool
    from workbench.settings import Settings
    from workbench.store.store import Store


class Services(NamedTuple):
    """Opened as the settings say."""

    settings: Settings
    pool: Pool
    store: Store


@contextlib.contextmanager
def open_services(store_file: Path | None = None) -> Iterator[Services]:
    """All of them. store_file: another one than the user's own. Raises SettingsError or StoreError."""
    from workbench.cli import terminal
    from workbench.inference.pool import Pool
    from workbench.settings import load_settings
    from workbench.training.cleanup import remove_leftovers

    settings = load_settings()
    remove_leftovers()
    with open_store(store_file) as store, contextlib.closing(Pool.configured(settings)) as pool:
        pool.turns.log = terminal.log
        yield Services(settings, pool, store)


@contextlib.contextmanager
def open_store(file: Path | None = None) -> Iterator[Store]:
    """The store alone, for commands that need no model."""
    from workbench import paths
    from workbench.cli import terminal
    from workbench.store.store import Store
    from workbench.store.store_file import check_store_file

    if file:
        check_store_file(file, new=True)
    with contextlib.closing(Store(file or paths.data_folder() / "workbench.sqlite")) as store:
        if store.notice:
            terminal.log(store.notice)
        yield store
