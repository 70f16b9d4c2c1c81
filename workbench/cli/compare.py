"""`workbench compare`: a few cases of a bench, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, Deterministic, Trust, Variants
from workbench.cli.selection import BenchSelection, apply_selection, load_bench_cases, select_cases
from workbench.cli.trust import confirm_trust

if TYPE_CHECKING:
    from workbench.datasets import Case
    from workbench.runs.bench import Bench
    from workbench.runs.cell import Cell, CellFinished
    from workbench.runs.cell_step import CellStep


def main(
    file: BenchFile = None,
    case: Annotated[
        str, typer.Option(metavar="N|N-M|N,M|all", help="Which cases. Default: the one the bench has selected.")
    ] = "",
    variant: Variants = None,
    deterministic: Deterministic = False,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print every cell as JSON instead of a table.")] = False,
    logprobs: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="With --json: each token with this many alternatives.")
    ] = 0,
) -> None:
    """Run a comparison without the screen.

    The table goes to stdout, progress to stderr. If the bench has Python scorers of its own, you are asked before they
    run; in CI, pass --trust. You are asked again when a scorer, or anything it imports, has changed.

    \b
      workbench compare prompts/demo.bench.yaml
      workbench compare prompts/demo.bench.yaml --case 1-20 --variant plain
      workbench compare prompts/demo.bench.yaml --case all --json > cells.json

    \b
    Exit codes: 0 every cell has an answer; 1 some failed, or a scorer failed on
    more than 5% of the answers, lost one or applies to none; 2 the bench cannot be
    used, or its scorers are not trusted; 130 interrupted.
    """

    from workbench.runs.bench import load_bench
    from workbench.runs.opening import choose_bench
    from workbench.runs.tool_file import list_code

    file = file or choose_bench(Path.cwd())
    bench = apply_selection(load_bench(file), BenchSelection(variant or (), deterministic=deterministic))
    confirm_trust(list_code(bench), file.absolute().parent, trust)
    finished = _run(bench, file, _choose_cases(bench, file, case), deterministic, logprobs)
    cells = [one.cell for one in finished]
    if json:
        terminal.write_json(_encode_cells(finished))
    else:
        from workbench.cli.table import print_cells

        print_cells(cells)
    unscored = _log_unscored(cells, needed=bench.dataset is not None)
    raise typer.Exit(terminal.FAILED if unscored or any(cell.error for cell in cells) else terminal.OK)


def _log_unscored(cells: list[Cell], needed: bool) -> bool:
    """Log the scorers that gave no score where they should have; whether that makes the command fail.

    needed: a scorer without anything to judge is a failure too; what a person types has no expected answer.
    """
    from workbench.scoring.unscored import count_outcomes, describe_outcome

    found = count_outcomes(score for cell in cells for score in cell.scores)
    for outcome in found:
        if outcome.is_reported:
            terminal.log(describe_outcome(outcome))
    return any(outcome.fails or (needed and outcome.idle) for outcome in found)


def _run(bench: Bench, file: Path, cases: list[Case], deterministic: bool, logprobs: int) -> list[CellFinished]:
    from workbench.inference.pool import Pool
    from workbench.runs.cell import CellFinished
    from workbench.runs.comparison import compare
    from workbench.runs.sources import find_sources
    from workbench.settings import load_settings

    settings = load_settings()
    sources = find_sources(bench, file.parent, settings)
    strategy = bench.context_strategy or settings.context_strategy
    pool = Pool.configured(settings, deterministic)
    finished: list[CellFinished] = []
    try:
        for event in compare(bench, cases, pool, sources, strategy, folder=file.parent, top_logprobs=logprobs):
            if isinstance(event, CellFinished):
                finished.append(event)
                _log_cell(event.cell, len(finished), len(cases) * len(bench.variants))
    finally:
        pool.close()
    order = {variant.name: index for index, variant in enumerate(bench.variants)}
    return sorted(finished, key=lambda one: (one.cell.case, order[one.cell.variant]))


def _log_cell(cell: Cell, done: int, total: int) -> None:
    scores = "  ".join(f"{score.scorer} {score.value:.2f}" for score in cell.scores if score.applies)
    outcome = f"error: {cell.error.splitlines()[0]}" if cell.error else scores
    terminal.log(f"[{done}/{total}] case {cell.case}, {cell.variant}: {outcome or 'done'}")
    for note in cell.completion.notes:
        terminal.log(f"  Note: {note}")


def _choose_cases(bench: Bench, file: Path, wanted: str) -> list[Case]:
    """The wanted cases; the bench's selected one as it was edited. Without a dataset, the one that was typed."""
    from workbench.datasets import with_inputs

    cases = load_bench_cases(bench, file)
    if bench.dataset is None:
        return list(cases)
    chosen = select_cases(cases, wanted or str(bench.case))
    return [with_inputs(case, bench.inputs) if case.number == bench.case else case for case in chosen]


def _encode_cells(cells: Sequence[CellFinished]) -> str:
    """The cells as one JSON object; a score that does not apply is left out."""
    import msgspec

    encoded = msgspec.json.encode({"cells": [_describe(cell) for cell in cells]})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _describe_call(step: CellStep) -> dict[str, Any]:
    """One call of a chain, or why it was not made."""
    done = step.completion
    return {
        "step": step.name,
        "kind": step.kind,
        "state": step.state,
        "item": step.index or None,
        "sample": step.sample or None,
        "attempt": step.attempt or None,
        "answers": step.answers,
        "model": step.model,
        "text": done.text,
        "prompt_tokens": done.prompt_tokens,
        "output_tokens": done.output_tokens,
        "elapsed_seconds": done.elapsed_seconds,
        "stop_reason": done.stop_reason,
        "note": step.note or None,
        "error": step.error or None,
    }


def _describe(finished: CellFinished) -> dict[str, Any]:
    cell, completion = finished.cell, finished.cell.completion
    return {
        "variant": cell.variant,
        "case": cell.case,
        "text": completion.text,
        "scores": {score.scorer: score.value for score in cell.scores if score.applies},
        "prompt_tokens": completion.prompt_tokens,
        "output_tokens": completion.output_tokens,
        "thinking_tokens": completion.thinking_tokens,
        "seconds_to_first_token": completion.seconds_to_first_token,
        "seconds_to_first_answer_token": completion.seconds_to_first_answer_token,
        "tokens_per_second": completion.tokens_per_second,
        "stop_reason": completion.stop_reason,
        **({"server": completion.server} if completion.server else {}),
        "deterministic": completion.deterministic,
        "notes": list(completion.notes),
        "error": cell.error or None,
        **({"steps": [_describe_call(step) for step in cell.steps]} if cell.steps else {}),
        **({"tokens": finished.tokens} if finished.tokens else {}),
    }
