"""What was measured last: every figure beside its aim, its date, and the machine; kept in a file, shown in README.md.

What is not measured this time stays as it was. Knows nothing of how anything is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from .reasons import REASONS

RESULTS, README = (Path(__file__).with_name(name) for name in ("results.json", "README.md"))
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
NOT_RUN = "not run"
BUSY = 0.3
"""Cores that other programs use, above which a figure is marked."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One row. others: cores that other programs used, right before or meanwhile. machine: in words, with versions."""

    measure: str
    what: str
    figure: str
    aim: str
    date: str
    others: float
    machine: str

    @property
    def missed(self) -> bool:
        """Whether the aim is a limit that the figure does not keep."""
        figure, limit = _NUMBER.match(self.figure), _NUMBER.search(self.aim)
        if not figure or not limit:
            return False
        value, bound = (float(found[0].replace(",", "")) for found in (figure, limit))
        if self.aim.startswith(("at most", "under", "below")):
            return value > bound
        return self.aim.startswith(("at least", "more than")) and value < bound


def read(path: Path = RESULTS) -> list[Result]:
    return msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.exists() else []


def merge(old: Sequence[Result], new: Sequence[Result], whole: bool) -> list[Result]:
    """The results to keep. whole: the measures of the new ones were run altogether, so that no older row is left.

    What could not be run does not replace what once was.
    """
    measured = {(one.measure, one.what) for one in old if not one.figure.startswith(NOT_RUN)}
    new = [one for one in new if not (one.figure.startswith(NOT_RUN) and (one.measure, one.what) in measured)]
    replaced = {(one.measure, one.what) for one in new}
    run = {one.measure for one in new if not one.figure.startswith(NOT_RUN)} if whole else set()
    left = [one for one in old if one.measure not in run and (one.measure, one.what) not in replaced]
    measures = list(dict.fromkeys(one.measure for one in [*old, *new]))
    return sorted([*left, *new], key=lambda one: (measures.index(one.measure), one.what))


def write(results: Sequence[Result], path: Path = RESULTS, readme: Path = README) -> None:
    """Keep the results, and put them where the README has its table."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    text = readme.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n\n{render(results)}\n{END}{after}")


def render(results: Sequence[Result]) -> str:
    """The table in Markdown, the machines and the reasons below it."""
    machines = list(dict.fromkeys(one.machine for one in results))
    reasons: list[str] = []
    lines = ["| measure | what | figure | aim | measured |", "|---|---|---|---|---|"]
    for one in results:
        aim = one.aim + (f" — missed{_refer(_find_reason(one), reasons)}" if one.missed else "")
        when = one.date + (f", machine {machines.index(one.machine) + 1}" if len(machines) > 1 else "")
        when += f", **busy: {one.others:.1f} cores**" if one.others > BUSY else ""
        lines.append("| " + " | ".join(_escape([one.measure, one.what, one.figure, aim, when])) + " |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    seen = [f"- machine {number}: {machine}" for number, machine in enumerate(machines, 1)]
    return "\n".join([*lines, "", *(["Why an aim is missed:", "", *notes, ""] if notes else []), *seen, ""])


def _find_reason(one: Result) -> str:
    return next((reason for pattern, reason in REASONS if re.search(pattern, one.what)), "")


def _refer(reason: str, reasons: list[str]) -> str:
    if not reason:
        return ""
    if reason not in reasons:
        reasons.append(reason)
    return f" ({reasons.index(reason) + 1})"


def _escape(cells: Iterable[str]) -> list[str]:
    return [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
