"""The history of a prompt as the screen writes it: a line a version, and a page on one."""

from __future__ import annotations

import math

from textual.content import Content

from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
from workbench.analysis.prompt_history import HistoryGroup, PromptHistory, PromptVersion, VersionRow
from workbench.analysis.version_order import describe_verdict, name_verdict
from workbench.analysis.word_diff import diff_words
from workbench.library.versions import describe_version
from workbench.sanitize import sanitize, sanitize_line
from workbench.units import format_date

Part = str | tuple[str, str]
_COLUMNS = "  version   date        score   95%           cases  tokens  "
_VERDICT = 14
_VERDICTS = {"better": "$text-success", "worse": "$text-error"}
_MUTED = "$foreground 60%"


def show_head(width: int) -> Content:
    """The heads of the columns."""
    message = "change" if width >= len(_COLUMNS) + _VERDICT + 10 else ""
    return Content.assemble((f"{_COLUMNS}{'verdict':<{_VERDICT}}{message}", _MUTED))


def show_version(version: PromptVersion, row: VersionRow | None, reference: str) -> Content:
    """A version as a line of the list."""
    mark = "●" if version.current else "▸" if version.digest == reference else " "
    date = format_date(version.first)[:10] if version.first is not None else "unsaved"
    parts: list[Part] = [f"{mark} {version.short}  {date:<12}", *_show_figures(row, version.digest == reference)]
    message = version.message or ("the current text" if version.current else name_origin(version))
    return Content.assemble(*parts, (sanitize_line(message), _MUTED))


def name_origin(version: PromptVersion) -> str:
    """Where a version is from that no commit and no run with scores tells of; "" for others."""
    return "run in a pane" if version.pane is not None else ""


def _show_figures(row: VersionRow | None, is_reference: bool) -> list[Part]:
    if row is None:
        return [(f"{'–':<8}{'not run here':<{len(_COLUMNS) - 32 + _VERDICT}}", _MUTED)]
    found, metric = row.result.score, row.result.metric
    value, interval = "–", ""
    if metric is not None and not math.isnan(found.value):
        value = format_value(found.value, metric, found.n)
        interval = format_interval(found, count_digits(metric, found.n, found.value)).replace(" – ", "–")
    tokens = f"{row.result.tokens:.0f}" if row.result.tokens else "–"
    verdict = "compared with" if is_reference else name_verdict(row)
    style = _VERDICTS.get(row.pair.verdict, "") if row.pair else _MUTED
    return [(f"{value:<8}", "bold"), f"{interval:<14}{found.n:>5,}  {tokens:>6}  ", (f"{verdict:<{_VERDICT}} ", style)]


def describe_selected(history: PromptHistory, group: HistoryGroup | None, version: PromptVersion) -> Content:
    """All about one version: where it came from, its verdict, and what it changed against the reference."""
    parts: list[Part] = [(f"{version.short}", "bold $primary")]
    if version.current:
        parts.append("  the current text")
    if version.pane is not None:
        parts += ["\n", (f"run in a pane, first {format_date(version.pane)}", _MUTED)]
    for commit in version.commits:
        words = f"{commit.id[:7]}  {format_date(commit.at)}  {sanitize_line(commit.subject)}"
        parts += ["\n", (words, _MUTED)]
    row = next((row for row in group.rows if row.version == version.digest), None) if group else None
    if group is not None and row is not None:
        parts += _describe_result(group, row)
    for note in history.notes:
        parts += ["\n", (f"Note: {sanitize(note)}", "$text-warning")]
    other = _find_other(history, group, version)
    if other is None or other.digest == version.digest:
        return Content.assemble(*parts, "\n\n", sanitize(describe_version(version.prompt)))
    name = "the current text" if other.current else other.short
    parts += ["\n\n", (f"Changes from {version.short} to {name}\n", "bold")]
    return Content.assemble(*parts, *_mark_changes(version, other))


def _describe_result(group: HistoryGroup, row: VersionRow) -> list[Part]:
    result = row.result
    metric = name_metric(result.metric.name) if result.metric else "no score"
    cut = f", {result.cut:,} cut off" if result.cut else ""
    failed = f", {result.failed:,} failed" if result.failed else ""
    line = f"{group.title}: {metric}, model {result.model}, run {result.run} of {format_date(result.at)}{failed}{cut}"
    parts: list[Part] = ["\n", sanitize(line)]
    if row.pair or row.reason:
        parts += ["\n", sanitize(f"Against {group.reference[:8]}: {describe_verdict(row)}")]
    return parts


def _find_other(history: PromptHistory, group: HistoryGroup | None, version: PromptVersion) -> PromptVersion | None:
    """The version whose text a selected one is compared with: the group's reference, else the current text."""
    wanted = group.reference if group else next((one.digest for one in history.versions if one.current), "")
    return next((one for one in history.versions if one.digest == wanted), None)


def _mark_changes(first: PromptVersion, second: PromptVersion) -> list[Part]:
    parts: list[Part] = []
    for change in diff_words(describe_version(first.prompt), describe_version(second.prompt)):
        if change.equal:
            parts.append(sanitize(change.first))
            continue
        parts += [(f"[-{sanitize(change.first)}-]", "$text-error")] if change.first else []
        parts += [(f"{{+{sanitize(change.second)}+}}", "$text-success")] if change.second else []
    return [part for part in parts if part]
