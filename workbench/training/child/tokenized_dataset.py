"""The rows of a task as token ids: those that fit, and a check that inference reads the same prompts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from workbench.errors import TemplateError, TrainingError
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.training.child.documents import encode_documents
from workbench.training.child.encoder import EncodedRow, EncodedTurns, Encoder, cut_row
from workbench.training.child.training_model import TrainingModel
from workbench.training.recipe import Recipe
from workbench.training.rows import TrainingRow


class Shortened(NamedTuple):
    """A conversation of which only the first turns fit. turns: how many learned turns are left out."""

    case: int
    turns: int


class Refused(NamedTuple):
    """A conversation that the chat template does not take, and why."""

    case: int
    reason: str


class TokenizedDataset(NamedTuple):
    """Rows as token ids. cut: rows whose answer is truncated; lost: rows left out because their prompt is too long.

    A conversation may be several sequences, each of which is a row here; sequences: how many there are of those that
    had to be divided, divided: how many conversations that are. notes: what the chat template drops, changes or moves,
    and in how many conversations.
    """

    encoded: tuple[EncodedRow, ...]
    rows: tuple[TrainingRow, ...]
    limit: int
    cut: int = 0
    lost: int = 0
    shortened: tuple[Shortened, ...] = ()
    refused: tuple[Refused, ...] = ()
    divided: int = 0
    sequences: int = 0
    notes: tuple[tuple[str, int], ...] = ()

    @property
    def tokens(self) -> int:
        return sum(min(len(one.ids), self.limit) for one in self.encoded)

    @property
    def documents(self) -> bool:
        """Whether the rows are documents, without a prompt."""
        return any(not row.messages for row in self.rows)

    @property
    def answered(self) -> tuple[TrainingRow, ...]:
        """The rows whose answers can be asked for and scored: of each case the first, without documents and calls."""
        first = {row.case: row for row in reversed(self.rows) if row.messages and not row.calls}
        return tuple(row for row in self.rows if first.get(row.case) is row)


def encode_rows(loaded: TrainingModel, recipe: Recipe, rows: Sequence[TrainingRow]) -> TokenizedDataset:
    """The rows that fit. Raises TrainingError when none does."""
    limit = max_row_tokens(loaded, recipe)
    if any(not row.messages for row in rows):
        made = encode_documents(loaded.encoder, rows, limit, recipe.training.packing)
        return TokenizedDataset(made.encoded, made.rows, limit)
    found = _Fitted(loaded.encoder, limit)
    for row in rows:
        found.add(row)
    return found.collect(rows)


_COUNT = re.compile(r" \(\d+\)")
"""How many turns of one conversation a note is about: it is counted over all of them."""


class _Fitted:
    """Rows as far as they fit, and a count of the others."""

    def __init__(self, encoder: Encoder, limit: int) -> None:
        self._encoder, self._limit = encoder, limit
        self._kept: list[EncodedTurns] = []
        self._shortened: Counter[int] = Counter()
        self._refused: list[Refused] = []
        self._notes: Counter[str] = Counter()
        self._lost: list[int] = []
        self._sequences: list[int] = []

    def add(self, row: TrainingRow) -> None:
        try:
            made = self._encoder.encode_turns(row)
        except TemplateError as error:
            if row.learned is None:
                raise
            self._refused.append(Refused(row.case, error.message))
            return
        self._notes.update({_COUNT.sub("", note) for one in made for note in one.encoded.notes})
        self._sequences.append(len(made))
        kept = [fitted for one in made for fitted in self._fit(one)]
        if not kept:
            self._lost.append(min(one.encoded.prompt for one in made))
        self._kept += kept

    def _fit(self, one: EncodedTurns) -> Iterator[EncodedTurns]:
        """The sequence as far as it fits: of a conversation whole turns."""
        row, encoded = one
        if row.learned is None:
            if encoded.prompt < self._limit:
                yield one
            return
        if encoded.end < self._limit:
            yield one
            return
        whole = [turn for turn in encoded.earlier if turn.stop <= self._limit]
        self._shortened[row.case] += 1 + len(encoded.earlier) - len(whole)
        if whole:
            last = whole[-1]
            ids = encoded.ids[: last.stop]
            cut = encoded._replace(ids=ids, prompt=last.start, end=last.stop - 1, earlier=tuple(whole[:-1]))
            yield EncodedTurns(cut_row(row, last.message), cut)

    def collect(self, rows: Sequence[TrainingRow]) -> TokenizedDataset:
        if rows and not self._kept:
            raise self._explain(len(rows))
        divided = [count for count in self._sequences if count > 1]
        lost = {row.case for row in rows} - {one.row.case for one in self._kept}
        return TokenizedDataset(
            tuple(one.encoded for one in self._kept),
            tuple(one.row for one in self._kept),
            self._limit,
            sum(one.row.learned is None and one.encoded.end >= self._limit for one in self._kept),
            len(self._lost),
            tuple(Shortened(case, turns) for case, turns in self._shortened.items() if case not in lost),
            tuple(self._refused),
            len(divided),
            sum(divided),
            tuple(self._notes.items()),
        )

    def _explain(self, count: int) -> TrainingError:
        if not self._lost:
            first = self._refused[0]
            return TrainingError(
                f"The chat template refuses all {count} conversations, case {first.case} with: {first.reason}",
                "Correct the turns of the data, or give the model another template in the bench.",
            )
        return TrainingError(
            f"All {count} rows are too long: their prompts alone take at least {min(self._lost)} tokens, and the limit"
            f" is {self._limit}.",
            "Raise training.max_length, shorten the prompt, or choose a base with a longer context.",
        )


def unpack_documents(recipe: Recipe, tokenized: TokenizedDataset) -> Recipe:
    """The recipe for a trainer that does not pack again what is packed."""
    if not tokenized.documents:
        return recipe
    return msgspec.structs.replace(recipe, training=msgspec.structs.replace(recipe.training, packing=False))


def max_row_tokens(loaded: TrainingModel, recipe: Recipe) -> int:
    """Tokens that a row may have."""
    trained = loaded.info.context_trained_tokens or 1024
    wanted = recipe.training.max_length or trained
    virtual = recipe.method.num_virtual_tokens if recipe.method.kind in ("prefix", "prompt") else 0
    return max(1, min(wanted, trained - virtual))


_CHECKED = 50


def check_parity(loaded: TrainingModel, tokenized: TokenizedDataset) -> None:
    """Raise TrainingError for a row whose prompt inference would read as other tokens."""
    prompts: PromptEncoder = loaded.encoder.prompts
    for row, one in list(zip(tokenized.rows, tokenized.encoded, strict=True))[:_CHECKED]:
        if not row.messages:
            continue  # a document is asked nothing
        turns = [*((turn.message, turn.start) for turn in one.earlier), (len(row.messages), one.prompt)]
        for index, start in turns:
            if one.ids[:start] != prompts.show(loaded.encoder.ask(cut_row(row, index))).ids:
                raise TrainingError(
                    f"The prompt of row {row.case} would be trained on other tokens than inference reads.",
                    "This is a bug in workbench; please report it with the base and the prompt.",
                )
