"""Warnings about the training data, the same in a dry run and in a job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from workbench.training.child.conversation_warnings import (
    describe_history,
    describe_rendered,
    describe_turns,
    describe_type,
    describe_unscored,
    list_cases,
)
from workbench.training.child.tokenized_dataset import TokenizedDataset
from workbench.training.child.training_data import TrainingData
from workbench.training.child.training_model import TrainingModel
from workbench.training.labelled_rows import count_labels
from workbench.training.preference_pairs import PreferencePair
from workbench.training.recipe import Recipe, find_objective
from workbench.training.rows import RenderedRows, describe_test_overlap, find_empty, find_overlap
from workbench.training.task import Task
from workbench.units import format_plural, format_subject


def list_warnings(task: Task, loaded: TrainingModel, data: TrainingData) -> tuple[str, ...]:
    """One sentence each, those about the training rows first."""
    train, held = data.train, data.rendered_validation
    sentences = [
        *describe_type(task, loaded),
        *describe_history(task, data.rendered),
        *_describe_split(data.rendered, train, "training row"),
        *_describe_encoding(loaded, train),
        *_describe_end(loaded, train, task.recipe),
        *_describe_split(held, data.validation, "validation row"),
        *describe_unscored(data.validation),
    ]
    shared = find_overlap(train.rows, held.rows)
    if shared:
        sentences.append(
            f"{format_subject(shared, 'validation row')} also in the training rows: validation scores will be too good."
        )
    if data.labelled:
        sentences.append(count_labels(data.labelled.train))
    if data.preferences and data.preferences.ties:
        sentences.append(f"{format_subject(data.preferences.ties, 'pair')} left out: both answers have as many votes.")
    if data.pairs and find_objective(task.recipe).scores:
        sentences.append(_describe_long_pairs(loaded, data.pairs.train, train.limit))
    if not held.rows and not data.preferences:
        sentences.append("There is no validation split: overfitting will not be detected.")
    return tuple(filter(None, (*sentences, describe_test_overlap(task, train.rows))))


def _describe_long_pairs(loaded: TrainingModel, pairs: Sequence[PreferencePair], limit: int) -> str:
    """How many pairs a reward model cannot learn from, since the end of an answer is where it is scored."""
    lengths = [
        max(len(loaded.encoder.encode(pair.row).ids), len(loaded.encoder.join(pair.row, pair.rejected).ids))
        for pair in pairs
    ]
    long = sum(length > limit for length in lengths)
    return f"{format_subject(long, 'pair')} left out: an answer ends after {limit} tokens." if long else ""


def _describe_split(rendered: RenderedRows, tokenized: TokenizedDataset | None, what: str) -> Iterator[str]:
    if rendered.unlabelled:
        lacking = "empty" if tokenized and tokenized.documents else "without an expected answer"
        yield f"{format_plural(len(rendered.unlabelled), what)} {lacking}, left out."
    empty = find_empty(rendered.rows)
    if empty:
        yield (
            f"{format_subject(len(empty), what, 'has', 'have')} an empty expected answer ({list_cases(empty)}), which"
            " teaches the model to stop at once. Remove them from the dataset if their answers are missing."
        )
    yield from describe_rendered(rendered, what)
    yield from describe_turns(tokenized, what) if tokenized else ()
    if tokenized and tokenized.lost:
        yield f"{format_subject(tokenized.lost, what)} left out: the prompt has {tokenized.limit} tokens or more."
    if tokenized and tokenized.cut:
        yield (
            f"{format_subject(tokenized.cut, what)} longer than {tokenized.limit} tokens: the answer is truncated,"
            " and the model does not learn where it ends."
        )


def _describe_encoding(loaded: TrainingModel, taught: TokenizedDataset) -> Iterator[str]:
    if any(one.parted for one in taught.encoded):
        yield (
            "The chat template renders a prompt differently once it is answered; it is trained as inference renders it."
        )
    stripped = sum(one.stripped for one in taught.encoded)
    if stripped:
        yield f"White space around {format_plural(stripped, 'answer')} is dropped, as the chat template strips it."


def _describe_end(loaded: TrainingModel, taught: TokenizedDataset, recipe: Recipe) -> Iterator[str]:
    own = next((row for row, one in zip(taught.rows, taught.encoded, strict=True) if one.own_end), None)
    if own is not None and own.mode == "chat":
        end = loaded.vocabulary.text(loaded.vocabulary.eos)
        yield (
            f"The chat template closes an answer without an end-of-turn token: {end}, the tokenizer's own, is trained"
            " after each answer."
        )
    trained = recipe.method.kind == "full" or len(recipe.method.modules_to_save) > 1
    untrained = (
        () if trained else find_untrained(loaded.model, {one.ids[one.end] for one in taught.encoded if one.ended})
    )
    if untrained:
        names = " and ".join(loaded.vocabulary.text(token) for token in untrained)
        yield (
            f"The base was never trained on {names}, which ends an answer: its embedding is that of an untrained token."
            " Add embed_tokens and lm_head to method.modules_to_save, or answers may not end."
        )


_SMALL = 0.1
"""Share of the median norm below which a row of the embedding has not been trained."""

_SAME = 0.9995
"""Cosine from which two rows count as equal: tokens that were never seen keep a common initial value, and
tokens added later start at the mean of the others."""


def find_untrained(model: Any, tokens: Iterable[int]) -> tuple[int, ...]:
    """Those of these tokens that the base was never trained to read or write; none for a quantized base."""
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    weights = [layer.weight for layer in layers if layer is not None and layer.weight.is_floating_point()]
    return tuple(token for token in sorted(set(tokens)) if any(_is_untrained(weight, token) for weight in weights))


@torch.no_grad()
def _is_untrained(weight: torch.Tensor, token: int) -> bool:
    if token >= weight.shape[0]:
        return False
    row = weight[token].float()
    lengths = weight.norm(dim=1).float()
    if row.norm() <= _SMALL * lengths.median():
        return True
    products = (weight @ weight[token]).float() / (lengths * row.norm()).clamp_min(1e-12)
    products[token] = 0.0
    mean = weight.mean(dim=0).float()
    near_mean = torch.nn.functional.cosine_similarity(row, mean, dim=0) > _SAME
    return bool(near_mean) or bool((products > _SAME).any())
