"""What a recipe trains on: its prompt with the rows, the rows' own conversations, or plain text."""

from __future__ import annotations

from itertools import islice

from workbench.datasets import Cases
from workbench.datasets.dataset_types import DatasetType, RecognizedType, recognize_types
from workbench.errors import TrainingError
from workbench.training.recipe import TrainedType

_PEEK_ROWS = 50
_TRAINED: tuple[DatasetType, ...] = ("conversation", "text")
_LAYOUTS = {
    "messages": "OpenAI",
    "sharegpt": "ShareGPT",
    "alpaca": "Alpaca",
    "dolly": "Dolly",
    "prompt-completion": "prompt and completion",
}
"""Names of a dataset's `layout` -> what is recognised."""


def recognize_cases(cases: Cases) -> tuple[RecognizedType, ...]:
    """Every meaning of a dataset's columns, those for preference training included."""
    rows = [row.cells for row in islice(cases.rows(), _PEEK_ROWS)]
    columns = tuple(dict.fromkeys((*cases.columns, *(name for row in rows for name in row))))
    return recognize_types(columns, rows)


def choose_type(wanted: TrainedType, layout: str, cases: Cases, has_prompt: bool) -> RecognizedType | None:
    """What the rows are, None where they are variables of the prompt.

    wanted: what the recipe says, "" where it leaves it open; layout: of its dataset. Raises TrainingError where the
    columns do not suit it, or suit more than one meaning.
    """
    if wanted == "prompt" or (not wanted and has_prompt):
        return None
    found = recognize_cases(cases)
    usable = [one for one in found if one.type in _TRAINED and wanted in ("", one.type)]
    if named := _LAYOUTS.get(layout):
        usable = [one for one in usable if one.layout == named]
    if len(usable) == 1:
        return usable[0]
    if usable:
        several = len({one.type for one in usable}) > 1
        choice = "`dataset_type`: conversation or text" if several else "`layout` of the dataset: messages or sharegpt"
        raise TrainingError(
            f"{cases.path} can be read in {len(usable)} ways: {'; '.join(one.words for one in usable)}.",
            f"Say which is meant with {choice}.",
        )
    raise _explain(wanted, cases, found)


def _explain(wanted: str, cases: Cases, found: tuple[RecognizedType, ...]) -> TrainingError:
    columns = ", ".join(cases.columns)
    pairs = next((one for one in found if one.type in ("preference", "kto")), None)
    if pairs is not None:
        return TrainingError(
            f"{cases.path} is {pairs.words}, which supervised training does not learn from.",
            "Name it as `preference: {path: …}`, with the objective "
            + ("kto." if pairs.type == "kto" else "dpo, or another one that learns from pairs."),
        )
    needed = {
        "conversation": "`messages`, `conversations`, `instruction` and `output`, or `prompt` and `completion`",
        "text": "`text`",
    }
    if wanted:
        return TrainingError(
            f"{cases.path} cannot be read as {wanted}: its columns are {columns}.",
            f"Expected the columns {needed[wanted]}.",
        )
    return TrainingError(
        f"{cases.path} is neither conversations nor text, and the recipe names no prompt: its columns are {columns}.",
        f"Name a `prompt` or a `bench`, or a file with the columns {needed['conversation']}, or {needed['text']}.",
    )
