"""`workbench prompts`: the prompts in the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import terminal
from workbench.cli.options import Json, StoreFile
from workbench.errors import PromptError
from workbench.library.names import strip_suffix
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.analysis.prompt_scores import PromptScore
    from workbench.library.library import Library, PromptEntry
    from workbench.settings import Settings

_NAMES = {"rename": "OLD NEW", "copy": "NAME NEW", "delete": "NAME", "restore": "NAME", "trash": ""}
"""Each action with the names that it takes."""


def main(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS | ACTION NAME…", help="Only prompts with these words in name or file."),
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="QUERY", help="The same, for words that are the name of an action.")
    ] = "",
    sort: Annotated[str, typer.Option(metavar="ORDER", help="name or score.")] = "name",
    library: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of the library.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With rename: show every file and line that would change.")
    ] = False,
    json: Json = False,
    store: StoreFile = None,
) -> None:
    """List, search, rename or delete the prompts of the library.

    A search may hold tags of the front matter's `metadata.tags` and limits of the score that a prompt had in the newest
    run of its current text, or of an earlier one where that was never run: tag:routing score>=0.8.

    The library is that of the project you are in: of the nearest folder upwards with a bench or a folder `prompts`. A
    prompt has the same name in every folder of the project. Without a project: the settings' library, or your own one.

    `rename` also changes the name in every bench and recipe of the project, byte for byte nothing else. A name with
    another folder moves the prompt, with its examples.

    \b
      workbench prompts                      all prompts, the shipped ones too
      workbench prompts refund               those with this word in name or text
      workbench prompts --search "tag:routing score>=0.8" --sort score
      workbench prompts rename plain queues/plain --dry-run
      workbench prompts rename plain queues/plain
      workbench prompts copy queues/plain queues/short
      workbench prompts delete queues/plain  to the trash
      workbench prompts trash                list the trash
      workbench prompts restore queues/plain
    """
    import msgspec

    from workbench.runs.opening import open_library
    from workbench.settings import load_settings

    settings = load_settings()
    if library:
        settings = msgspec.structs.replace(settings, library=str(library.absolute()))
    action, *names = words or [""]
    if sort not in ("name", "score"):
        raise PromptError(f"--sort {sort}: expected name or score.", "The default is name.")
    if action not in _NAMES or search:
        if search and action in _NAMES:
            raise PromptError(f"--search does not go with {action}.", "Leave one of them out.")
        query = " ".join([*(words or []), search]).strip()
        _list(open_library(settings), settings, query, sort, json, store)
        return
    if len(names) != len(_NAMES[action].split()):
        raise PromptError(
            f"{action} expects {_NAMES[action] or 'no name'}, found {format_plural(len(names), 'name')}.",
            f"workbench prompts {action} {_NAMES[action]}. To search for the word: workbench prompts --search {action}",
        )
    if dry_run and action != "rename":
        raise PromptError("--dry-run goes with rename alone.", "Leave it out.")
    _change(open_library(settings), settings, action, names, dry_run)


def _change(library: Library, settings: Settings, action: str, names: list[str], dry_run: bool) -> None:
    match action:
        case "rename":
            _rename(library, settings, names[0], names[1], dry_run)
        case "copy":
            terminal.log(f"Copied {names[0]} to {library.duplicate(*names).path}.")
        case "delete":
            _delete(library, settings, names[0])
        case "restore":
            _restore(library, names[0])
        case _:
            for item in library.trash.list():
                terminal.write(f"{strip_suffix(item.name)}  {item.path}\n")


def _rename(library: Library, settings: Settings, old: str, new: str, dry_run: bool) -> None:
    from workbench import paths
    from workbench.library.autosave import AutosaveStore
    from workbench.runs.project import find_root
    from workbench.runs.prompt_rename import apply_rename, plan_rename

    plan = plan_rename(library, old, new, settings)
    terminal.write(plan.describe(find_root(library.folder)) + "\n")
    if dry_run:
        terminal.log("Nothing was changed.")
        return
    apply_rename(plan, library, AutosaveStore(paths.data_folder() / "drafts"), settings)
    terminal.log(f"Renamed {old} to {new}.")


def _delete(library: Library, settings: Settings, name: str) -> None:
    from workbench.runs.prompt_rename import list_users

    users = list_users(library, name, settings)
    terminal.log(f"Moved {name} to the trash: {library.delete(name)}")
    if users:
        terminal.log(f"Still named by: {', '.join(map(str, users))}")


def _restore(library: Library, name: str) -> None:
    """The last deleted of that name."""
    found = next((item for item in library.trash.list() if strip_suffix(item.name) == name), None)
    if found is None:
        raise PromptError(f"No such prompt in the trash: {name}.", "`workbench prompts trash` lists it.")
    terminal.log(f"Restored {library.restore(found.path)}.")


def _list(library: Library, settings: Settings, query: str, sort: str, json: bool, store: Path | None) -> None:
    from workbench.library.search import parse_query

    asked = parse_query(query)
    scores = _read_scores(library, settings, store)
    values = {name: score.value for name, score in scores.items()}
    entries = [entry for entry in library.entries() if asked.matches(entry, values.get(entry.name))]
    if sort == "score":
        entries.sort(key=lambda entry: _rank(scores.get(entry.name)))
    lines = [asked.find_line(entry) for entry in entries]
    if json:
        _print_json(entries, lines, scores)
        return
    if not entries:
        terminal.log(f"No prompt matches {query!r}." if query else "The library is empty.")
        return
    from workbench.cli.table import console, make_table, show

    extra = ["tags"] if any(entry.tags for entry in entries) else []
    extra += ["score"] if any(entry.name in scores for entry in entries) else []
    table = make_table(["name", "description", *extra, "where", *(["found"] if asked.words else [])])
    for entry, line in zip(entries, lines, strict=True):
        found = [f"{line[0]}: {line[1]}" if line else "in the name"] if asked.words else []
        held = {"tags": ", ".join(entry.tags), "score": _show_score(scores.get(entry.name))}
        where = f"{entry.path}{_ORIGINS[entry.origin]}"
        table.add_row(*map(show, [entry.name, entry.description, *(held[name] for name in extra), where, *found]))
    console().print(table)


_ORIGINS = {"own": "", "shared": " (another folder, read-only here)", "shipped": " (shipped, read-only)"}


def _read_scores(library: Library, settings: Settings, store: Path | None) -> dict[str, PromptScore]:
    """What the prompts scored; nothing where there is no store yet."""
    from workbench import paths
    from workbench.analysis.prompt_scores import read_scores
    from workbench.cli.services import open_store

    if not paths.exists(store or paths.data_folder() / "workbench.sqlite"):
        return {}
    with open_store(store) as opened:
        return read_scores(opened, library, library.entries(), settings)


def _rank(score: PromptScore | None) -> float:
    """Best first; a metric of which less is better is turned round."""
    if score is None or score.value is None or score.result.metric is None:
        return float("inf")
    return score.value if score.result.metric.lower_is_better else -score.value


def _show_score(score: PromptScore | None) -> str:
    from workbench.analysis.prompt_scores import describe_score

    return describe_score(score) if score else ""


def _print_json(
    entries: list[PromptEntry], lines: list[tuple[int, str] | None], scores: dict[str, PromptScore]
) -> None:
    import msgspec

    from workbench.reports.json import encode_value

    rows = []
    for entry, line in zip(entries, lines, strict=True):
        row: dict[str, Any] = {"name": entry.name, "description": entry.description, "path": str(entry.path)}
        row |= {"read_only": entry.read_only, "origin": entry.origin, "tags": list(entry.tags)}
        row |= {"line": line[0], "match": line[1]} if line else {}
        score = scores.get(entry.name)
        rows.append(row | ({"score": msgspec.to_builtins(score)} if score else {}))
    terminal.write_json(encode_value({"prompts": rows}))
