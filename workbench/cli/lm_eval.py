"""`workbench lm-eval`: tasks of EleutherAI's harness on any model of the workbench, adapters on GGUF included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Dtype, Json, Quantization

if TYPE_CHECKING:
    from workbench.harness.evaluation import HarnessResult


def main(
    tasks: Annotated[
        list[str], typer.Option("--tasks", metavar="NAME", help="Tasks, with commas between them. Repeatable.")
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL|URL", help="A model's name or path, or a server's address. Default: the embedded model."
        ),
    ] = "",
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="NAME[=SCALE]", help="Apply this adapter to the model. Repeatable.")
    ] = None,
    dtype: Dtype = "",
    quantization: Quantization = "",
    include_path: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="A folder with tasks of your own. Repeatable.")
    ] = None,
    num_fewshot: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Few-shot examples. Default: as each task says.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N documents of a task.")] = None,
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template", help="Ask in the form of the model's chat template.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the few-shot examples.")] = 1234,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write all that lm-eval returns, samples too.")
    ] = None,
    json: Json = False,
) -> None:
    """Run tasks of lm-eval on a model, with an adapter or without.

    The tasks are those of EleutherAI's harness, or your own in its YAML form. The workbench runs the model: a
    GGUF file with LoRA adapters, a Hugging Face folder, or a server that gives log-likelihoods. lm-eval downloads the
    data of its tasks. Needs the extra `lm-eval`.

    \b
      workbench lm-eval --model ~/models/q.gguf --tasks arc_easy,hellaswag
      workbench lm-eval --model q --adapter mine=0.5 --tasks gsm8k --limit 50
      workbench lm-eval --model q --tasks mine --include-path tasks/

    \b
    Exit codes: 0 the tasks were run; 1 the model failed; 2 the tasks, the model
    or an adapter cannot be used; 130 interrupted.
    """
    from workbench.cli.run import note_lineage, read_adapters
    from workbench.harness.evaluation import HarnessRequest, check_installed, run_tasks
    from workbench.inference.pool import Pool
    from workbench.models.compatibility import check_applied
    from workbench.models.discovery import default_folders, discover_adapters, find_known_models
    from workbench.models.reference import find_applied, resolve_adapters, resolve_model, with_precision
    from workbench.paths import find_shipped
    from workbench.settings import load_settings

    check_installed()
    settings = load_settings()
    named = model or str(find_shipped("assets/desk-q8_0.gguf"))
    chosen = with_precision(
        resolve_model(named, {}, Path.cwd(), find_known_models(settings), settings.offload), dtype, quantization
    )
    folders = default_folders(settings)
    applied = find_applied(
        chosen,
        read_adapters(adapter or []),
        lambda given: resolve_adapters(given, Path.cwd(), discover_adapters(folders) if given else ()),
    )
    check_applied(applied, chosen)
    note_lineage(applied, chosen)
    names = tuple(name.strip() for held in tasks for name in held.split(",") if name.strip())
    request = HarnessRequest(names, tuple(include_path or ()), num_fewshot, limit, apply_chat_template, seed)
    pool = Pool.configured(settings)
    try:
        result = run_tasks(request, pool.client(chosen), applied)
    finally:
        pool.close()
    if out is not None:
        _write(result, out)
    if json:
        terminal.write_json(_encode(result))
    else:
        _print(result)


def _print(result: HarnessResult) -> None:
    from workbench.cli.table import console, make_table, show

    columns = ["task", "metric", "filter", "value", "stderr", "documents", "shots"]
    table = make_table(columns, right=columns[3:])
    for one in result.scores:
        error = "" if one.stderr is None else f"{one.stderr:.4f}"
        shots = "" if one.shots is None else str(one.shots)
        table.add_row(
            *map(show, (one.task, one.metric, one.filter, f"{one.value:.4f}", error, f"{one.documents:,}", shots))
        )
    console().print(table)
    for note in result.notes:
        terminal.log(f"Note: {note}")


def _encode(result: HarnessResult) -> str:
    import math

    import msgspec

    scores = [
        {
            **one._asdict(),
            "value": one.value if math.isfinite(one.value) else None,
            "stderr": one.stderr if one.stderr is None or math.isfinite(one.stderr) else None,
        }
        for one in result.scores
    ]
    found = {"scores": scores, "notes": result.notes}
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"


def _write(result: HarnessResult, path: Path) -> None:
    """lm-eval's own results; what JSON cannot say, such as a function, is written as its text."""
    import json

    from workbench import files

    files.write_text(path, json.dumps(result.raw, default=str, ensure_ascii=False, indent=1) + "\n")
