"""The rows of one context, a step at a time: who enters and leaves, what is taken over, evaluated and written.

The decisions are made elsewhere: who gets a place in admission.py, what a batch holds in planner.py. Knows nothing of
chat templates or processes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from workbench.engines.endings import Endings
from workbench.engines.engine import Outcome, Progress
from workbench.engines.likelihood import Logits, weigh
from workbench.engines.llamacpp.adapters import BARE, Use
from workbench.engines.llamacpp.admission import Admission, Limits
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.crew import ABORTED, Done
from workbench.engines.llamacpp.moves import Moves
from workbench.engines.llamacpp.planner import Piece, choose_active, plan
from workbench.engines.llamacpp.row import LlamaRow, Place, WeighingRow
from workbench.engines.llamacpp.step import Group, evaluate, only_writes, run_groups
from workbench.engines.llamacpp.tools import Tools
from workbench.engines.rows import Rows, is_free
from workbench.errors import EngineError

_WORTH = 4
"""Tokens that must be gained for a parked prefix to be brought back."""


class Scheduler:
    """Continuous batching over the sequences of one context, which share what they begin with.

    use: what the context is for; prefixes are brought back for the same use only.
    """

    def __init__(self, context: Context, limits: Limits, tools: Tools, use: Use = BARE) -> None:
        self._context = context
        self._tools = tools
        self._use = use
        self._orders = itertools.count()
        self._admission = Admission(limits, self)
        self._tree = self._admission.tree
        self._endings = Endings[Logits]()
        self._moves = Moves(context, self._admission, use, tools.annex)
        self._rows = Rows[LlamaRow](tools.vocabulary, limits.context_tokens, tools.clock, self._release)

    @property
    def busy(self) -> bool:
        return self._rows.busy or self._admission.untidy

    @property
    def fresh(self) -> bool:
        return self._use.fresh

    @property
    def divided(self) -> bool:
        """Whether some of its rows are aside."""
        return any(row.aside is not None for row in self._rows.running)

    @property
    def watched(self) -> bool:
        """Whether someone looks on at a row that runs."""
        return self._rows.watched

    @property
    def sequences(self) -> tuple[int, int]:
        """How many rows run, and how many wait."""
        return self._rows.sizes

    @property
    def cells(self) -> int:
        """Cells that are taken, or will be when the prompts are read."""
        return self._tree.size + sum(row.position - len(row.answer.prompt) for row in self._rows.running if row.writing)

    def add(self, row: LlamaRow) -> None:
        """Queue a row; it gets its place as soon as there is a sequence and enough cells for all it may become."""
        row.order = next(self._orders)
        self._rows.waiting.append(row)

    def cancel(self, request_id: int) -> None:
        self._rows.cancel(request_id)

    def step(self) -> Sequence[Outcome]:
        """One batch. A row that fails ends with a Failure; the others go on."""
        return [*self.settle(), *self.advance()]

    def settle(self) -> Sequence[Outcome]:
        """End what was cancelled, and give places to what waits; computes nothing."""
        return [*self._rows.end_cancelled(), *self._admit()]

    def advance(self) -> Sequence[Outcome]:
        """Evaluate one batch."""
        events, pieces = self.prepare()
        return [*events, *evaluate([(self, pieces)], self._tools)]

    def prepare(self) -> tuple[list[Outcome], list[Piece]]:
        """What the next batch is to hold; rows take over what others have seen for that, which may be all they need."""
        self._admission.tidy()
        events: list[Outcome] = []
        for row in choose_active(self._rows.running):
            if not row.begun:
                events += self._take_over(row)
        active = choose_active(self._rows.running)
        for row in active:
            if isinstance(row, WeighingRow):
                self._place(row)
        writing = any(row.writing for row in active)
        watched = any(row.writing and row.priority == 0 for row in active)
        tokens = self._tools.pace.allow(writing, watched)
        pieces = plan(active, self._tree, tokens, self._tools.outputs)
        if not pieces:  # what they wait for is held by rows that wait for them
            pieces = plan(self._rows.running, self._tree, tokens, self._tools.outputs)
        return events, pieces

    def divide(self, pieces: list[Piece], split: bool) -> list[Group]:
        """See Part."""
        if only_writes(pieces):
            self._moves.spread([piece.row for piece in pieces], split)
        here, away = list[Piece](), list[Piece]()
        for piece in pieces:
            aside = piece.row.aside
            if aside is None:
                here.append(piece)
            else:
                away.append(piece._replace(run=piece.run._replace(sequence=aside)))
        groups = [Group(self, self._context, here)] if here else []
        return [*groups, Group(self, self._tools.annex.context, away)] if away and self._tools.annex else groups

    def accept(self, group: Group, done: Done) -> Sequence[Outcome]:
        """See Part."""
        if done.code == ABORTED:
            for piece in group.pieces:
                group.context.cut(piece.run.sequence, piece.run.position)
            return ()
        if done.code != 0:
            return self._isolate(group, done.code)
        events: list[Outcome] = []
        for piece, index in zip(group.pieces, done.indices, strict=True):
            events += self._take(group.context, piece, index)
        return events

    def close(self) -> None:
        for row in self._rows.all:
            row.sampler.close()
        self._rows.clear()

    def recall(self, row: LlamaRow, shared: int) -> None:
        """See Keeper."""
        if self._use.fresh:
            self._context.clear()
            return
        prompt = row.answer.prompt
        found = self._tools.parking.find(self._use, prompt) if self._admission.limits.shares else None
        if found is None or found.length < shared + _WORTH:
            return
        if found.tokens > self._admission.free_cells + len(prompt) - shared:
            return
        if not self._context.load(row.sequence, found.state):
            return
        seen = found.length
        if seen == len(prompt) and self._endings.find(self._use, prompt) is None:
            seen -= 1  # the last token is read again, for its numbers
        self._context.cut(row.sequence, seen)
        for share in self._tree.shares(row.sequence, seen):  # what is here already need not be here twice
            self._context.cut(row.sequence, share.start, share.end)
            self._context.copy(share.source, row.sequence, share.start, share.end)
        self._skip(row, seen)

    def dismiss(self, sequence: int, watched: bool) -> None:
        """See Keeper."""
        tokens = self._tree.tokens(sequence)
        if watched and self._tools.parking.match(self._use, tokens) < len(tokens):
            self._tools.parking.put(self._use, tokens, self._context.save(sequence))

    def drop(self, sequence: int) -> None:
        """See Keeper."""
        self._context.forget(sequence)

    def _admit(self) -> list[Outcome]:
        events: list[Outcome] = []
        waiting = self._rows.waiting
        while row := self._admission.choose(tuple(waiting)):
            if not self._admission.enter(row, min(row.order for row in waiting)):
                break
            waiting.remove(row)
            self._rows.running.append(row)
            events.append(Progress(row.id, "running"))
        return events

    def _take_over(self, row: LlamaRow) -> Sequence[Outcome]:
        """What other sequences have seen of a row's prompt, and the numbers behind it, if they are known."""
        prompt = row.answer.prompt
        self._share(row, len(prompt) - 1)
        if self._tree.seen(row.sequence) < len(prompt) - 1:
            return ()
        logits = self._endings.find(self._use, prompt)
        if logits is not None:
            self._share(row, len(prompt))
            return self._go_on(row, logits) if not row.pending else ()
        if not row.pending:  # it was brought back whole, and its numbers were lost meanwhile
            self._context.cut(row.sequence, len(prompt) - 1)
            self._tree.advance(row.sequence, len(prompt) - 1)
            row.step_back()
        return ()

    def _share(self, row: LlamaRow, limit: int) -> None:
        for share in self._tree.shares(row.sequence, limit):
            self._context.copy(share.source, row.sequence, share.start, share.end)
            self._skip(row, share.end)

    def _skip(self, row: LlamaRow, position: int) -> None:
        """A row's prompt need not be evaluated up to here."""
        count = position - row.position
        row.advance(count)
        row.answer.cached_tokens += count
        self._tools.tally.cached += count
        self._tree.advance(row.sequence, position)

    def _place(self, row: WeighingRow) -> None:
        """Give answers places, as far as there are any."""
        for branch in row.waiting:
            if len(branch.inputs) > row.spare:
                return
            sequence = self._admission.borrow()
            if sequence is None:
                return
            self._context.copy(row.sequence, sequence, -1, -1)
            row.places.append(Place(branch, sequence))

    def _isolate(self, group: Group, code: int) -> Sequence[Outcome]:
        """Find out which row spoils a batch: evaluate each alone, and fail the one that cannot be."""
        if len(group.pieces) == 1:
            message = f"llama.cpp could not evaluate the request (code {code})."
            error = EngineError(message, "Run again; shorten the prompt if this repeats.")
            return self._rows.fail(group.pieces[0].row, error)
        for piece in group.pieces:
            group.context.cut(piece.run.sequence, piece.run.position)
        alone = [group._replace(pieces=[piece]) for piece in group.pieces]
        return [
            event
            for one in alone
            if one.pieces[0].row in self._rows.running
            for event in run_groups([one], self._tools, 1)
        ]

    def _take(self, context: Context, piece: Piece, index: int) -> Sequence[Outcome]:
        """What came of a piece. index: where the numbers behind its last token are."""
        row, run = piece.row, piece.run
        if piece.place and isinstance(row, WeighingRow):
            first = index + 1 - len(run.tokens)
            numbers = np.stack([context.logits(first + place) for place in range(len(run.tokens))])
            piece.place.branch.take(numbers)
            piece.place.position += len(run.tokens)
            return self._leave_branch(row, piece.place) if piece.place.branch.done else ()
        writing = row.writing
        row.advance(len(run.tokens))
        if not writing:
            self._tree.advance(row.sequence, row.position)
        if not run.wants_logits:
            return ()
        logits = context.logits(index)
        if not writing and self._admission.limits.shares:
            self._endings.keep(self._use, row.answer.prompt, logits)
        return self._go_on(row, logits)

    def _go_on(self, row: LlamaRow, logits: Logits) -> Sequence[Outcome]:
        """A row has the numbers behind its last token."""
        row.begun = True
        if isinstance(row, WeighingRow):
            row.branches.begin(logits)
            return () if row.branches.left else self._finish(row)
        return self._write(row, logits)

    def _write(self, row: LlamaRow, logits: Logits) -> Sequence[Outcome]:
        answer = row.answer
        try:
            token = row.sampler.choose(logits, lambda token: is_free(answer, self._tools.vocabulary, token))
        except EngineError as error:
            return self._rows.fail(row, error)
        if answer.request.guesses:
            answer.note(weigh(logits, token, answer.request.guesses, self._tools.vocabulary.spell))
        return self._rows.write(row, token)

    def _leave_branch(self, row: WeighingRow, place: Place) -> Sequence[Outcome]:
        row.places.remove(place)
        self._admission.give_back(place.sequence)
        return () if row.branches.left else self._finish(row)

    def _finish(self, row: WeighingRow) -> Sequence[Outcome]:
        self._release(row, False)
        return (row.branches.outcome,)

    def _release(self, row: LlamaRow, failed: bool) -> None:
        row.sampler.close()
        if row in self._rows.waiting:
            self._rows.waiting.remove(row)
            return
        self._rows.running.remove(row)
        self._moves.end(row)
        if isinstance(row, WeighingRow):
            for place in row.places:
                self._admission.give_back(place.sequence)
            row.places.clear()
        keep = not failed and self._admission.limits.shares
        if keep:  # what it wrote is not asked for again
            self._context.cut(row.sequence, self._tree.seen(row.sequence))
        self._admission.leave(row, keep)
