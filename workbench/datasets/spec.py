"""What a bench or a recipe says of the file that its cases come from."""

from __future__ import annotations

from typing import Literal

import msgspec

Wanted = str | int | float | bool | None
"""What a row's column may be asked to hold."""


Part = Literal["train", "validation", "test"]


class AutoSplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How rows without splits are assigned to train, validation and test: by a hash of each row, or of its group.

    seed: of the hash. validation, test: shares of the rows, 0 to 1; the rest is train. from_split: the split whose rows
    are assigned; empty: all rows. group: a column whose rows stay together; empty: that of the dataset.
    """

    seed: int = 0
    validation: float = 0.15
    test: float = 0.4
    from_split: str = ""
    group: str = ""


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the cases come from.

    path: relative to the bench's folder, else to the working folder, else to the shipped files.
    columns: prompt variable -> column; empty means every column but the expected one, under its own name.
    expected: the column with the right answer.
    checks: a column with scorers for its case alone, which the scorer `checks` applies; empty: there is none.
    relevant: the column that says which documents of the corpus, or spans of them, answer the case: a name such as
        `returns.md`, a span such as `returns.md:120-300`, or a list of these; empty: none says so.
    defaults: variables that no column holds, for which every case takes the prompt's default.
    format: what kind of file it is, such as jsonl; empty: as its name says. layout: what its columns mean, such as
        alpaca or messages, `columns` for nothing but themselves; empty: recognised.
    split: which of several parts, such as test: of a folder, of files that lie beside each other, of a workbook.
    where: only rows whose column has this value, or one of these; null stands for no value.
    group: a column whose rows belong together, such as those of one customer: they are never divided between parts.
    auto_split: makes the splits train, validation and test of a file that has none; `split` then chooses one of them.
    exclude: rows that are no cases, by number from 1, such as those that a prompt has as few-shot examples.
    sample: so many rows, drawn by `seed`, in the order of the file. seed: of the sample.
    limit: the first so many of what is left.
    synthetic: whether rows that a model wrote, marked by `origin: synthetic`, are cases: include, exclude, or only
        these; empty: in a split for training alone, so that no score is one on synthetic rows unless it is asked for.
    on_error: skip leaves out rows that cannot be read and counts them, instead of refusing the file.
    """

    path: str
    columns: dict[str, str] = {}
    expected: str = "expected"
    checks: str = ""
    format: str = ""
    layout: str = ""
    split: str = ""
    where: dict[str, Wanted | tuple[Wanted, ...]] = {}
    sample: int | None = None
    seed: int = 0
    limit: int | None = None
    on_error: Literal["refuse", "skip"] = "refuse"
    defaults: tuple[str, ...] = ()
    exclude: tuple[int, ...] = ()
    group: str = ""
    relevant: str = ""
    synthetic: Literal["", "include", "exclude", "only"] = ""
    auto_split: AutoSplit | None = None
