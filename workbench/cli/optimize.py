"""`workbench optimize`: search for a better prompt on dev cases, and test the winner once on sealed ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli import terminal
from workbench.cli.options import BenchFile, Json, Metric, PageReports, Trust
from workbench.cli.services import open_services
from workbench.cli.trust import confirm_trust

if TYPE_CHECKING:
    from workbench.cli.services import Services
    from workbench.search.prompt_search import PromptSearch
    from workbench.search.request import SearchRequest
    from workbench.search.result import SearchResult
    from workbench.search.search_dir import SearchDir


def main(
    file: BenchFile = None,
    variant: Annotated[str, typer.Option(metavar="NAME", help="The variant whose prompt to improve.")] = "",
    method: Annotated[
        Literal["examples", "instructions", "both"],
        typer.Option(
            "--with", metavar="METHOD", help="examples: choose few-shot examples; instructions: rewrite the prompt."
        ),
    ] = "examples",
    budget: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Calls at most, final test included. Default: 30 x dev + test."),
    ] = None,
    token_budget: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tokens at most, final test included.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.0, metavar="N", help="Minutes at most, final test included.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0.0, metavar="MONEY", help="Money at most, final test included.")
    ] = None,
    reflector: Annotated[
        str, typer.Option(metavar="MODEL", help="Model that rewrites instructions. Default: templates alone.")
    ] = "",
    metric: Metric = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all that is drawn.")] = 0,
    group: Annotated[str, typer.Option(metavar="COLUMN", help="Never divide rows with the same value here.")] = "",
    dev: Annotated[int, typer.Option(min=4, metavar="N", help="Cases to search on, at most.")] = 200,
    test: Annotated[int, typer.Option(min=4, metavar="N", help="Cases of the final test, at most.")] = 500,
    max_examples: Annotated[int, typer.Option(min=1, metavar="N", help="Few-shot examples in a prompt.")] = 16,
    patience: Annotated[int, typer.Option(min=1, metavar="N", help="Rounds without improvement before it ends.")] = 5,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Requests in flight.")] = 16,
    out: Annotated[
        str, typer.Option(metavar="PROMPT", help="Name of the prompt to write, whatever the test says of it.")
    ] = "",
    resume: Annotated[str, typer.Option(metavar="ID", help="Continue a search: its ID, or `last`.")] = "",
    list_searches: Annotated[bool, typer.Option("--list", help="List earlier searches.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and ask no model.")] = False,
    trust: Trust = False,
    json: Json = False,
    report: PageReports = None,
) -> None:
    """Search for a better prompt, and test it on unseen cases.

    Candidates are made from the train split and compared on the validation split. At the end, the winner and the
    hand-written prompt meet once on the test split, which the search never sees; a dataset without splits is divided
    once, and stays so. A better prompt is written into the library; nothing is written over.

    \b
      workbench optimize prompts/demo.bench.yaml --variant few-shot --dry-run
      workbench optimize prompts/demo.bench.yaml --variant few-shot --budget 4000
      workbench optimize --variant plain --with instructions --reflector big
      workbench optimize --resume last

    \b
    Exit codes: 0 the search ended, with an improvement or without; 2 there
    is nothing to search; 130 interrupted, continue with --resume.
    """
    if list_searches:
        _list_searches()
        return
    from workbench.search.budget import SearchBudget
    from workbench.search.prompt_search import PromptSearch
    from workbench.search.request import SearchRequest
    from workbench.search.search_dir import find_search_dir
    from workbench.search.search_report import find_search_format

    for path in report or ():
        find_search_format(path)  # before anything runs
    search_dir = find_search_dir(resume) if resume else None
    if search_dir is not None and search_dir.read_state().ended is not None:
        with open_services() as services:
            _finish(search_dir, services, json, report or [])
        return
    if search_dir is not None:
        wanted = search_dir.started.request
    else:
        limits = SearchBudget(budget, token_budget, max_minutes, max_cost)
        wanted = SearchRequest(
            str(_find_bench(file)),
            variant,
            method,
            limits,
            reflector,
            metric,
            seed,
            out,
            dev,
            test,
            max_examples=max_examples,
            patience=patience,
            concurrency=concurrency,
            group=group,
        )
    _confirm(wanted, trust)
    with open_services() as services:
        shown = _ProgressView()
        search = PromptSearch(wanted, *services, shown.on_event, search_dir)
        _print_plan(search, json and dry_run)
        if dry_run:
            return
        if _run(search, shown) is not None and search.search_dir is not None:
            _finish(search.search_dir, services, json, report or [])


def _find_bench(file: Path | None) -> Path:
    from workbench.runs.opening import choose_bench

    return (file or choose_bench(Path.cwd())).absolute()


def _confirm(request: SearchRequest, trusted: bool) -> None:
    from workbench.runs.bench import load_bench
    from workbench.runs.tool_file import list_code

    path = Path(request.bench)
    confirm_trust(list_code(load_bench(path)), path.parent, trusted)


class _ProgressView:
    """The progress of a search on stderr."""

    def __init__(self) -> None:
        from workbench.cli.progress import ProgressLine
        from workbench.search.state import SearchState

        self.line = ProgressLine()
        self.state = SearchState()
        self._problem = ""

    def on_event(self, event: object) -> None:
        from workbench.search.journal import BestChanged, SearchProgress, TestOpened
        from workbench.search.search_words import describe_openings

        self.state.add(event)  # type: ignore[arg-type]
        if isinstance(event, SearchProgress):
            self.line.show_text(_describe_progress(event, self.state.best, self.state.score(self.state.best)))
            if event.problem != self._problem:
                self._problem = event.problem
                self.line.note(f"Waiting: {event.problem}" if event.problem else "The search continues.")
        elif isinstance(event, BestChanged):
            candidate = self.state.candidates[event.candidate]
            self.line.note(f"{candidate.id}  {abs(event.score):.3f} on dev  {candidate.reason}")
        elif isinstance(event, TestOpened):
            self.line.note(describe_openings(event.count))


def _describe_progress(event: object, best: str, score: float | None) -> str:
    from workbench.search.budget import SearchBudget, describe_spending
    from workbench.search.journal import SearchProgress

    assert isinstance(event, SearchProgress)
    figure = "" if score is None else f"  best {best} {abs(score):.3f}"
    return f"{describe_spending(event.spending, SearchBudget())}{figure}  {event.doing} {event.done:,}/{event.total:,}"


def _run(search: PromptSearch, shown: _ProgressView) -> SearchResult | None:
    try:
        return search.run()
    except KeyboardInterrupt:
        shown.line.end()
        if search.id:
            terminal.log(f"Stopped. Continue with: workbench optimize --resume {search.id}")
        raise
    finally:
        shown.line.end()


def _print_plan(search: PromptSearch, as_json: bool) -> None:
    import msgspec

    plan = search.plan()
    if search.search_dir is not None and search.search_dir.read_state().openings:  # its own is none before it
        plan = msgspec.structs.replace(plan, openings=plan.openings - 1)
    if as_json:
        from workbench.reports.json import encode

        terminal.write_json(encode(plan))
        return
    from workbench.search.search_words import describe_plan

    for line in describe_plan(plan):
        terminal.log(line)


def _finish(search_dir: SearchDir, services: Services, json: bool, reports: list[Path]) -> None:
    """Write the prompt of a search that came to its end, unless that was done, and report."""
    from workbench.search.search_report import (
        SearchReport,
        render_search_json,
        render_search_markdown,
        write_search_report,
    )

    state = search_dir.read_state()
    result, request = state.ended, search_dir.started.request
    assert result is not None
    if result.winner != result.seed and (result.improved or request.name) and not result.prompt:
        result = _save(search_dir, request, result, services)
    found = SearchReport(f"{request.variant} of {Path(request.bench).name}", result, state)
    if json:
        terminal.write_json(render_search_json(found))
    else:
        terminal.write(render_search_markdown(found, plain=sys.stdout.isatty()))
    for path in reports:
        write_search_report(found, path)


def _save(search_dir: SearchDir, request: SearchRequest, result: SearchResult, services: Services) -> SearchResult:
    from workbench.runs.bench import load_bench
    from workbench.runs.opening import open_library
    from workbench.search.acceptance import accept_candidate

    path = Path(request.bench)
    bench = load_bench(path)
    variant = next((one for one in bench.variants if one.name == request.variant), bench.variants[0])
    library = open_library(services.settings, bench, path.parent)
    saved = accept_candidate(search_dir, library, variant.prompt, variant.model, result.winner, request.name)
    terminal.log(f"Written: {saved.path}")
    return search_dir.read_state().ended or result


def _list_searches() -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.search.search_dir import list_search_dirs

    table = make_table(["search", "state", "variant", "with", "calls", "candidates"], right=["calls", "candidates"])
    for one in list_search_dirs():
        state = one.read_state()
        if state.started is None:
            continue
        word = "running" if one.is_alive() else "interrupted"
        if state.ended is not None:
            word = "improved" if state.ended.improved else "no improvement"
        request = state.started.request
        row = [one.id, word, request.variant, request.method, f"{state.spending.calls:,}", str(len(state.candidates))]
        table.add_row(*map(show, row))
    console().print(table)
