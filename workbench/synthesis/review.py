"""RowReview: the review file of a synthesis and the file of its accepted rows, which always holds what is decided.

Each decision is appended to the review file before the other one is written, so that nothing decided or typed is lost
when the process is killed; opened again, the file of rows is brought up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from workbench import files
from workbench.errors import FileChangedError, FileError, SynthesisError
from workbench.process_identity import describe_myself, is_alive
from workbench.synthesis.records import (
    Decision,
    ReviewRecord,
    RowDecided,
    RowEdited,
    SynthesisStarted,
)
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review_state import ReviewState, render_rows_file

REVIEW_SUFFIX = ".review.jsonl"
ToCells = Callable[[dict[str, str], str | None], dict[str, str]]
"""A row by the columns of its dataset."""

_DECODER = msgspec.json.Decoder(ReviewRecord)
_EVALUATED = re.compile(r"(validation|valid|val|dev|test|testing|eval)(?![a-z0-9])", re.IGNORECASE)


class RowReview:
    """One review, for one process at a time. state: what its file adds up to."""

    def __init__(self, path: Path, state: ReviewState, to_cells: ToCells) -> None:
        """to_cells: how a row is written. Use `create_review` or `open_review`."""
        self.path, self.state = path, state
        self._to_cells = to_cells
        assert state.started is not None
        self.out = Path(state.started.request.out)
        self._process = path.with_suffix(".process")
        self._acquire()
        try:
            self._stream = path.open("ab")
            self._stream.truncate(path.read_bytes().rfind(b"\n") + 1)  # what a killed process left of its last line
        except OSError as error:
            raise FileError(f"Cannot write {path}: {error.strerror}.", "Check its rights.") from error

    @property
    def request(self) -> SynthesisRequest:
        assert self.state.started is not None
        return self.state.started.request

    def append(self, record: ReviewRecord) -> None:
        """Keep what happened. Raises FileError, and then nothing has."""
        try:
            self._stream.write(msgspec.json.encode(record) + b"\n")
            self._stream.flush()
        except OSError as error:
            raise FileError(f"Cannot write {self.path}: {error.strerror}.", "Free some space.") from error
        self.state.add(record)

    def decide(self, call: int, decision: Decision) -> None:
        """Accept or reject a row, or take that back. Raises FileError; FileChangedError where someone else changed the
        file of rows."""
        self._write(RowDecided(call=call, decision=decision))

    def edit(self, call: int, variables: dict[str, str], expected: str | None) -> None:
        """A row as a person wants it; it is accepted thereby. Raises likewise."""
        self._write(RowEdited(call=call, variables=variables, expected=expected))

    def keep_unfinished(self, call: int, variables: dict[str, str], expected: str | None) -> None:
        """What is being typed."""
        self.append(RowEdited(call=call, variables=variables, expected=expected, unfinished=True))

    def bring_up_to_date(self, before_last: str) -> None:
        """Write the file of rows where the process that decided last was killed in between. before_last: the file as it
        was before the last decision. Raises FileChangedError where it is neither."""
        now = self.render()
        if not self.out.exists() and not now:
            return
        found = files.read_text(self.out) if self.out.exists() else ""
        if found == now:
            return
        if found not in ("", before_last):
            raise _explain_changed(self.out)
        files.write_text(self.out, now, files.digest_text(found) if self.out.exists() else "")

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def close(self) -> None:
        self._stream.close()
        files.remove(self._process)

    def render(self) -> str:
        """The file of rows as it has to be now."""
        return _render(self.state, self._to_cells)

    def _write(self, record: ReviewRecord) -> None:
        before = self.render()
        expected = files.digest_text(before) if self.out.exists() else ""
        if self.out.exists() and files.digest(self.out) != expected:
            raise _explain_changed(self.out)
        self.append(record)
        after = self.render()
        if after != before:
            files.write_text(self.out, after, expected)

    def _acquire(self) -> None:
        try:
            owner = files.read_text(self._process)
        except FileError:
            owner = ""
        if owner and is_alive(owner):
            raise SynthesisError(f"{self.path.name} is open in another process.", "Leave it there first.")
        files.write_text(self._process, describe_myself())


def review_path(out: Path) -> Path:
    """Where the review of a file of rows is kept: beside it."""
    return out.with_name(out.stem + REVIEW_SUFFIX)


def propose_out(source: Path) -> Path:
    """The file of the accepted rows unless another one is named: beside the bench or the file of cases, under a name
    that is no split of an evaluation."""
    stem = source.name.removesuffix(".yaml").removesuffix(".bench") if source.suffix == ".yaml" else source.stem
    return source.absolute().parent / f"synthetic-{stem}.jsonl"


def create_review(started: SynthesisStarted, to_cells: ToCells) -> RowReview:
    """A new review. Raises SynthesisError where its files are there, or where its rows would be taken for a split of an
    evaluation; FileError."""
    out = Path(started.request.out)
    path = review_path(out)
    if _EVALUATED.match(out.stem):
        raise SynthesisError(
            f"{out.name} is named like a split that scores are taken on, where synthetic rows do not belong.",
            "Choose another name with --out, such as synthetic.jsonl.",
        )
    if out.suffix != ".jsonl":
        raise SynthesisError(f"{out.name}: rows are written as JSON lines.", "Choose a name that ends in .jsonl.")
    if path.exists():
        raise SynthesisError(
            f"{path} is there already.",
            f"Go on with it: workbench synthesize --review {path}; or choose another --out.",
        )
    if out.exists():
        raise SynthesisError(f"{out} is there already, and no review of it.", "Choose another name with --out.")
    files.write_text(path, msgspec.json.encode(started).decode() + "\n", "")
    state = ReviewState()
    state.add(started)
    return RowReview(path, state, to_cells)


def read_review(path: Path) -> tuple[ReviewRecord, ...]:
    """The records of a review file; an incomplete last line is left out. Raises SynthesisError with the line."""
    records = []
    text = files.read_text(path)
    lines = files.split_lines(text[: text.rfind("\n") + 1])
    for number, line in enumerate(lines, 1):
        try:
            records.append(_DECODER.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            raise SynthesisError(f"{path}:{number}: not a record of a review: {error}.", "Restore the file.") from error
    if not records or not isinstance(records[0], SynthesisStarted):
        raise SynthesisError(
            f"{path} is not a review of synthetic rows.",
            f"Name a file that ends in {REVIEW_SUFFIX}, or begin a new one.",
        )
    return tuple(records)


def open_review(path: Path, to_cells: ToCells) -> RowReview:
    """A review to go on with. Raises SynthesisError, FileError, FileChangedError."""
    records, state, before = read_review(path), ReviewState(), ""
    last = max((at for at, record in enumerate(records) if _decides(record)), default=-1)
    for at, record in enumerate(records):
        if at == last:
            before = _render(state, to_cells)
        state.add(record)
    review = RowReview(path, state, to_cells)
    try:
        review.bring_up_to_date(before)
    except FileError:
        review.close()
        raise
    return review


def _decides(record: ReviewRecord) -> bool:
    return isinstance(record, RowDecided) or (isinstance(record, RowEdited) and not record.unfinished)


def _render(state: ReviewState, to_cells: ToCells) -> str:
    return render_rows_file(state, {row.call: to_cells(row.variables, row.expected) for row in state.accepted})


def _explain_changed(out: Path) -> FileChangedError:
    return FileChangedError(
        f"{out} was changed by another program since rows were accepted into it.",
        "Move your version aside; the accepted rows are written again when the review is opened.",
    )
