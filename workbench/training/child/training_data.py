"""The data of a training: the rows of both splits as token ids, and the columns that TRL reads of each form of data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import datasets

from workbench.datasets.row_digests import RowDigests
from workbench.errors import TrainingError
from workbench.training.child.encoder import UNLEARNED
from workbench.training.child.tokenized_dataset import TokenizedDataset, encode_rows
from workbench.training.child.training_model import TrainingModel
from workbench.training.labelled_rows import LabelledRow, LabelledRows, read_labelled_rows
from workbench.training.manifest import DataTrace
from workbench.training.objectives import DataForm
from workbench.training.preference_pairs import PreferencePair, PreferencePairs, read_pairs
from workbench.training.recipe import find_objective
from workbench.training.row_passages import read_corpus
from workbench.training.rows import RenderedRows, digest_rows, render_training, render_validation
from workbench.training.task import Task


class TrainingData(NamedTuple):
    """rendered, rendered_validation: rows in the prompt. train, validation: the same as token ids, validation None
    without any. pairs, labelled: where the objective learns from them; train then holds their better answers, or all
    labelled ones."""

    rendered: RenderedRows
    rendered_validation: RenderedRows
    train: TokenizedDataset
    validation: TokenizedDataset | None
    pairs: PreferencePairs | None
    labelled: LabelledRows | None = None

    @property
    def preferences(self) -> PreferencePairs | LabelledRows | None:
        """The pairs or the labelled answers; None where the objective learns from rows."""
        return self.pairs or self.labelled

    @property
    def held_out(self) -> int:
        """Rows, or pairs, that the validation loss is measured on."""
        return len(self.preferences.validation if self.preferences else self.rendered_validation.rows)


def load_data(task: Task, loaded: TrainingModel) -> TrainingData:
    """Everything that the task trains and evaluates on. Raises TrainingError."""
    held = render_validation(task)
    validation = encode_rows(loaded, task.recipe, held.rows) if held.rows else None
    form = find_objective(task.recipe).data
    pairs = read_pairs(task) if form == "pairs" else None
    labelled = read_labelled_rows(task) if form == "labelled" else None
    found = pairs or labelled
    rendered = RenderedRows(tuple(one.row for one in found.train), ()) if found else render_training(task)
    return TrainingData(rendered, held, encode_rows(loaded, task.recipe, rendered.rows), validation, pairs, labelled)


def trace_data(task: Task, data: TrainingData) -> tuple[DataTrace, ...]:
    """Where the rows come from."""
    traces = []
    if found := data.preferences:
        traces.append(DataTrace("preference", found.path, found.digest, len(found.train)))
    elif task.train is not None:
        traces.append(DataTrace("train", str(task.train.path), task.train.digest, len(data.train.rows)))
    if task.validation is not None and data.validation:
        traces.append(
            DataTrace("validation", str(task.validation.path), task.validation.digest, len(data.validation.rows))
        )
    if task.passages is not None and (corpus := read_corpus(task.passages)):
        traces.append(DataTrace("passages", str(task.passages.path), corpus.digest, len(corpus.passages)))
    return tuple(traces)


def digest_data(task: Task, data: TrainingData) -> tuple[RowDigests, ...]:
    """The digests of the rows, by which a later run recognises cases that were trained on."""
    held = [digest_rows("validation", task, data.validation.rows)] if data.validation else []
    rows = data.rendered.rows if data.preferences else data.train.rows
    return (*held, digest_rows("preference" if data.preferences else "train", task, rows))


def make_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    """The datasets to train and to evaluate on, in the columns of the objective's trainer; None without validation."""
    objective = find_objective(task.recipe)
    make = _make_scored_columns if objective.scores else _COLUMNS[objective.data]
    return make(data, task, loaded)


def make_dataset(tokenized: TokenizedDataset, completion_only: bool) -> Any:
    """Token ids and labels, which SFTTrainer only truncates and packs."""
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for one in tokenized.encoded:
        labels = one.labels(completion_only)[: tokenized.limit]
        if any(label != UNLEARNED for label in labels):
            columns["input_ids"].append(list(one.ids[: tokenized.limit]))
            columns["labels"].append(labels)
    return datasets.Dataset.from_dict(columns)


def _make_row_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    only = task.recipe.training.completion_only_loss
    return make_dataset(data.train, only), make_dataset(data.validation, only) if data.validation else None


def _make_pair_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    assert data.pairs
    limit = data.train.limit
    held = data.pairs.validation
    return _make_pairs(loaded, data.pairs.train, limit), _make_pairs(loaded, held, limit) if held else None


def _make_pairs(loaded: TrainingModel, pairs: Sequence[PreferencePair], limit: int) -> Any:
    """Prompts with a better and a worse answer, as DPOTrainer takes them."""
    columns: dict[str, list[list[int]]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    for pair in pairs:
        chosen, rejected = loaded.encoder.encode(pair.row), loaded.encoder.join(pair.row, pair.rejected)
        if chosen.prompt < limit:
            columns["prompt_ids"].append(list(chosen.ids[: chosen.prompt]))
            columns["chosen_ids"].append(list(chosen.ids[chosen.prompt :]))
            columns["rejected_ids"].append(list(rejected.ids[rejected.prompt :]))
    if not columns["prompt_ids"]:
        raise TrainingError("No preference pair fits.", "Raise training.max_length, or shorten the prompts.")
    return datasets.Dataset.from_dict(columns)


def _make_scored_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    """Two whole conversations of each pair, as RewardTrainer takes them."""
    assert data.pairs
    limit, held = data.train.limit, data.pairs.validation
    return _make_scored(loaded, data.pairs.train, limit), _make_scored(loaded, held, limit) if held else None


def _make_scored(loaded: TrainingModel, pairs: Sequence[PreferencePair], limit: int) -> Any:
    columns: dict[str, list[list[int]]] = {"chosen_ids": [], "rejected_ids": []}
    for pair in pairs:
        chosen, rejected = loaded.encoder.encode(pair.row), loaded.encoder.join(pair.row, pair.rejected)
        if max(len(chosen.ids), len(rejected.ids)) <= limit:  # of a cut answer, the end is not there to be scored
            columns["chosen_ids"].append(list(chosen.ids))
            columns["rejected_ids"].append(list(rejected.ids))
    if not columns["chosen_ids"]:
        raise TrainingError("No preference pair fits.", "Raise training.max_length, or shorten the prompts.")
    return datasets.Dataset.from_dict(columns)


def _make_labelled_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    assert data.labelled
    limit, size, held = data.train.limit, task.recipe.training.batch_size, data.labelled.validation
    train = _make_labelled(loaded, data.labelled.train, limit, size)
    return train, _make_labelled(loaded, held, limit, size) if held else None


def _make_labelled(loaded: TrainingModel, rows: Sequence[LabelledRow], limit: int, size: int) -> Any:
    """Prompts with an answer and its label, as KTOTrainer takes them. size: rows of a batch, within which the answers
    of the KL term are those of the neighbours: that of a row is its predecessor's, that of the first the last one's."""
    encoded = [(loaded.encoder.encode(one.row), one.label) for one in rows]
    fitting = [(one, label) for one, label in encoded if one.prompt < limit]
    if not fitting:
        raise TrainingError("No labelled answer fits.", "Raise training.max_length, or shorten the prompts.")
    answers = [list(one.ids[one.prompt :]) for one, _ in fitting]
    blocks = [answers[first : first + size] for first in range(0, len(answers), size)]
    columns = {
        "prompt_ids": [list(one.ids[: one.prompt]) for one, _ in fitting],
        "completion_ids": answers,
        "KL_completion_ids": [answer for block in blocks for answer in (block[-1], *block[:-1])],
        "label": [label for _, label in fitting],
    }
    return datasets.Dataset.from_dict(columns)


def _make_prompt_columns(data: TrainingData, task: Task, loaded: TrainingModel) -> tuple[Any, Any]:
    """The keys of the prompts that answers are sampled for; the validation rows are answered by the evaluation."""
    return datasets.Dataset.from_dict({"prompt": [str(at) for at in range(len(data.train.answered))]}), None


_COLUMNS: dict[DataForm, Callable[[TrainingData, Task, TrainingModel], tuple[Any, Any]]] = {
    "rows": _make_row_columns,
    "pairs": _make_pair_columns,
    "labelled": _make_labelled_columns,
    "prompts": _make_prompt_columns,
}
