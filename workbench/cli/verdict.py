"""`workbench verdict`: whether an adapter was worth its training, on a held-out split, in numbers and in words.

Knows nothing of how that is found out (training/contest.py) or laid out (training/verdict_report.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.training.verdict import Verdict


def main(
    bench: Annotated[Path | None, typer.Argument(metavar="[FILE.bench.yaml]", help="The comparison.")] = None,
    adapter: Annotated[str, typer.Option(metavar="NAME", help="Which; else the bench's, else the newest.")] = "",
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="Requests side by side; 1: truest latencies.")] = 4,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Only the first N cases of each split.")] = 0,
    curve: Annotated[
        str, typer.Option(metavar="N,N,…", help="Also train on so many rows each (such as 10,25,50,100).")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON instead of Markdown.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts as well.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the Markdown as well.")] = None,
) -> None:
    """Weigh an adapter against the best prompt.

    The best prompt is chosen on the validation split; then zero-shot, few-shot, the best prompt, the adapter with the
    short prompt and the adapter with examples answer the test split, each question once.

    \b
      workbench verdict prompts/demo.bench.yaml --adapter demo-plain
      workbench verdict prompts/demo.bench.yaml --html verdict.html
      workbench verdict prompts/demo.bench.yaml --curve 10,25,50,100

    \b
    Exit codes: 0 there is a verdict; 2 there is nothing to compare; 130
    interrupted.
    """
    from workbench.evaluation.opening import choose_bench
    from workbench.training.verdict_report import render_json, render_markdown, write_html

    counts = _read_counts(curve)
    verdict = _judge(bench or choose_bench(Path.cwd()), adapter, at_once, limit, counts)
    terminal.write(render_json(verdict) if json else render_markdown(verdict))
    if html:
        write_html(verdict, html)
    if markdown:
        from workbench import files

        files.write_text(markdown, render_markdown(verdict))


def _read_counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        counts = (0,)
    if any(count < 1 for count in counts):
        raise WorkbenchError(f"--curve: expected numbers of rows, found {text!r}.", "Such as --curve 10,25,50,100")
    return counts


def _judge(bench: Path, adapter: str, at_once: int, limit: int, counts: tuple[int, ...]) -> Verdict:
    from workbench import paths
    from workbench.cli.progress import ProgressLine
    from workbench.evaluation.progress import RunEvent, RunFinished, RunProgress
    from workbench.hosting.pool import Pool
    from workbench.settings import load_settings
    from workbench.store.store import Store
    from workbench.training.contest import Contest, Wanted
    from workbench.training.curve import train_on_fewer

    settings = load_settings()
    line = ProgressLine()
    last: list[RunProgress] = []

    def tell(event: RunEvent) -> None:
        if isinstance(event, RunProgress):
            last[:] = [event]
            line.show(event)
        elif isinstance(event, RunFinished):
            if last:
                line.show(last[0], last=True)
            line.end()

    pool = Pool(settings.threads, settings.max_context_tokens)
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        wanted = Wanted(bench, adapter, at_once, limit)
        contest = Contest(wanted, settings, pool, store, tell)
        if counts:
            made = train_on_fewer(contest.manifest, counts, terminal.say)
            contest = Contest(wanted._replace(curve=made), settings, pool, store, tell)
        return contest.judge()
    finally:
        pool.close()
        store.close()
