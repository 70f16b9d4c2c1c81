"""`workbench runs merge`: one run of several that are parts of it, such as the shards of a job array."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.errors import StoreError, WorkbenchError
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.cli.results import Formats
    from workbench.runs.merge import MergeResult
    from workbench.runs.merge_check import MergeSource
    from workbench.store.store import Store


def merge(store: Store, wanted: Sequence[str], note: str, formats: Formats) -> int:
    """Merge runs into the store and show the results; the exit code, as of `workbench eval`.

    wanted: stores (a file, or `FILE:RUN` where it has several runs), or runs of this store.
    """
    from workbench.cli.eval import conclude
    from workbench.runs.merge import merge_runs

    if not wanted:
        raise WorkbenchError("Expected the runs to merge.", "workbench runs merge shard-1.sqlite shard-2.sqlite")
    with _open_sources(store, wanted) as sources:
        result = merge_runs(sources, store, note)
    _log(result)
    code = conclude(result.run, store, formats)
    if result.cells < result.total:
        terminal.log(f"Run the missing cells with: workbench eval --resume {result.run}")
        return terminal.FAILED
    return code


@contextlib.contextmanager
def _open_sources(store: Store, wanted: Sequence[str]) -> Iterator[list[MergeSource]]:
    from workbench.runs.merge_check import MergeSource
    from workbench.store.runs import find_run
    from workbench.store.store import Store
    from workbench.store.store_file import check_store_file

    with contextlib.ExitStack() as stack:
        sources = []
        for name in wanted:
            file, run = _split(name)
            if file is None:
                sources.append(MergeSource(store, find_run(store, run), f"run {name}"))
                continue
            check_store_file(file)
            other = stack.enter_context(contextlib.closing(Store(file)))
            if other.notice:
                terminal.log(other.notice)
            sources.append(MergeSource(other, find_run(other, run or _only_run(other, name)), name))
        _check_different(sources)
        yield sources


def _split(name: str) -> tuple[Path | None, str]:
    """The store's file, None for this store, and the run in it; "" for the only one."""
    before, _, after = name.rpartition(":")
    if Path(name).is_file():
        return Path(name), ""
    if before and Path(before).is_file():
        return Path(before), after
    if any(sign in name for sign in "/\\.:"):
        raise StoreError(f"No such file: {name}.", "Name the store that `workbench eval --shard` wrote.")
    return None, name


def _only_run(store: Store, name: str) -> str:
    from workbench.store.runs import list_runs

    runs = [run.id for run in list_runs(store)]
    if len(runs) != 1:
        found = f"several runs: {', '.join(runs)}" if runs else "no run"
        raise StoreError(f"{name} has {found}.", f"Name one: {name}:{runs[0]}" if runs else "Give another file.")
    return runs[0]


def _check_different(sources: Sequence[MergeSource]) -> None:
    """A file that is named twice is a mistake, and not a second result of each of its cells."""
    seen: dict[tuple[Path, int], str] = {}
    for source in sources:
        key = (source.store.path.resolve(), source.run.key)
        if key in seen:
            raise StoreError(f"{source.name} is named twice.", "Name each part once.")
        seen[key] = source.name


def _log(result: MergeResult) -> None:
    for part in result.parts:
        shard = f", shard {part.shard}" if part.shard else ""
        cells = format_plural(part.total, "cell")
        cells = cells if part.cells == part.total else f"{part.cells:,} of {cells}"
        failed = f", {part.failed:,} failed" if part.failed else ""
        terminal.log(f"  {part.name} (run {part.run}{shard}): {cells}{failed}")
    repeated = f", {result.repeated:,} of them in more than one part" if result.repeated else ""
    terminal.log(f"Run {result.run}: {result.cells:,} of {result.total:,} cells{repeated}.")
    for shard in _missing_shards(result):
        terminal.log(f"Shard {shard} is missing.")


def _missing_shards(result: MergeResult) -> list[str]:
    """Those of the same division that were not given."""
    from workbench.runs.shard import parse_shard

    shards = [parse_shard(part.shard) for part in result.parts if part.shard]
    counts = {shard.count for shard in shards}
    if len(counts) != 1 or len(shards) != len(result.parts):
        return []
    (count,) = counts
    given = {shard.number for shard in shards}
    return [f"{number}/{count}" for number in range(1, count + 1) if number not in given]
