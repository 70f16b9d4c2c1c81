"""DatasetView: a preview of a dataset file and the options that decide how it is read, applied as they are typed.

Dismissed with the dataset to use, or with None.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from workbench.datasets import DatasetPreview, describe
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, WorkbenchError
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import FormDialog, is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, Static, plain_line
from workbench.units import format_plural

_LONGEST = 300  # characters of a value that are shown
FIELDS = {
    "layout": "layout of the columns; empty: detected",
    "split": "such as train, validation or test",
    "columns": "variable=column, variable=column; empty: every column under its own name",
    "expected": "column of the expected answer",
    "where": "column=value, column=value: only matching rows",
    "sample": "number of rows to sample at random; empty: all",
    "limit": "number of rows from the start; empty: all",
}


class DatasetView(FormDialog[Dataset | None]):
    """Fields above, the preview below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="dataset.leave"),
        Binding("ctrl+s", "use", "apply", id="dataset.use", tooltip="Apply the dataset", priority=True),
    ]

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        super().__init__()
        self._dataset, self._folder = dataset, folder
        self._given = dataset

    def compose(self) -> ComposeResult:
        values = write_fields(self._dataset)
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(self._dataset.path)
            for name, hint in FIELDS.items():
                with Horizontal(classes="field"):
                    yield Label(name)
                    yield Input(values[name], placeholder=hint, compact=True, id=f"dataset-{name}")
            yield Label("", id="dataset-problem")
            with VerticalScroll():
                yield Static(id="dataset-preview")
            yield Label("tab next field   enter or ^s apply   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self._changed()

    @on(Input.Changed)
    def _changed(self) -> None:
        try:
            self._given = self._read()
        except DatasetError as error:
            self._complain(error.message)
            return
        self._look(self._given)

    def _read(self) -> Dataset:
        texts = {name: self.query_one(f"#dataset-{name}", Input).value for name in FIELDS}
        return read_fields(self._dataset, texts)

    @work(thread=True, group="preview", exclusive=True)
    def _look(self, dataset: Dataset) -> None:
        try:
            preview = describe(dataset, self._folder)
        except WorkbenchError as error:
            self.app.call_from_thread(self._complain, error.message)
            return
        self.app.call_from_thread(self._show, dataset, preview)

    def _show(self, dataset: Dataset, preview: DatasetPreview) -> None:
        if is_open(self) and dataset == self._given:
            self._complain("")
            self.query_one("#dataset-preview", Static).update(draw_preview(preview))

    def _complain(self, message: str) -> None:
        if is_open(self):
            self.query_one("#dataset-problem", Label).update(sanitize(message))

    @on(Input.Submitted)
    def action_use(self) -> None:
        try:
            self.dismiss(self._read())
        except DatasetError as error:
            self._complain(error.message)


def write_fields(dataset: Dataset) -> dict[str, str]:
    """The dataset's words as one types them."""
    where = ", ".join(
        f"{column}={value}"
        for column, wanted in dataset.where.items()
        for value in (wanted if isinstance(wanted, tuple) else (wanted,))
    )
    return {
        "layout": dataset.layout,
        "split": dataset.split,
        "columns": ", ".join(f"{name}={column}" for name, column in dataset.columns.items()),
        "expected": dataset.expected,
        "where": where,
        "sample": "" if dataset.sample is None else str(dataset.sample),
        "limit": "" if dataset.limit is None else str(dataset.limit),
    }


def read_fields(dataset: Dataset, texts: dict[str, str]) -> Dataset:
    """The dataset with what was typed. Raises DatasetError that names the field."""
    where: dict[str, tuple[str, ...]] = {}
    for column, value in _pairs("where", texts["where"]):
        where[column] = (*where.get(column, ()), value)
    return msgspec.structs.replace(
        dataset,
        layout=texts["layout"].strip(),
        split=texts["split"].strip(),
        columns=dict(_pairs("columns", texts["columns"])),
        expected=texts["expected"].strip() or "expected",
        where={column: values if len(values) > 1 else values[0] for column, values in where.items()},
        sample=_number("sample", texts["sample"]),
        limit=_number("limit", texts["limit"]),
    )


def _pairs(field: str, text: str) -> list[tuple[str, str]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.partition("=")[1] or not part.partition("=")[0].strip()]
    if wrong:
        raise DatasetError(f"{field}: expected name=value, found {wrong[0]!r}.")
    return [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in parts)]


def _number(field: str, text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isdigit() or int(text) < 1:
        raise DatasetError(f"{field}: expected a number from 1, found {text!r}.")
    return int(text)


def draw_preview(preview: DatasetPreview) -> Content:
    """The format, the columns with samples, and the first cases as a prompt would get them."""
    rows = f", {format_plural(preview.rows, 'row')}" if preview.rows is not None else ""
    if preview.unreadable:
        rows += f", {preview.unreadable:,} of the sampled rows are unreadable"
    parts: list[str | tuple[str, str]] = [
        (f"{preview.format}, read as {preview.layout}{rows}", "bold"),
        (f"\nsplits: {', '.join(preview.splits)} (using {preview.split})" if preview.splits else "", ""),
        (f"\ntraining without a prompt: {sanitize('; '.join(preview.types))}" if preview.types else "", ""),
        (f"\nexpected answer: {sanitize(preview.expected) or 'none'}\n", ""),
    ]
    parts += [(f"\n{sanitize(problem)}", "$text-error") for problem in preview.problems]
    parts += [(f"\n{sanitize(remark)}", "$text-warning") for remark in preview.remarks]
    parts.append(("\ncolumns\n", "bold $primary"))
    for column in preview.columns:
        samples = "   ".join(sanitize(sample[:60]).replace("\n", "␤") for sample in column.samples)
        parts += [f"{sanitize(column.name)}  ", (f"{samples}\n", "$foreground 60%")]
    for case in preview.cases:
        parts.append((f"\ncase {case.number}\n", "bold $primary"))
        for name, value in case.variables.items():
            parts += [(f"{sanitize(name)}  ", "$foreground 60%"), f"{_cut(value)}\n"]
        parts += [("expected  ", "$foreground 60%"), f"{_cut(case.expected or '(none)')}\n"]
    return Content.assemble(*(part for part in parts if part and part[0]))


def _cut(text: str) -> str:
    """What of a value is shown, and how long it is: a field may hold a whole document."""
    if len(text) <= _LONGEST:
        return sanitize(text)
    return f"{sanitize(text[:_LONGEST])}… ({len(text):,} characters)"
