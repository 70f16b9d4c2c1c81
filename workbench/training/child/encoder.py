"""Encodes a training row as token ids, and says which of them are learned.

The prompt's ids are those that inference reads, made by the same code (inference/prompt_encoder.py); behind them comes
the answer as the chat template closes it, with a token that ends it. That is what TRL makes of the same conversation,
except for templates that write an answered prompt otherwise than an open one, where TRL trains on a context that is
never asked, and for those that close an answer with nothing, whose end TRL leaves out.

Of a conversation each learned turn is encoded as inference would ask for it. A turn that a later sequence holds as far
as its end shares it; one that the template writes otherwise once the conversation goes on gets a sequence of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from workbench.inference.answer_encoder import AnswerEncoder
from workbench.inference.types import GenerateRequest
from workbench.prompting.prompt_parts import shared_length
from workbench.training.training_row import TrainingRow

UNLEARNED = -100
"""The label of a token that is not learned."""


class LearnedTurn(NamedTuple):
    """An earlier turn in a sequence: `ids[start:stop]` is learned. message: its number among the row's."""

    start: int
    stop: int
    message: int


class EncodedRow(NamedTuple):
    """A row as the model reads it: `ids[:prompt]` is what is asked, `ids[end]` ends the answer.

    parted: the template, or the tokenizer at the seam, writes an answered prompt otherwise than an open one. stripped:
    white space around the answer is left out, as the template does. own_end: the end is the tokenizer's, as the
    template has none. earlier: turns before the answer that are learned too. notes: what of the messages the chat
    template drops, changes or moves. ended: whether the row has its end; a part of a long document has none.
    """

    ids: tuple[int, ...]
    prompt: int
    end: int
    parted: bool = False
    stripped: bool = False
    own_end: bool = False
    earlier: tuple[LearnedTurn, ...] = ()
    notes: tuple[str, ...] = ()
    ended: bool = True

    def labels(self, completion_only: bool = True) -> list[int]:
        """The label of each token."""
        if not completion_only:
            return list(self.ids)
        labels = [UNLEARNED] * len(self.ids)
        for start, stop in (*((turn.start, turn.stop) for turn in self.earlier), (self.prompt, len(self.ids))):
            labels[start:stop] = self.ids[start:stop]
        return labels


class EncodedTurns(NamedTuple):
    """A sequence and the row that it is. Of a conversation the row ends with the last turn in the sequence."""

    row: TrainingRow
    encoded: EncodedRow


class Encoder:
    """The way from rows to token ids for one model. kwargs: variables of its chat template, as in a Request."""

    def __init__(self, prompts: AnswerEncoder, kwargs: str = "") -> None:
        self.prompts = prompts
        self._kwargs = kwargs

    def ask(self, row: TrainingRow) -> GenerateRequest:
        """What inference asks for a row."""
        return GenerateRequest(0, row.messages, mode=row.mode, chat_template_kwargs=self._kwargs, tools=row.tools)

    def encode(self, row: TrainingRow) -> EncodedRow:
        """The row's answer. Raises TemplateError, and ModelError for a model that has no end to learn."""
        return self._join(row, row.answer)

    def join(self, row: TrainingRow, answer: str) -> EncodedRow:
        """The row with this answer instead of its own."""
        return self._join(row._replace(calls=()), answer)

    def encode_turns(self, row: TrainingRow) -> tuple[EncodedTurns, ...]:
        """The row as one sequence, or as several where its learned turns cannot share one. Raises what `encode` raises.

        The first sequence has the row's own answer.
        """
        if row.learned is None:
            return (EncodedTurns(row, self.encode(row)),)
        sequences: list[EncodedTurns] = []
        for index in (len(row.messages), *reversed(row.learned)):
            turn = cut_row(row, index)
            made = self.encode(turn)
            shared = [shared_length(one.encoded.ids, made.ids) for one in sequences]
            host = next((at for at, length in enumerate(shared) if length > made.end), None)
            if host is None:
                sequences.append(EncodedTurns(turn, made))
            else:
                held = sequences[host].encoded
                earlier = (LearnedTurn(made.prompt, shared[host], index), *held.earlier)
                sequences[host] = EncodedTurns(sequences[host].row, held._replace(earlier=earlier))
        return tuple(sequences)

    def _join(self, row: TrainingRow, answer: str) -> EncodedRow:
        request = self.ask(row)
        made = self.prompts.finish(request, answer, row.calls)
        written = (_WRITTEN,) if made.written else ()
        return EncodedRow(
            tuple(made.ids),
            made.asked,
            made.end,
            made.parts,
            made.stripped,
            made.own_end,
            notes=tuple(dict.fromkeys((*self.prompts.notes(request), *written))),
        )


_WRITTEN = "The model's chat template takes no tool calls: calls and results are sent as text, in the form of Hermes."


def cut_row(row: TrainingRow, index: int) -> TrainingRow:
    """The conversation as far as one of its learned turns, by its number among the messages; their number for the
    answer."""
    if index == len(row.messages):
        return row
    turn = row.messages[index]
    learned = tuple(at for at in row.learned or () if at < index)
    return row._replace(messages=row.messages[:index], answer=turn.content, calls=turn.calls, learned=learned)
