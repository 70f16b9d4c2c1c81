"""One variant of a bench run in several forms: what `effects` and `scale` share.

Knows nothing of which forms there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.cli.eval import Part
    from workbench.evaluation.bench import Bench, Variant
    from workbench.evaluation.sources import Sources
    from workbench.evaluation.view import RunView

Forms = Callable[["Variant", "Sources"], tuple["Variant", ...]]


@contextmanager
def run_forms(file: str, variant: str, part: Part, what: str, make: Forms) -> Iterator[tuple[RunView, Variant]]:
    """Run the forms of a variant on the bench's cases; a view of the run, and the variant as the bench has it.

    what: one word for the run's name. Answers that are known already are not asked for again.
    """
    import msgspec

    from workbench import paths
    from workbench.cli.eval import carry_out, choose_part, load_bench_cases
    from workbench.evaluation.bench import load_bench
    from workbench.evaluation.opening import choose_bench
    from workbench.evaluation.run import Evaluation, Options
    from workbench.evaluation.sources import find_sources
    from workbench.evaluation.view import RunView
    from workbench.hosting.pool import Pool
    from workbench.settings import load_settings
    from workbench.store.store import Store

    settings = load_settings()
    path = Path(file) if file else choose_bench(Path.cwd())
    bench = choose_part(load_bench(path), part)
    chosen = _choose_variant(bench, variant)
    sources = find_sources(bench, path.absolute().parent, settings)
    bench = msgspec.structs.replace(bench, variants=make(chosen, sources))
    name = f"{path.name.removesuffix('.yaml').removesuffix('.bench')} {what}"
    strategy = bench.context_strategy or settings.context_strategy
    options = Options(strategy=strategy, unload=True, name=name, note=f"{what} of {chosen.name}")
    cases = load_bench_cases(bench, path)
    pool = Pool.configured(settings)
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        evaluation = Evaluation(bench, path, cases, pool, sources, store, options)
        carry_out(evaluation)
        yield RunView(store, evaluation.run), chosen
    finally:
        pool.close()
        store.close()


def _choose_variant(bench: Bench, wanted: str) -> Variant:
    for variant in bench.variants:
        if variant.name == wanted:
            return variant
    known = ", ".join(variant.name for variant in bench.variants)
    if not wanted:
        raise BenchError("Say which variant: --variant NAME.", f"The bench has: {known}.")
    raise BenchError(f"No variant is called {wanted}.", f"The bench has: {known}.")
