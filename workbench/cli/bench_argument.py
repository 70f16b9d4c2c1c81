"""The bench that `workbench FILE` means: the file itself, or one made from a file of cases."""

from __future__ import annotations

import shlex
from pathlib import Path

from workbench.cli import terminal
from workbench.errors import BenchError

_YAML = (".yaml", ".yml")


def find_bench(file: Path) -> Path:
    """The bench to open. For a file of cases it is made, unless one is there, and that is logged.

    Raises BenchError for a bench that does not exist, with the command that makes one.
    """
    check_exists(file)
    if not file.is_file() or file.suffix.lower() in _YAML:
        return file
    from workbench.runs.new_bench import bench_path, is_data

    if not is_data(file):
        return file
    bench = bench_path(file)
    if bench.exists():
        terminal.log(f"Opening {bench}, the bench of {file.name}.")
        return bench
    return _make(file)


def check_exists(file: Path) -> None:
    """Raise BenchError for a bench that is not there."""
    if file.name.endswith(".bench.yaml") and not file.exists():
        raise BenchError(f"No such bench: {file}.", _suggest(file))


def _make(data: Path) -> Path:
    from workbench.cli.init import describe
    from workbench.runs.new_bench import BenchRequest, create_bench, plan_bench
    from workbench.settings import load_settings

    planned = plan_bench(BenchRequest(data), load_settings())
    for line in describe(planned, create_bench(planned)):
        terminal.log(line)
    return planned.path


def _suggest(bench: Path) -> str:
    stem = bench.name.removesuffix(".bench.yaml")
    folder = bench.parent if bench.parent.is_dir() else Path()
    data = next((path for path in sorted(folder.iterdir()) if path.stem == stem and path.suffix not in _YAML), None)
    name = "" if data else f" --name {shlex.quote(stem)}"
    return f"Make it from a file of cases: workbench init {shlex.quote(str(data)) if data else 'CASES.csv'}{name}"
