"""Desk: everything an open bench needs, made away from the screen's thread so that the first frame need not wait.

This module may be slow to import; app.py imports it only once something is on the screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from workbench import paths
from workbench.evaluation.opening import choose_bench
from workbench.evaluation.session import Session
from workbench.hosting.pool import Pool
from workbench.models.discover import default_folders, discover_adapters, discover_models
from workbench.models.reference import Adapter, Model
from workbench.settings import Settings


class Desk(NamedTuple):
    """models, adapters: those that are known at once. complete: whether there is no need to look for more."""

    session: Session
    pool: Pool
    models: tuple[Model, ...]
    adapters: tuple[Adapter, ...] = ()
    complete: bool = False


def open_desk(bench: Path | None, model: Path | None, settings: Settings) -> Desk:
    """Open a bench, the one that `choose_bench` finds when None, and a pool that starts no engine yet.

    model: a file that every pane runs on, remembered in the bench once it is saved.
    Raises WorkbenchError when there is no bench to open.
    """
    session = Session(bench or choose_bench(Path.cwd()), settings)
    if model is not None:
        session.use_model(model)
    shipped = (paths.find_shipped("assets"),)
    pool = Pool.configured(settings)
    return Desk(session, pool, discover_models(shipped), discover_adapters(shipped))


def find_models(session: Session) -> tuple[tuple[Model, ...], tuple[Adapter, ...]]:
    """Every model and adapter in the places where people have them; may take a while."""
    folders = default_folders(session.settings, session.path.parent)
    return discover_models(folders), discover_adapters(folders)
