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
    checks: a column with scorers for its own case, which the scorer `checks` applies; empty: none.
    relevant: the column that says which documents of the corpus, or spans of them, answer the case: a name such as
        `returns.md`, a span such as `returns.md:120-300`, or a list of these; empty: none.
    defaults: variables without a column, for which every case uses the prompt's default.
    format: file format, such as jsonl; empty: by the file's name. layout: what the columns mean, such as alpaca or
        messages; `columns`: only what their names say; empty: detected.
    split: one of several parts, such as test: of a folder, of files beside each other, of a workbook.
    where: only rows whose column has this value, or one of these values; null: no value.
    group: a column whose rows belong together, such as those of one customer: they are never divided between parts.
    auto_split: makes the splits train, validation and test of a file that has none; `split` then chooses one of them.
    exclude: numbers of rows, from 1, that are not cases, such as those that are few-shot examples of a prompt.
    sample: number of rows to draw at random, kept in the order of the file. seed: seed of `sample`.
    limit: number of rows from the top, after the other filters.
    synthetic: whether rows that a model wrote, marked `origin: synthetic`, are cases: include, exclude, or only these;
        empty: in training splits alone, so that no score counts synthetic rows unless you ask for it.
    on_error: refuse the file for a row that cannot be read; or skip such rows, and count them.
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
