"""`workbench adapters`: the registry of trained adapters."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, Trust
from workbench.cli.services import open_services
from workbench.cli.trust import confirm_trust
from workbench.errors import TrainingError
from workbench.units import format_number, format_plural, format_score

if TYPE_CHECKING:
    from workbench.training.manifest import Manifest
    from workbench.training.registry import Registry, RegistryEntry

_ACTIONS = (
    "list", "show", "note", "tag", "untag", "promote", "retire", "reinstate", "compare", "drift", "delete", "trash",
    "restore",
)  # fmt: skip


def main(
    action: Annotated[str, typer.Argument(metavar="ACTION", help=f"One of {', '.join(_ACTIONS)}.")] = "list",
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the adapter.")] = "",
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="The note, the tags, another adapter, or a bench.")
    ] = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Manage the adapters trained on this machine.

    \b
      workbench adapters
      workbench adapters show demo-plain
      workbench adapters note demo-plain "the one with the new rows"
      workbench adapters tag demo-plain friday
      workbench adapters promote demo-plain    the version to use
      workbench adapters retire demo-plain     keep it, but hide it
      workbench adapters reinstate demo-plain  back to candidate
      workbench adapters compare demo-plain demo-plain-2   recipes and scores
      workbench adapters drift demo-plain new.bench.yaml   check for a regression on new cases
      workbench adapters delete demo-plain     move it to the trash
      workbench adapters trash                 list the trash
      workbench adapters restore demo-plain

    \b
    Exit codes: 0 success; 1 (drift) it regressed; 2 no such adapter.
    """
    from workbench.training.registry import Registry

    if action not in _ACTIONS:
        raise TrainingError(f"No such action: {action}.", f"Expected one of {', '.join(_ACTIONS)}.")
    registry = Registry()
    if action in ("list", "trash"):
        (_list if action == "list" else _list_trash)(registry, json)
        return
    if not name:
        raise TrainingError(f"Expected the name of an adapter to {action}.", "`workbench adapters` lists them.")
    if action == "show":
        _show(registry, name, json)
    elif action == "compare":
        _compare(registry, name, text or [], json)
    elif action == "drift":
        raise typer.Exit(_drift(name, text or [], trust, json))
    else:
        terminal.log(_change(registry, action, name, text or []))


def _drift(name: str, words: list[str], trusted: bool, json: bool) -> int:
    """Check for a regression on new cases; the exit code."""
    from pathlib import Path

    import msgspec

    from workbench.runs.bench import load_bench
    from workbench.runs.tool_file import list_code
    from workbench.training.regression_check import CheckContext, check_regression

    if len(words) != 1:
        raise TrainingError("Expected a bench with the new cases.", f"workbench adapters drift {name} new.bench.yaml")
    bench = Path(words[0])
    confirm_trust(list_code(load_bench(bench)), bench.absolute().parent, trusted)
    with open_services() as services:
        found = check_regression(name, bench, CheckContext(*services, lambda _: None))
    if json:
        terminal.write_json(msgspec.json.encode(found).decode() + "\n")
    else:
        terminal.write(found.sentence + "\n")
    return terminal.FAILED if found.verdict == "fell" else terminal.OK


def _change(registry: Registry, action: str, name: str, words: list[str]) -> str:
    """Change the registry; what was done, in a sentence."""
    match action:
        case "note":
            registry.note(name, " ".join(words))
            return f"Note of {name} saved."
        case "tag":
            return f"Tags of {name}: {', '.join(registry.tag(name, add=words)) or 'none'}."
        case "untag":
            return f"Tags of {name}: {', '.join(registry.tag(name, remove=words)) or 'none'}."
        case "promote":
            replaced = registry.promote(name)
            return f"Promoted {name}" + (f", replacing {', '.join(replaced)}." if replaced else ".")
        case "retire":
            registry.retire(name)
            return f"Retired {name}."
        case "reinstate":
            registry.reinstate(name)
            return f"{name} is a candidate again."
        case "restore":
            return f"Restored {registry.restore(name)}."
        case _:
            return f"Moved {name} to the trash: {registry.delete(name)}"


def _list(registry: Registry, json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show

    entries = registry.entries()
    if json:
        found = [entry.manifest for entry in entries if entry.manifest]
        terminal.write_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    if not entries:
        terminal.log("No trained adapters yet. Train one with: workbench train FILE.recipe.yaml")
        return
    table = make_table(["adapter", "status", "base", "method", "rows", "score", "trained", "tags"], right=["rows"])
    for entry in entries:
        table.add_row(*map(show, _row(entry)))
    console().print(table)


def _list_trash(registry: Registry, json: bool) -> None:
    import msgspec

    found = registry.trash()
    if json:
        rows = [{"name": one.name, "path": str(one.path), "when": one.when} for one in found]
        terminal.write_json(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n")
    elif not found:
        terminal.log("The trash is empty.")
    for one in found if not json else ():
        terminal.write(f"{one.name}  deleted {one.when}  {one.path}\n")


def _compare(registry: Registry, name: str, words: list[str], json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show
    from workbench.training.adapter_comparison import compare_adapters
    from workbench.training.manifest import read_manifest

    if len(words) != 1:
        raise TrainingError("Expected two adapters to compare.", f"workbench adapters compare {name} OTHER")
    left, right = (read_manifest(registry.find(one).path) for one in (name, words[0]))
    found = compare_adapters(left, right)
    if json:
        from workbench.reports.json import encode

        terminal.write_json(encode(found))
        return
    table = make_table(["", found.left, found.right])
    for score in found.scores:
        table.add_row(show(score.name), *(f"{v:.4g}" if v is not None else "–" for v in (score.left, score.right)))
    for one in (*found.recipe, *found.origin):
        table.add_row(
            show(one.name),
            *(show("–" if v is None else msgspec.json.encode(v).decode().strip('"')) for v in (one.left, one.right)),
        )
    console().print(table)


def _row(entry: RegistryEntry) -> tuple[str, ...]:
    made = entry.manifest
    if made is None:
        return entry.name, "unreadable", entry.problem, "", "", "", "", ""
    rows = sum(trace.rows for trace in made.data if trace.role != "validation")
    when = f"{datetime.fromtimestamp(made.created):%Y-%m-%d %H:%M}"
    return entry.name, made.rank, made.base, made.method, str(rows), _score(made), when, " ".join(made.tags)


def _score(made: Manifest) -> str:
    from workbench.training.events import is_share

    if made.metrics and made.metrics.scores:
        name, value = next(iter(made.metrics.scores.items()))
        return f"{name} {format_score(value, is_share(name, made.metrics.free))}"
    return f"loss {format_number(made.validation_loss, 4)}"


def _show(registry: Registry, name: str, json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show
    from workbench.training.manifest import read_manifest

    entry = registry.find(name)
    made = read_manifest(entry.path)
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n")
        return
    table = make_table(["", ""])
    for label, value in _describe(registry, entry, made):
        table.add_row(label, show(value))
    console().print(table)
    terminal.write(made.recipe)


def _describe(registry: Registry, entry: RegistryEntry, made: Manifest) -> list[tuple[str, str]]:
    from workbench.training.events import is_share

    scores, free = (made.metrics.scores, made.metrics.free) if made.metrics else ({}, ())
    scores_text = [
        f"{key} {format_score(value, is_share(key, free))}"
        + (f" (base {format_score(made.baseline[key], is_share(key, free))})" if key in made.baseline else "")
        for key, value in scores.items()
    ]
    return [
        ("folder", str(entry.path)),
        (
            "status",
            f"{made.rank}, version {made.version}, trained {datetime.fromtimestamp(made.created):%Y-%m-%d %H:%M}",
        ),
        ("base", f"{made.base}  {made.base_digest[:12]}"),
        ("prompt", f"{made.prompt}  {made.prompt_digest[:12]}"),
        *(
            (trace.role, f"{trace.path}  {trace.digest[:12]}  {format_plural(trace.rows, 'row')}")
            for trace in made.data
        ),
        ("method", f"{made.method}, {made.parameters:,} parameters"),
        ("lineage", " ← ".join(registry.lineage(entry.name))),
        ("validation", "; ".join(scores_text) or "–"),
        ("loss", format_number(made.validation_loss, 4)),
        ("training", f"step {made.best_step} of {made.steps}, {made.tokens:,} tokens, {made.seconds:.0f} s"),
        ("libraries", ", ".join(f"{key} {value}" for key, value in made.libraries.items())),
        *(
            ("later check", f"{one.scores} on {format_plural(one.cases, 'case')} of {one.dataset}")
            for one in made.later
        ),
        ("tags", " ".join(made.tags) or "–"),
        ("notes", made.notes or "–"),
    ]
