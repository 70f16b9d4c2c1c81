"""One variant of a bench, run in several versions on the same cases: what `effects` and `scale` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.selection import BenchSelection, apply_selection, load_bench_cases
from workbench.cli.services import open_services
from workbench.cli.trust import confirm_trust
from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.runs.bench import Bench, Variant
    from workbench.runs.sources import Sources
    from workbench.runs.view import RunView

MakeVariants = Callable[["Variant", "Sources"], tuple["Variant", ...]]


@contextmanager
def run_variants(
    file: Path | None, variant: str, selection: BenchSelection, what: str, trusted: bool, make: MakeVariants
) -> Iterator[tuple[RunView, Variant]]:
    """Run the versions of a variant on the bench's cases; a view of the run, and the variant as the bench has it.

    what: one word for the run's name. trusted: as in confirm_trust. Cached answers are reused.
    """
    from workbench.cli.eval import log_unscored, run_to_end
    from workbench.runs.bench import load_bench, with_variants
    from workbench.runs.opening import choose_bench
    from workbench.runs.run import Evaluation, RunOptions
    from workbench.runs.sources import find_sources
    from workbench.runs.tool_file import list_code
    from workbench.runs.view import RunView

    path = file or choose_bench(Path.cwd())
    bench = apply_selection(load_bench(path), selection)
    chosen = _choose_variant(bench, variant)
    confirm_trust(list_code(bench), path.absolute().parent, trusted)
    with open_services() as services:
        sources = find_sources(bench, path.absolute().parent, services.settings)
        bench = with_variants(bench, make(chosen, sources))
        name = f"{path.name.removesuffix('.yaml').removesuffix('.bench')} {what}"
        strategy = bench.context_strategy or services.settings.context_strategy
        options = RunOptions(strategy=strategy, unload=True, name=name, note=f"{what} of {chosen.name}")
        cases = load_bench_cases(bench, path)
        evaluation = Evaluation(bench, path, cases, services.pool, sources, services.store, options)
        run_to_end(evaluation)
        view = RunView(services.store, evaluation.run)
        log_unscored(evaluation.run, view, services.store)
        yield view, chosen


def _choose_variant(bench: Bench, wanted: str) -> Variant:
    for variant in bench.variants:
        if variant.name == wanted:
            return variant
    known = ", ".join(variant.name for variant in bench.variants)
    if not wanted:
        raise BenchError("Expected a variant: --variant NAME.", f"The bench has: {known}.")
    raise BenchError(f"No such variant: {wanted}.", f"The bench has: {known}.")
