"""`workbench history`: the versions of a prompt, what each scored, and which was better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, StoreFile
from workbench.cli.services import open_store
from workbench.errors import PromptError
from workbench.units import format_date

if TYPE_CHECKING:
    from rich.table import Table

    from workbench.analysis.prompt_history import HistoryGroup, PromptHistory, PromptVersion, VersionRow
    from workbench.library.library import Library
    from workbench.store.store import Store

_ORDERS = ("date", "score", "verdict")
_GONE, _NEW = "red", "green"


def main(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A prompt of the library, such as queues/plain.")],
    bench: Annotated[str, typer.Option(metavar="NAME", help="Only results of this bench.")] = "",
    variant: Annotated[str, typer.Option(metavar="NAME", help="Only results of this variant.")] = "",
    sort: Annotated[str, typer.Option(metavar="ORDER", help="date, score or verdict.")] = "date",
    against: Annotated[
        str, typer.Option(metavar="VERSION", help="Compare with this version. Default: the current one, if it was run.")
    ] = "",
    diff: Annotated[
        tuple[str, str], typer.Option(metavar="VERSION VERSION", help="Compare the texts and scores of two versions.")
    ] = ("", ""),
    show: Annotated[str, typer.Option(metavar="VERSION", help="Print the text of a version.")] = "",
    restore: Annotated[str, typer.Option(metavar="VERSION", help="Make this version the prompt's text again.")] = "",
    library: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of the library.")] = None,
    json: Json = False,
    store: StoreFile = None,
) -> None:
    """Show the versions of a prompt and what each scored.

    A version is a text with its examples and options. All that were run are there, and in a git repository all that
    were committed. Renaming and moving a prompt keeps its history. Scores have 95% intervals; the verdict is a paired
    test against one version on the cases that both were run on, with the same model and settings.

    A VERSION is the beginning of its ID or of a commit, or `current`.

    \b
      workbench history queues/plain
      workbench history queues/plain --sort verdict    what was better than now
      workbench history queues/plain --diff 3f2a current
      workbench history queues/plain --restore 3f2a
    """
    if sort not in _ORDERS:
        raise PromptError(f"--sort {sort}: expected {', '.join(_ORDERS)}.", "The default is date.")
    from workbench.analysis.prompt_history import read_history
    from workbench.settings import load_settings

    settings = load_settings()
    with open_store(store) as opened:
        from workbench.runs.opening import library_at, open_library

        held = library_at(library.absolute(), settings) if library else open_library(settings)
        history = read_history(opened, held, prompt, settings)
        if against:
            history = read_history(opened, held, prompt, settings, reference=history.version(against).digest)
        if show:
            _show(history.version(show))
        elif any(diff):
            _print_difference(opened, history, diff, json)
        elif restore:
            _restore(held, history, restore)
        else:
            _print(_choose(history, bench, variant), sort, json)


def _choose(history: PromptHistory, bench: str, variant: str) -> PromptHistory:
    import msgspec

    groups = tuple(group for group in history.groups if bench in ("", group.bench) and variant in ("", group.variant))
    if (bench or variant) and not groups:
        known = ", ".join(group.title for group in history.groups) or "none"
        raise PromptError(f"No run of {history.name} matches.", f"It was run as: {known}.")
    return msgspec.structs.replace(history, groups=groups)


def _print(history: PromptHistory, sort: str, json: bool) -> None:
    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(history))
        return
    from workbench.cli.table import console, show

    out = console()
    if len(history.names) > 1:
        out.print(show(f"{history.name}, formerly {', '.join(history.names[1:])}"))
    for group in history.groups:
        out.print(show(f"{group.title}, compared with {group.reference[:8]}"))
        out.print(_make_group(history, group, sort))
    run = {row.version for group in history.groups for row in group.rows}
    others = [version for version in history.versions if version.digest not in run]
    if panes := [version for version in others if version.pane is not None]:
        out.print(show("Run in a pane, without scores"))
        out.print(_make_versions(panes))
    if others := [version for version in others if version.pane is None]:
        out.print(show("Never run" if history.groups or panes else "Versions, none of them run"))
        out.print(_make_versions(others))
    for note in history.notes:
        terminal.log(f"Note: {note}")


def _make_group(history: PromptHistory, group: HistoryGroup, sort: str) -> Table:
    from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
    from workbench.analysis.version_order import name_verdict, sort_rows
    from workbench.cli.table import make_table, show

    versions = {version.digest: version for version in history.versions}
    metrics = list(dict.fromkeys(row.result.metric.name for row in group.rows if row.result.metric))
    score = name_metric(metrics[0]) if len(metrics) == 1 else "score"
    from workbench.units import format_p

    table = make_table(
        ["version", "date", "change", score, "95%", "cases", "tokens", "verdict", "p"], [score, "cases", "tokens"]
    )
    for row in sort_rows(group.rows, sort):
        found, metric = row.result.score, row.result.metric
        value, interval = "–", ""
        if metric is not None and not math.isnan(found.value):
            value = format_value(found.value, metric, found.n)
            interval = format_interval(found, count_digits(metric, found.n, found.value))
        tokens = f"{row.result.tokens:.0f}" if row.result.tokens else "–"
        cells = [*_describe(versions[row.version]), value, interval, f"{found.n:,}", tokens]
        p = format_p(row.pair.p_adjusted).removeprefix("p ").removeprefix("= ") if row.pair else ""
        cells += [name_verdict(row), p]
        table.add_row(*map(show, cells), style="bold" if versions[row.version].current else "")
    return table


def _make_versions(versions: Sequence[PromptVersion]) -> Table:
    from workbench.cli.table import make_table, show

    table = make_table(["version", "date", "change"])
    for version in versions:
        table.add_row(*map(show, _describe(version)))
    return table


def _describe(version: PromptVersion) -> list[str]:
    commit = f"{version.commits[-1].id[:7]} {version.message}" if version.commits else ""
    words = [*(["current"] if version.current else []), *([commit] if commit else [])]
    date = format_date(version.first) if version.first is not None else ""
    return [version.short, date, ": ".join(words) or "not committed"]


def _show(version: PromptVersion) -> None:
    from workbench.library.versions import describe_version

    terminal.write_data(describe_version(version.prompt))


def _print_difference(store: Store, history: PromptHistory, diff: tuple[str, str], json: bool) -> None:
    from workbench.analysis.prompt_history import compare_versions
    from workbench.analysis.version_order import describe_verdict
    from workbench.analysis.word_diff import diff_words
    from workbench.library.versions import describe_version

    first, second = (history.version(wanted) for wanted in diff)
    rows = compare_versions(store, history, first.digest, second.digest)
    changes = list(diff_words(describe_version(first.prompt), describe_version(second.prompt)))
    if json:
        import msgspec

        from workbench.reports.json import encode_value

        texts = [{"first": change.first, "second": change.second} for change in changes]
        held = {"a": first.digest, "b": second.digest, "text": texts, "comparisons": msgspec.to_builtins(rows)}
        terminal.write_json(encode_value(held))
        return
    from rich.text import Text

    from workbench.cli.table import console, show
    from workbench.sanitize import sanitize

    out, page = console(), Text()
    for change in changes:
        if change.equal:
            page.append(sanitize(change.first))
            continue
        page.append(f"[-{sanitize(change.first)}-]" if change.first else "", _GONE)
        page.append(f"{{+{sanitize(change.second)}+}}" if change.second else "", _NEW)
    out.print(page)
    if first.digest == second.digest:
        out.print(show("Both are the same version."))
    for group, row in ((group, row) for row in rows for group in history.groups if _is_of(row, group)):
        out.print(show(f"{group.title}: {second.short} against {first.short}: {describe_verdict(row)}"))
    if not rows and first.digest != second.digest:
        out.print(show("No bench has run both, so there is no verdict."))


def _is_of(row: VersionRow, group: HistoryGroup) -> bool:
    return (row.result.bench, row.result.variant) == (group.bench, group.variant)


def _restore(library: Library, history: PromptHistory, wanted: str) -> None:
    """Write a version into the prompt's file; the text that was there goes to the trash."""
    from workbench.library.restoring import restore_version

    version = history.version(wanted)
    restored = restore_version(library, history.name, version.prompt)
    if restored is None:
        terminal.log(f"{history.name} already reads as {version.short}.")
        return
    terminal.log(f"Restored {version.short} of {history.name}: {restored.path}")
    for path in restored.kept:
        terminal.log(f"The text before is in the trash: {path}")
