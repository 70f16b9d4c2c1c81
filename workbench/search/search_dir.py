"""The folder of a search: journal, the answers it got, its record. One process at a time works in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from workbench import files
from workbench.errors import FileError, SearchError
from workbench.process_identity import describe_myself, is_alive
from workbench.search.journal import JOURNAL, SearchStarted, read_journal
from workbench.search.state import SearchState
from workbench.training.search_record import searches_folder

_MOST_NAMED = 60


class SearchDir:
    """One search's folder; its name is the search's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / JOURNAL
        self.answers = folder / "answers.sqlite"
        self._process = folder / "process"

    @property
    def id(self) -> str:
        return self.folder.name

    def is_alive(self) -> bool:
        """Whether a process carries it out."""
        try:
            return is_alive(files.read_text(self._process))
        except FileError:
            return False

    def acquire(self) -> None:
        """Take the search for this process. Raises SearchError when another one is carrying it out."""
        if self.is_alive() and files.read_text(self._process) != describe_myself():
            raise SearchError(f"The search {self.id} is being carried out by another process.", "Stop that one first.")
        files.write_text(self._process, describe_myself())

    def release(self) -> None:
        files.remove(self._process)

    def read_state(self) -> SearchState:
        """What its journal adds up to. Raises SearchError."""
        state = SearchState()
        for record in read_journal(self.journal).records:
            state.add(record)
        return state

    @property
    def started(self) -> SearchStarted:
        """What it was asked for. Raises SearchError for a folder without a search."""
        found = next(iter(read_journal(self.journal).records), None)
        if not isinstance(found, SearchStarted):
            raise SearchError(f"{self.folder} holds no search.", "List them: workbench optimize --list")
        return found


def create_search_dir(bench: Path, variant: str) -> SearchDir:
    """A new folder, named after the time, the bench and the variant."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    words = f"{bench.name.removesuffix('.yaml').removesuffix('.bench')}-{variant}"
    name = "".join(sign if sign.isalnum() else "-" for sign in words).strip("-")[:_MOST_NAMED]
    for number in range(1, 1000):
        folder = searches_folder() / (f"{stamp}-{name}" + (f"-{number}" if number > 1 else ""))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"Cannot make {folder}: {error.strerror}.", "Check the folder's rights.") from error
        return SearchDir(folder)
    raise SearchError(f"No free name for a search in {searches_folder()}.", "Remove old ones.")


def list_search_dirs() -> tuple[SearchDir, ...]:
    """Every search, the newest first."""
    folder = searches_folder()
    found = [one for one in folder.iterdir() if (one / JOURNAL).is_file()] if folder.is_dir() else []
    return tuple(SearchDir(one) for one in sorted(found, key=lambda one: one.name, reverse=True))


def find_search_dir(wanted: str) -> SearchDir:
    """The search of an id, the beginning of one, or `last`. Raises SearchError for none or several."""
    known = list_search_dirs()
    found = known[:1] if wanted == "last" else [one for one in known if one.id.startswith(wanted)]
    exact = [one for one in known if one.id == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    names = ", ".join(one.id for one in (found or known)[:5]) or "none"
    what = "Several searches begin with" if found else "No such search:"
    raise SearchError(f"{what} {wanted}.", f"There are: {names}.")
