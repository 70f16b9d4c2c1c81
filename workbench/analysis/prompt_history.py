"""The history of a prompt: its versions, when they came and why, what each scored, and which was better.

A version's text is from git where the prompt's folder is in a repository, and from the runs in the store.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.analysis.baseline import identify_cases
from workbench.analysis.measurements import MOST_CUT, read_table
from workbench.analysis.pair_summary import to_pair, withhold
from workbench.analysis.prompt_uses import VersionResult, find_uses
from workbench.analysis.summary import PairSummary
from workbench.errors import FileError, PromptError
from workbench.library.git_history import Commit, CommittedPrompt, GitHistory, read_git_history
from workbench.library.library import Library
from workbench.library.names import SUFFIXES, find_path, strip_suffix
from workbench.library.pane_versions import PaneVersion
from workbench.library.prompt_renames import NameSpan
from workbench.library.versions import SHORT, digest_prompt
from workbench.prompting.prompt import Prompt
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.statistics.paired import compare_pairs
from workbench.store.store import Store


class PromptVersion(msgspec.Struct, frozen=True):
    """One version. first: when it came, by its first commit or run, in seconds since 1970; None for a text that is in
    neither. commits: that have it, newest first. current: whether the prompt now reads so. pane: when it was first run
    in a pane; None where it was not, or not by a key."""

    digest: str
    prompt: Prompt
    first: float | None = None
    commits: tuple[Commit, ...] = ()
    current: bool = False
    pane: float | None = None

    @property
    def short(self) -> str:
        """The name of the version for a person."""
        return self.digest[:SHORT]

    @property
    def message(self) -> str:
        """The subject of the commit that brought it; "" where none did."""
        return self.commits[-1].subject if self.commits else ""


class VersionRow(msgspec.Struct, frozen=True):
    """A version in one group. result: its newest with the setting of the group's reference, else its newest of all.
    pair: that result against the reference's, on the cases that both have; without one, `reason` says why, "" for the
    reference itself."""

    version: str
    result: VersionResult
    pair: PairSummary | None = None
    reason: str = ""


class HistoryGroup(msgspec.Struct, frozen=True):
    """A prompt as one variant of one bench over its versions. rows: newest version first. reference: the version that
    the others are compared with."""

    bench: str
    variant: str
    reference: str
    rows: tuple[VersionRow, ...]

    @property
    def title(self) -> str:
        return f"{self.bench} · {self.variant}"


class PromptHistory(msgspec.Struct, frozen=True):
    """versions: newest first. groups: those with the newest run first. notes: what is missing, in words."""

    name: str
    names: tuple[str, ...]
    versions: tuple[PromptVersion, ...]
    groups: tuple[HistoryGroup, ...]
    notes: tuple[str, ...] = ()

    def version(self, wanted: str) -> PromptVersion:
        """A version by the beginning of its digest or of a commit's id, or `current`. Raises PromptError."""
        found = [one for one in self.versions if _is_meant(one, wanted)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(one.short for one in self.versions[:8])
        problem = "begins several versions" if found else "is not a version"
        raise PromptError(f"{wanted!r} {problem} of {self.name}.", f"Its versions are: {known}.")


def _is_meant(version: PromptVersion, wanted: str) -> bool:
    if wanted == "current":
        return version.current
    return bool(wanted) and any(id.startswith(wanted) for id in (version.digest, *(one.id for one in version.commits)))


def read_history(
    store: Store, library: Library, name: str, settings: Settings, current: Prompt | None = None, reference: str = ""
) -> PromptHistory:
    """Everything that is known of a prompt's versions. Slow: it reads runs and asks git.

    current: the prompt as it now reads, unsaved changes included; None: as its file has it. reference: digest of the
    version to compare with; without one, the current text where it was run, else the version that was run last.
    Raises PromptError where no prompt has or had the name.
    """
    located = library.find(name)
    if current is None and located is not None:
        current = library.open(name).prompt
    git = read_git_history(located[0] if located else find_path(library.folder, name), name)
    spans, problems = _find_spans(library, name, git)
    known = {digest_prompt(one.prompt) for one in git.prompts if one.prompt}
    known |= {digest_prompt(current)} if current else set()
    uses = find_uses(store, library, name, spans, settings, known)
    panes = library.panes.list(library.find_folder(name), spans)
    if current is None and not git.prompts and not uses.found and not panes:
        library.open(name)  # says that there is none, and what may be meant
    results = [use.result for use in uses.found]
    prompts = {digest_prompt(use.prompt): use.prompt for use in reversed(uses.found)}
    versions = _gather_versions(current, git, prompts, results, panes)
    order = [version.digest for version in versions]
    groups = tuple(_group(store, results, order, reference or (digest_prompt(current) if current else "")))
    return PromptHistory(
        name=name,
        names=tuple(dict.fromkeys(span.name for span in spans)),
        versions=versions,
        groups=groups,
        notes=(*problems, *_note(git, uses.left_out)),
    )


def compare_versions(store: Store, history: PromptHistory, a: str, b: str) -> tuple[VersionRow, ...]:
    """Version b against version a, by their digests, for each bench and variant in which both were run: a row of b. The
    verdict is about b; Holm's correction is not needed, for each answers another question."""
    found = []
    for group in history.groups:
        rows = {row.version: row.result for row in group.rows}
        if a in rows and b in rows:
            found += [row for row in _compare(store, rows[a], [rows[b]]) if row.version == b]
    return tuple(found)


def _find_spans(library: Library, name: str, git: GitHistory) -> tuple[tuple[NameSpan, ...], tuple[str, ...]]:
    """The names that the prompt has had, by our own renamings and by git's."""
    problems: tuple[str, ...] = ()
    try:
        spans = _find_own_names(library, name)
    except FileError as error:
        spans, problems = (NameSpan(name, -math.inf, math.inf),), (error.message,)
    return (*spans, *_find_committed_names(name, spans, git.prompts)), problems


def _find_own_names(library: Library, name: str) -> tuple[NameSpan, ...]:
    """By our own renamings, in the folder that has the prompt. Raises FileError."""
    home = library.find_folder(name)
    spans = library.renames.find_names(home, name)
    if home == library.folder:
        return spans
    # a prompt of its own folder that bore the name until it was renamed is another one
    freed = library.renames.find_names(library.folder, name)[0].start
    return (spans[0]._replace(start=max(spans[0].start, freed)), *spans[1:])


def _find_committed_names(
    name: str, spans: Sequence[NameSpan], commits: Sequence[CommittedPrompt]
) -> Iterator[NameSpan]:
    """Names that only git knows: each until the commit that gave the file its next one."""
    known = {span.name for span in spans}
    for newer, older in pairwise(commits):
        if newer.path == older.path:
            continue
        former = _rename_like(name, commits[0].path, older.path)
        if former and former not in known:
            known.add(former)
            yield NameSpan(former, -math.inf, newer.commit.at + 1)  # git cuts off the fractions of a second


def _rename_like(name: str, path: str, former: str) -> str:
    """The name in the library that goes with a former path, where `path` goes with `name`; "" outside the library."""
    root = strip_suffix(path).removesuffix(name)
    inside = former.startswith(root) and former.endswith(SUFFIXES)
    return strip_suffix(former.removeprefix(root)) if inside else ""


def _gather_versions(
    current: Prompt | None,
    git: GitHistory,
    used: Mapping[str, Prompt],
    results: Sequence[VersionResult],
    panes: Sequence[PaneVersion],
) -> tuple[PromptVersion, ...]:
    now = digest_prompt(current) if current else ""
    prompts: dict[str, Prompt] = {now: current} if current else {}
    commits: dict[str, list[Commit]] = {}
    for one in git.prompts:
        if one.prompt:
            digest = digest_prompt(one.prompt)
            prompts.setdefault(digest, one.prompt)
            commits.setdefault(digest, []).append(one.commit)
    for digest, prompt in used.items():
        prompts.setdefault(digest, prompt)
    shown = {one.digest: one for one in panes}
    for digest, seen in shown.items():
        prompts.setdefault(digest, seen.prompt)
    runs: dict[str, float] = {}
    for result in results:
        runs[result.version] = min(result.at, runs.get(result.version, math.inf))
    found = []
    for digest, prompt in prompts.items():
        own = tuple(commits.get(digest, ()))
        pane = shown[digest].at if digest in shown else None
        dates = [*(commit.at for commit in own), *(at for at in (runs.get(digest), pane) if at is not None)]
        found.append(PromptVersion(digest, prompt, min(dates, default=None), own, digest == now, pane))
    return tuple(sorted(found, key=lambda one: -(one.first if one.first is not None else math.inf)))


def _group(
    store: Store, results: Sequence[VersionResult], order: Sequence[str], preferred: str
) -> Iterator[HistoryGroup]:
    """results: newest first."""
    groups: dict[tuple[str, str], list[VersionResult]] = {}
    for result in results:
        groups.setdefault((result.bench, result.variant), []).append(result)
    for (bench, variant), own in groups.items():
        reference = next((one for one in own if one.version == preferred), own[0])
        chosen: dict[str, VersionResult] = {}
        for one in own:
            held = chosen.setdefault(one.version, one)
            if held.setting != reference.setting and one.setting == reference.setting:
                chosen[one.version] = one
        chosen[reference.version] = reference
        others = [one for one in chosen.values() if one.version != reference.version]
        rows = {
            row.version: row for row in (VersionRow(reference.version, reference), *_compare(store, reference, others))
        }
        listed = tuple(rows[digest] for digest in order if digest in rows)
        yield HistoryGroup(bench, variant, reference.version, listed)


def _compare(store: Store, reference: VersionResult, others: Sequence[VersionResult]) -> Iterator[VersionRow]:
    """Each other result against the reference; Holm's correction is over those that can be compared."""
    reasons = {one.version: _find_obstacle(reference, one) for one in others}
    for one in others:
        if reasons[one.version]:
            yield VersionRow(one.version, one, None, reasons[one.version])
    comparable = [one for one in others if not reasons[one.version]]
    metric = reference.metric
    if not comparable or metric is None:
        return
    columns = _align(store, [reference, *comparable], metric.name)
    pairs = [(0, at + 1) for at in range(len(comparable))]
    names = [one.version[:SHORT] for one in (reference, *comparable)]
    doubts = {
        one.version[:SHORT]: f"{one.cut / one.cells:.0%} of the answers of {one.version[:SHORT]} were cut off"
        for one in (reference, *comparable)
        if one.cut > MOST_CUT * one.cells
    }
    compared = compare_pairs(columns, pairs, metric.binary, metric.lower_is_better, not metric.free)
    for one, pair in zip(comparable, compared, strict=True):
        if not pair.n:
            yield VersionRow(one.version, one, None, "no case in common")
        else:
            yield VersionRow(one.version, one, withhold(to_pair(pair, metric.name, names, len(pairs)), doubts))


def _find_obstacle(reference: VersionResult, other: VersionResult) -> str:
    """Why two results do not show which prompt is better; "" where they do."""
    if reference.metric is None or other.metric is None:
        return "no scores"
    if reference.metric.name != other.metric.name:
        return f"scored by {other.metric.name}"
    if reference.setting != other.setting:
        return "other model or settings"
    return ""


def _align(store: Store, results: Sequence[VersionResult], metric: str) -> NDArray[np.float64]:
    """The results' values, cases down; a case is the same in two runs where it holds the same."""
    rows: dict[tuple[object, ...], int] = {}
    columns = []
    for result in results:
        view = RunView(store, result.run)
        keys = {number: key for key, number in identify_cases(view)}
        table = read_table(view, metric)
        column = table.means[:, view.variants.index(result.variant)]
        own = {keys[int(n)]: float(value) for n, value in zip(table.cases, column, strict=True) if int(n) in keys}
        for key in own:
            rows.setdefault(key, len(rows))
        columns.append(own)
    values = np.full((len(rows), len(columns)), np.nan)
    for at, own in enumerate(columns):
        for key, value in own.items():
            values[rows[key], at] = value
    return values


def _note(git: GitHistory, left_out: int) -> Iterator[str]:
    if git.problem:
        yield f"Versions that were never run are missing: {git.problem}"
    if not git.complete:
        yield f"Only the newest {len(git.prompts):,} commits were read."
    if git.shallow:
        yield "The clone is shallow: its oldest commit stands for all before it. `git fetch --unshallow` gets them."
    unreadable = [one for one in git.prompts if one.prompt is None]
    if unreadable:
        first = f"{unreadable[0].commit.id[:7]}: {unreadable[0].problem}"
        yield f"{len(unreadable):,} commits hold a version that cannot be read, such as {first}"
    if left_out:
        yield f"{left_out:,} older or damaged results are not shown."
