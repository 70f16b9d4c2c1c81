"""One variant of a bench run in several forms: what `effects` and `scale` share.

Knows nothing of which forms there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.consent import settle_trust
from workbench.cli.part import Part, choose_part, load_bench_cases
from workbench.cli.tools import open_tools
from workbench.errors import BenchError

if TYPE_CHECKING:
    from workbench.evaluation.bench import Bench, Variant
    from workbench.evaluation.sources import Sources
    from workbench.evaluation.view import RunView

Forms = Callable[["Variant", "Sources"], tuple["Variant", ...]]


@contextmanager
def run_forms(
    file: str, variant: str, part: Part, what: str, trusted: bool, make: Forms
) -> Iterator[tuple[RunView, Variant]]:
    """Run the forms of a variant on the bench's cases; a view of the run, and the variant as the bench has it.

    what: one word for the run's name. trusted: as in settle_trust. Answers that are known already are not asked for
    again.
    """

    from workbench.cli.eval import carry_out, say_unscored
    from workbench.evaluation.bench import load_bench, with_variants
    from workbench.evaluation.opening import choose_bench
    from workbench.evaluation.run import Evaluation, Options
    from workbench.evaluation.sources import find_sources
    from workbench.evaluation.view import RunView

    path = Path(file) if file else choose_bench(Path.cwd())
    bench = choose_part(load_bench(path), part)
    chosen = _choose_variant(bench, variant)
    settle_trust(bench.scorers, path.absolute().parent, trusted)
    with open_tools() as tools:
        sources = find_sources(bench, path.absolute().parent, tools.settings)
        bench = with_variants(bench, make(chosen, sources))
        name = f"{path.name.removesuffix('.yaml').removesuffix('.bench')} {what}"
        strategy = bench.context_strategy or tools.settings.context_strategy
        options = Options(strategy=strategy, unload=True, name=name, note=f"{what} of {chosen.name}")
        cases = load_bench_cases(bench, path)
        evaluation = Evaluation(bench, path, cases, tools.pool, sources, tools.store, options)
        carry_out(evaluation)
        view = RunView(tools.store, evaluation.run)
        say_unscored(evaluation.run, view, tools.store)
        yield view, chosen


def _choose_variant(bench: Bench, wanted: str) -> Variant:
    for variant in bench.variants:
        if variant.name == wanted:
            return variant
    known = ", ".join(variant.name for variant in bench.variants)
    if not wanted:
        raise BenchError("Say which variant: --variant NAME.", f"The bench has: {known}.")
    raise BenchError(f"No variant is called {wanted}.", f"The bench has: {known}.")
