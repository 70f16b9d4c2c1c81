"""`workbench dataset`: what a file of cases looks like, how it would be read, and what is wrong with it.

Knows nothing of formats or layouts (evaluation/datasets/) or of how leaks are found (evaluation/leaks.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.errors import DatasetError

if TYPE_CHECKING:
    from workbench.evaluation.bench import Bench, Dataset
    from workbench.evaluation.datasets import Preview
    from workbench.evaluation.leaks import Leak
    from workbench.prompting.prompt import Prompt

_SHOWN = 20  # leaks in the table; --json has all of them


def main(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file of cases, a folder of them, or a bench that names one.")
    ],
    split: Annotated[str, typer.Option(metavar="NAME", help="Which of several parts.")] = "",
    format: Annotated[str, typer.Option(metavar="NAME", help="The kind of file, if its name does not tell.")] = "",
    layout: Annotated[str, typer.Option(metavar="NAME", help="What its columns mean, if that is not seen.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(metavar="VARIABLE=COLUMN", help="Fill a variable from this column.")
    ] = None,
    expected: Annotated[str, typer.Option(metavar="COLUMN", help="The column with the right answer.")] = "",
    where: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows that have this.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="So many rows, drawn by --seed.")] = None,
    seed: Annotated[int, typer.Option(help="What the drawing depends on.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many rows.")] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out rows that cannot be read.")] = False,
    prompt: Annotated[str, typer.Option(metavar="NAME", help="Look for this prompt's examples among the cases.")] = "",
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Look for these training rows among the cases.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Look at a dataset before it is used.

    Reads JSON lines, JSON, CSV, TSV, Excel (.xlsx), Parquet, and folders that
    the Hugging Face datasets library saved. Chat messages, ShareGPT, Alpaca,
    prompt and completion, preferences, question and answer, SQuAD, multiple
    choice, input and target, promptfoo's columns, text and label are
    recognised; other columns are variables under their own names.

    \b
      workbench dataset cases.csv
      workbench dataset cases.csv --column message=body --expected queue
      workbench dataset my-dataset --split test --where language=en --sample 200
      workbench dataset test.jsonl --prompt queues/few-shot --train train.jsonl

    What is given here goes into a bench in the same words:

    \b
      dataset:
        path: cases.csv
        columns: {message: body}
        expected: queue
        where: {language: [en, de]}
        sample: 200

    \b
    Exit codes: 0 it can be used; 1 it can, but examples or training rows stand
    among its cases; 2 it cannot be used.
    """
    from workbench.evaluation.bench import Dataset, load_bench

    wanted = Dataset(
        path=str(file),
        columns=_pairs(column or [], "--column", "VARIABLE=COLUMN"),
        expected=expected or "expected",
        format=format,
        layout=layout,
        split=split,
        where=_group(_split(item, "--where", "COLUMN=VALUE") for item in where or []),
        sample=sample,
        seed=seed,
        limit=limit,
        on_error="skip" if skip else "refuse",
    )
    folder, bench = Path.cwd(), None
    if file.name.endswith((".bench.yaml", ".bench.yml")):
        bench = load_bench(file)
        wanted, folder = _from_bench(bench, file, wanted), file.parent
    opened = _open_prompt(prompt, bench, folder) if prompt else None
    raise typer.Exit(_show(wanted, folder, opened, train, json))


def _open_prompt(name: str, bench: Bench | None, folder: Path) -> Prompt:
    """The prompt as the bench would find it; without a bench, in the library of the working folder."""
    from workbench.evaluation.opening import open_library
    from workbench.settings import load_settings

    return open_library(load_settings(), bench, folder if bench else None).open(name).prompt


def _show(dataset: Dataset, folder: Path, prompt: Prompt | None, train: Path | None, json: bool) -> int:
    from workbench.evaluation.datasets import describe, load_cases

    preview = describe(dataset, folder, thorough=True)
    complaint: DatasetError | None = None
    leaks: list[tuple[str, Leak]] = []
    chosen = skipped = 0
    notes: tuple[str, ...] = ()
    try:
        cases = load_cases(_with_split(dataset, preview), folder)
        chosen, skipped, notes = len(cases), cases.skipped, cases.notes
        leaks = _find_leaks(cases, prompt, train)
    except DatasetError as error:
        complaint = error
    if json:
        _print_json(preview, chosen, skipped, leaks, complaint)
    else:
        _print(preview, chosen, skipped)
        if prompt or train:
            _print_leaks(leaks)
    for note in notes:
        terminal.say(f"left out: {note}")
    if complaint:
        terminal.complain(complaint)
        return terminal.USAGE
    return terminal.FAILED if leaks else terminal.OK


def _with_split(dataset: Dataset, preview: Preview) -> Dataset:
    """The dataset as the preview saw it: of several splits the likeliest."""
    import msgspec

    if dataset.split or not preview.split:
        return dataset
    return msgspec.structs.replace(dataset, split=preview.split)


def _find_leaks(cases: Any, prompt: Prompt | None, train: Path | None) -> list[tuple[str, Leak]]:
    """Each with the name of what leaks."""
    from workbench.evaluation.bench import Dataset
    from workbench.evaluation.datasets import load_cases
    from workbench.evaluation.leaks import find_leaks

    found: list[tuple[str, Leak]] = []
    if prompt:
        from workbench.prompting.render import find_variables

        leaks = find_leaks(prompt.examples, cases, variables=tuple(find_variables(prompt)))
        found += [(prompt.name, leak) for leak in leaks]
    if train:
        rows = load_cases(Dataset(str(train)), Path.cwd())
        found += [(train.name, leak) for leak in find_leaks(rows, cases)]
    return found


def _print(preview: Preview, chosen: int, skipped: int) -> None:
    from workbench.cli.table import console, make_table, show

    rows = "" if preview.rows is None else f", {preview.rows:,} row{'s' if preview.rows != 1 else ''}"
    wanted = f", {chosen:,} chosen" if chosen and chosen != preview.rows else ""
    left_out = f", {skipped:,} left out" if skipped else ""
    if not skipped and preview.unreadable:
        left_out = f", {preview.unreadable:,} of them cannot be read"
    terminal.write(f"{preview.path}: {preview.format}{rows}{wanted}{left_out}\n")
    if len(preview.splits) > 1:
        terminal.write(f"Splits: {', '.join(preview.splits)}; this is {preview.split or 'the whole'}.\n")
    if preview.layout != "columns":
        others = f" (could also be {', '.join(preview.layouts)})" if preview.layouts else ""
        terminal.write(f"Laid out as {preview.layout}{others}.\n")
    for remark in preview.remarks:
        terminal.write(f"{remark}\n")
    table = make_table(["column", "becomes", "values"])
    for name in preview.columns:
        becomes = [_spell(origin.variable) for origin in preview.mapping if origin.source == name.name]
        becomes += ["the expected answer"] if preview.expected == name.name else []
        samples = "\n".join(" ".join(sample.split()) for sample in name.samples)
        table.add_row(show(name.name), show(", ".join(becomes) or "–"), show(samples))
    console().print(table)
    _print_made(preview)


def _print_made(preview: Preview) -> None:
    """Variables that are no column, with the first case as an instance."""
    named = {column.name for column in preview.columns}
    made = [origin for origin in preview.mapping if origin.source not in named and " " in origin.source]
    for origin in made:
        terminal.write(f"{_spell(origin.variable)} is {origin.source}.\n")
    if preview.expected and preview.expected not in named:
        terminal.write(f"The expected answer is {preview.expected}.\n")
    for case in preview.cases[:1] if made else ():
        for origin in made:
            text = " ".join(case.variables.get(origin.variable, "").split())
            terminal.write(f"  case {case.number}: {_spell(origin.variable)} = {text[:200]}\n")


def _spell(variable: str) -> str:
    return "{{ " + variable + " }}"


def _print_leaks(leaks: list[tuple[str, Leak]]) -> None:
    from workbench.cli.table import console, make_table, show

    if not leaks:
        terminal.write("No example or training row stands among the cases.\n")
        return
    table = make_table(["of", "example", "case", "alike", "text", "text of the case"], right=["case", "alike"])
    for source, leak in leaks[:_SHOWN]:
        alike = "the same" if leak.kind == "exact" else f"{leak.similarity:.0%}"
        cells = [source, leak.example, str(leak.case), alike, leak.example_text, leak.case_text]
        table.add_row(*(show(" ".join(cell.split())) for cell in cells))
    console().print(table)
    more = f" The first {_SHOWN} are shown." if len(leaks) > _SHOWN else ""
    terminal.write(f"{len(leaks):,} times a case repeats what a prompt or a model has seen.{more}\n")


def _print_json(
    preview: Preview, chosen: int, skipped: int, leaks: list[tuple[str, Leak]], complaint: DatasetError | None
) -> None:
    import msgspec

    told = msgspec.to_builtins(preview)
    told |= {"chosen": chosen, "skipped": skipped, "error": str(complaint) if complaint else None}
    told["leaks"] = [{"of": source, **msgspec.to_builtins(leak)} for source, leak in leaks]
    terminal.write_json(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")


def _from_bench(bench: Bench, file: Path, given: Dataset) -> Dataset:
    """The bench's dataset, with what was given on the command line in its place."""
    import msgspec

    from workbench.evaluation.bench import Dataset

    if bench.dataset is None:
        raise DatasetError(f"{file} names no dataset.", "Add it: dataset: {path: cases.jsonl}.")
    usual = Dataset("")
    changes = {
        name: getattr(given, name)
        for name in given.__struct_fields__
        if name != "path" and getattr(given, name) != getattr(usual, name)
    }
    return msgspec.structs.replace(bench.dataset, **changes)


def _split(item: str, option: str, form: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise DatasetError(f"{option} {item} is incomplete.", f"Expected {form}.")
    return name, value


def _pairs(items: list[str], option: str, form: str) -> dict[str, str]:
    return dict(_split(item, option, form) for item in items)


def _group(pairs: Any) -> dict[str, Any]:
    """Several values for one column are several that may be."""
    grouped: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        grouped[name] = (*grouped.get(name, ()), value)
    return {name: values if len(values) > 1 else values[0] for name, values in grouped.items()}
