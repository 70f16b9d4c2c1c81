"""`workbench synthesize`: more rows for a dataset, written by a model and reviewed by a person one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json
from workbench.errors import SynthesisError

if TYPE_CHECKING:
    from workbench.inference.pool import Pool
    from workbench.settings import Settings
    from workbench.synthesis.material import SynthesisMaterial
    from workbench.synthesis.request import SynthesisRequest
    from workbench.synthesis.review import RowReview


def main(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="BENCH|FILE", help="A bench, or a file of cases such as reviews.csv.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Who writes. Default: the bench's first model, or the first found.")
    ] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000, metavar="N", help="Rows to write.")] = 20,
    about: Annotated[str, typer.Option(metavar="TEXT", help="What the rows are, in a sentence for the model.")] = "",
    balance: Annotated[bool, typer.Option("--balance", help="Ask for the rarest labels first.")] = False,
    persona: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Who writes a row; one is drawn for each. Repeatable.")
    ] = None,
    shown: Annotated[int, typer.Option(min=1, max=50, metavar="N", help="Rows shown to the model in each call.")] = 4,
    similarity: Annotated[
        float, typer.Option(min=0.5, max=1.0, metavar="X", help="How alike two rows must be to count as the same.")
    ] = 0.9,
    temperature: Annotated[float, typer.Option(min=0.0, max=5.0, metavar="X", help="Of the model.")] = 0.9,
    schema: Annotated[
        bool, typer.Option("--schema/--no-schema", help="Hold the model to the JSON schema as it writes.")
    ] = True,
    max_calls: Annotated[
        int, typer.Option(min=0, metavar="N", help="Calls at most. Default: four for each row, and eight.")
    ] = 0,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Requests in flight.")] = 4,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of everything that is drawn.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="JSON lines file of the accepted rows.")
    ] = None,
    review: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with a review: write what is missing, then show it.")
    ] = None,
    accept_all: Annotated[
        bool, typer.Option("--accept-all", help="Accept every row that passes the checks, without a review.")
    ] = False,
    json: Json = False,
) -> None:
    """Write more rows for a dataset with a model.

    The model is shown some rows of the training split and writes a new one under a JSON schema that is made from
    them. Rows that repeat a row of the dataset, of an evaluation, or one another are dropped and counted. The others
    wait in a review file; on the screen you accept, edit or reject them one by one. Accepted rows are written at once,
    marked `origin: synthetic`: no evaluation counts them unless its dataset says `synthetic: include`.

    \b
      workbench synthesize prompts/demo.bench.yaml --model big -n 40 --balance
      workbench synthesize reviews.csv --about "hotel reviews" --persona "a tired parent"
      workbench synthesize --review synthetic-reviews.review.jsonl
      workbench synthesize reviews.csv -n 100 --accept-all -o more.jsonl

    \b
    Exit codes: 0 all rows were written; 1 fewer than asked for; 2 the
    data or the model cannot be used; 130 interrupted, continue with --review.
    """
    from workbench.inference.pool import Pool
    from workbench.settings import load_settings
    from workbench.synthesis.opening import begin_review, continue_review

    if (file is None) == (review is None):
        raise SynthesisError("Expected either a bench or file of cases, or --review.", "See `synthesize --help`.")
    settings = load_settings()
    if review is not None:
        opened, material = continue_review(review.absolute())
    else:
        assert file is not None
        material = _open(file, seed)
        request = _make_request(
            file, material, settings, model, out, count, about, balance, persona or [], shown, similarity, temperature,
            schema, max_calls, concurrency, seed,
        )  # fmt: skip
        opened = begin_review(request, material)
    for note in material.notes:
        terminal.log(note)
    pool = Pool.configured(settings)
    try:
        _write_rows(opened, material, settings, pool)
        if accept_all:
            for row in opened.state.rows:
                if row.decision == "undecided":
                    opened.decide(row.call, "accept")
    finally:
        pool.close()
        opened.close()
    _report(opened, json)
    if not accept_all and not json and terminal.is_interactive() and opened.state.count("undecided"):
        raise typer.Exit(context.obj(_find_bench(opened.request), None, None, opened.path))
    if len(opened.state.rows) < opened.request.count:
        raise typer.Exit(terminal.FAILED)


def _open(file: Path, seed: int) -> SynthesisMaterial:
    from workbench.cli.bench_argument import check_exists
    from workbench.synthesis.material import open_material

    check_exists(file)
    return open_material(file.absolute(), seed)


def _make_request(
    source: Path,
    material: SynthesisMaterial,
    settings: Settings,
    model: str,
    out: Path | None,
    count: int,
    about: str,
    balance: bool,
    personas: list[str],
    shown: int,
    similarity: float,
    temperature: float,
    schema: bool,
    max_calls: int,
    concurrency: int,
    seed: int,
) -> SynthesisRequest:
    from workbench.runs.new_bench import choose_model
    from workbench.synthesis.request import SynthesisRequest
    from workbench.synthesis.review import propose_out

    if not model and material.default_model:
        model = material.default_model
    elif not model:
        model, note = choose_model("", material.folder, settings)
        terminal.log(note)
    if balance and not material.task.labels:
        raise SynthesisError("There are no labels to balance: the expected answers are not classes.", "Leave it out.")
    return SynthesisRequest(
        source=str(source.absolute()),
        model=model,
        count=count,
        out=str((out or propose_out(source)).absolute()),
        about=about,
        balance=balance,
        personas=tuple(personas),
        shown=shown,
        similarity=similarity,
        temperature=temperature,
        constrained=schema,
        max_calls=max_calls,
        concurrency=concurrency,
        seed=seed,
    )


def _write_rows(review: RowReview, material: SynthesisMaterial, settings: Settings, pool: Pool) -> None:
    import asyncio

    from workbench.cli.progress import ProgressLine
    from workbench.runs.new_bench import is_shipped
    from workbench.synthesis.opening import find_model
    from workbench.synthesis.review_state import describe_counts
    from workbench.synthesis.synthesizer import Synthesizer

    line = ProgressLine()
    model = find_model(review.request, material, settings)
    if is_shipped(model):
        terminal.log(f"{model.name} has learned only the demo's tasks and writes no useful rows; name another --model.")
    writer = Synthesizer(review, material, pool.client(model), lambda: line.show_text(describe_counts(review.state)))
    try:
        asyncio.run(writer.run())
    except KeyboardInterrupt:
        line.end()
        terminal.log(f"Stopped. Continue with: workbench synthesize --review {review.path}")
        raise
    finally:
        line.end()


def _report(review: RowReview, as_json: bool) -> None:
    from workbench.synthesis.review_state import describe_counts, describe_drops

    state = review.state
    if as_json:
        terminal.write_json(_encode(review))
        return
    terminal.write(f"{describe_counts(state)}\n")
    for line in describe_drops(state):
        terminal.write(f"  {line}\n")
    if state.last_drop is not None:
        terminal.write(f"  the last one, of call {state.last_drop.call + 1}: {state.last_drop.detail}\n")
    if state.paused:
        terminal.write(f"Ended early: {state.paused}.\n")
    if state.accepted:
        terminal.write(f"Accepted rows: {review.out}\n")
    if state.count("undecided"):
        terminal.write(f"Review them: workbench synthesize --review {review.path}\n")


def _encode(review: RowReview) -> str:
    import msgspec

    state = review.state
    found = {
        "out": str(review.out),
        "review": str(review.path),
        "calls": state.calls,
        "rows": len(state.rows),
        "accepted": state.count("accept"),
        "rejected": state.count("reject"),
        "undecided": state.count("undecided"),
        "dropped": dict(state.dropped),
        "ended_early": state.paused or None,
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"


def _find_bench(request: SynthesisRequest) -> Path | None:
    """The bench to open below the review; None for the one that would open anyway."""
    source = Path(request.source)
    return source if source.name.endswith(".bench.yaml") else None
