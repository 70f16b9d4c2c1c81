"""`workbench dataset`: how a dataset is read, what is wrong with it, and whether it is contaminated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, Limit, Sample, Seed
from workbench.errors import DatasetError
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.datasets import DatasetPreview
    from workbench.datasets.duplicates import Duplicate
    from workbench.datasets.spec import Dataset
    from workbench.prompting.prompt import Prompt
    from workbench.runs.bench import Bench

_SHOWN = 20  # leaks in the table; --json has all of them


def main(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A dataset file, a dataset folder, or a bench that names one.")
    ],
    split: Annotated[str, typer.Option(metavar="NAME", help="Which split.")] = "",
    format: Annotated[str, typer.Option(metavar="NAME", help="File format, if the file name does not tell.")] = "",
    layout: Annotated[str, typer.Option(metavar="NAME", help="Column layout, if it is not detected.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(metavar="VARIABLE=COLUMN", help="Fill a variable from this column. Repeatable.")
    ] = None,
    expected: Annotated[str, typer.Option(metavar="COLUMN", help="Column with the expected answer.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with this value. Repeatable.")
    ] = None,
    sample: Sample = None,
    seed: Seed = None,
    limit: Limit = None,
    skip: Annotated[bool, typer.Option("--skip", help="Skip rows that cannot be read.")] = False,
    prompt: Annotated[
        str, typer.Option(metavar="NAME", help="Check whether this prompt's examples are among the cases.")
    ] = "",
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check whether these training rows are among the cases.")
    ] = None,
    json: Json = False,
) -> None:
    """Show how a dataset is read, before you use it.

    Reads JSON Lines, JSON, CSV, TSV, Excel (.xlsx), Parquet, plain text, and folders saved by the Hugging Face datasets
    library.
    Recognised layouts: chat messages, ShareGPT, Alpaca, prompt and completion, preferences, KTO, question and answer,
    SQuAD, multiple choice, input and target, promptfoo, text and label; other columns become variables of the same
    name.

    \b
      workbench dataset cases.csv
      workbench dataset cases.csv --column message=body --expected queue
      workbench dataset my-dataset --split test --where language=en --sample 200
      workbench dataset test.jsonl --prompt queues/few-shot --train train.jsonl

    The options have the names of the keys in a bench:

    \b
      dataset:
        path: cases.csv
        columns: {message: body}
        expected: queue
        where: {language: [en, de]}
        sample: 200

    \b
    Exit codes: 0 it can be used; 1 it can, but examples or training rows are among
    its cases; 2 it cannot be used.
    """
    from workbench.datasets.spec import Dataset
    from workbench.runs.bench import load_bench

    wanted = Dataset(
        path=str(file),
        columns=_pairs(column or [], "--column", "VARIABLE=COLUMN"),
        expected=expected or "expected",
        format=format,
        layout=layout,
        split=split,
        where=_group(_split(item, "--where", "COLUMN=VALUE") for item in where or []),
        sample=sample,
        seed=seed or 0,
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
    from workbench.runs.opening import open_library
    from workbench.settings import load_settings

    return open_library(load_settings(), bench, folder if bench else None).open(name).prompt


def _show(dataset: Dataset, folder: Path, prompt: Prompt | None, train: Path | None, json: bool) -> int:
    from workbench.datasets import describe, load_cases

    preview = describe(dataset, folder, thorough=True)
    complaint: DatasetError | None = None
    duplicates: list[tuple[str, Duplicate]] = []
    chosen = skipped = 0
    notes: tuple[str, ...] = ()
    try:
        cases = load_cases(_with_split(dataset, preview), folder)
        chosen, skipped, notes = len(cases), cases.skipped, cases.notes
        duplicates = _find_duplicates(cases, prompt, train)
    except DatasetError as error:
        complaint = error
    if json:
        _print_json(preview, chosen, skipped, duplicates, complaint)
    else:
        _print(preview, chosen, skipped)
        if prompt or train:
            _print_duplicates(duplicates)
    for note in notes:
        terminal.log(f"skipped: {note}")
    if complaint:
        terminal.log_error(complaint)
        return terminal.USAGE
    return terminal.FAILED if duplicates else terminal.OK


def _with_split(dataset: Dataset, preview: DatasetPreview) -> Dataset:
    """The dataset as the preview saw it: of several splits the likeliest."""
    import msgspec

    if dataset.split or not preview.split:
        return dataset
    return msgspec.structs.replace(dataset, split=preview.split)


def _find_duplicates(cases: Any, prompt: Prompt | None, train: Path | None) -> list[tuple[str, Duplicate]]:
    """Each with the name of what leaks."""
    from workbench.datasets import load_cases
    from workbench.datasets.duplicates import find_duplicates
    from workbench.datasets.spec import Dataset

    found: list[tuple[str, Duplicate]] = []
    if prompt:
        from workbench.prompting.render import find_variables

        duplicates = find_duplicates(prompt.examples, cases, variables=tuple(find_variables(prompt)))
        found += [(prompt.name, duplicate) for duplicate in duplicates]
    if train:
        rows = load_cases(Dataset(str(train)), Path.cwd())
        found += [(train.name, duplicate) for duplicate in find_duplicates(rows, cases)]
    return found


def _print(preview: DatasetPreview, chosen: int, skipped: int) -> None:
    from workbench.cli.table import console, make_table, show

    rows = "" if preview.rows is None else f", {format_plural(preview.rows, 'row')}"
    wanted = f", {chosen:,} selected" if chosen and chosen != preview.rows else ""
    left_out = f", {skipped:,} skipped" if skipped else ""
    if not skipped and preview.unreadable:
        left_out = f", {preview.unreadable:,} of them cannot be read"
    terminal.write(f"{preview.path}: {preview.format}{rows}{wanted}{left_out}\n")
    if len(preview.splits) > 1:
        terminal.write(f"Splits: {', '.join(preview.splits)}; shown: {preview.split or 'all'}.\n")
    if preview.layout != "columns":
        others = f" (could also be {', '.join(preview.layouts)})" if preview.layouts else ""
        terminal.write(f"Layout: {preview.layout}{others}.\n")
    if preview.types:
        terminal.write(f"Training can read it without a prompt as: {'; '.join(preview.types)}.\n")
    for remark in preview.remarks:
        terminal.write(f"{remark}\n")
    table = make_table(["column", "becomes", "values"])
    for name in preview.columns:
        becomes = [_placeholder(origin.variable) for origin in preview.mapping if origin.source == name.name]
        becomes += ["the expected answer"] if preview.expected == name.name else []
        samples = "\n".join(" ".join(sample.split()) for sample in name.samples)
        table.add_row(show(name.name), show(", ".join(becomes) or "–"), show(samples))
    console().print(table)
    _print_made(preview)


def _print_made(preview: DatasetPreview) -> None:
    """Variables that are no column, with the first case as an instance."""
    named = {column.name for column in preview.columns}
    made = [origin for origin in preview.mapping if origin.source not in named and " " in origin.source]
    for origin in made:
        terminal.write(f"{_placeholder(origin.variable)} is {origin.source}.\n")
    if preview.expected and preview.expected not in named:
        terminal.write(f"The expected answer is {preview.expected}.\n")
    for case in preview.cases[:1] if made else ():
        for origin in made:
            text = " ".join(case.variables.get(origin.variable, "").split())
            terminal.write(f"  case {case.number}: {_placeholder(origin.variable)} = {text[:200]}\n")


def _placeholder(variable: str) -> str:
    return "{{ " + variable + " }}"


def _print_duplicates(duplicates: list[tuple[str, Duplicate]]) -> None:
    from workbench.cli.table import console, make_table, show

    if not duplicates:
        terminal.write("No contamination: no example or training row is among the cases.\n")
        return
    table = make_table(
        ["source", "example", "case", "similarity", "text", "text of the case"], right=["case", "similarity"]
    )
    for source, duplicate in duplicates[:_SHOWN]:
        alike = "identical" if duplicate.kind == "exact" else f"{duplicate.similarity:.0%}"
        cells = [source, duplicate.example, str(duplicate.case), alike, duplicate.example_text, duplicate.case_text]
        table.add_row(*(show(" ".join(cell.split())) for cell in cells))
    console().print(table)
    more = f" The first {_SHOWN} are shown." if len(duplicates) > _SHOWN else ""
    terminal.write(f"{len(duplicates):,} matches: cases that a prompt or a model has already seen.{more}\n")


def _print_json(
    preview: DatasetPreview,
    chosen: int,
    skipped: int,
    duplicates: list[tuple[str, Duplicate]],
    complaint: DatasetError | None,
) -> None:
    import msgspec

    text = msgspec.to_builtins(preview)
    text |= {"chosen": chosen, "skipped": skipped, "error": str(complaint) if complaint else None}
    text["leaks"] = [{"of": source, **msgspec.to_builtins(duplicate)} for source, duplicate in duplicates]
    terminal.write_json(msgspec.json.format(msgspec.json.encode(text)).decode() + "\n")


def _from_bench(bench: Bench, file: Path, given: Dataset) -> Dataset:
    """The bench's dataset, with what was given on the command line in its place."""
    import msgspec

    from workbench.datasets.spec import Dataset

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
