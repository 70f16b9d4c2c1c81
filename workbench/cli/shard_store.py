"""The store that a shard of a run writes into, where `--store` names none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import terminal
from workbench.errors import StoreError

if TYPE_CHECKING:
    from workbench.cli.selection import BenchSelection
    from workbench.runs.bench import Bench
    from workbench.runs.shard import Shard
    from workbench.store.runs import Run
    from workbench.store.store import Store


def default_store(bench: str, shard: Shard) -> Path:
    """A file in the working folder that no other shard of the bench writes: `demo.3-of-8.sqlite`."""
    from workbench.runs.opening import choose_bench

    name = (Path(bench) if bench else choose_bench(Path.cwd())).name.removesuffix(".bench.yaml")
    path = Path(f"{name}.{shard.number}-of-{shard.count}.sqlite")
    terminal.log(f"Store: {path}")
    return path


def find_shard_run(store: Store, shard: Shard, bench: str, selection: BenchSelection) -> Run:
    """The run of a shard that is to be continued. Raises StoreError where the store's latest run is another shard, or
    the bench is no longer what it was: the other shards would be of another one."""
    from workbench.cli.selection import apply_selection
    from workbench.runs.bench import load_bench, parse_stored_bench
    from workbench.runs.opening import choose_bench
    from workbench.runs.serialisation import read_config
    from workbench.store.runs import list_runs

    run = list_runs(store)[0]
    found = read_config(run).shard
    if found != str(shard):
        raise StoreError(
            f"{store.path} has {f'shard {found}' if found else 'a run that is not a shard'}, not shard {shard}.",
            "Give each shard a store of its own.",
        )
    now = apply_selection(load_bench(Path(bench) if bench else choose_bench(Path.cwd())), selection)
    then = parse_stored_bench(run.text, f"the bench of run {run.id}")
    if _without_perturbed(now) != _without_perturbed(then):
        raise StoreError(
            f"The bench, or what is selected of it, has changed since shard {shard} was begun (run {run.id}).",
            f"To start over, delete {store.path}, and those of the other shards.",
        )
    return run


def _without_perturbed(bench: Bench) -> Bench:
    """The bench without the variants that --robustness adds."""
    import msgspec

    return msgspec.structs.replace(bench, variants=tuple(one for one in bench.variants if one.perturbation is None))


def has_runs(store: Store) -> bool:
    """Whether a shard was begun, so that --resume continues it; a job that is started again need not know."""
    from workbench.store.runs import list_runs

    return bool(list_runs(store))
