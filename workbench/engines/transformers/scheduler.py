"""The rows of one model, a step at a time: who enters and leaves, what is taken over, evaluated and written.

Every step evaluates a token for each row that writes, and then pieces of prompts, so that a long prompt neither holds
up the others nor delays a cancel. While someone looks on, nothing else is computed. Rows whose adapters keep them out
of the others' pass take turns with them, and are queued until it is theirs. Knows nothing of chat templates.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import torch

from workbench.engines.engine import Event, Outcome, Progress, State
from workbench.engines.interrupts import Interrupted, Interrupts
from workbench.engines.likelihood import weigh
from workbench.engines.pace import Pace
from workbench.engines.rows import Rows
from workbench.engines.tally import Tally
from workbench.engines.transformers.ending import Ending, to_numbers
from workbench.engines.transformers.failures import explain, not_a_number
from workbench.engines.transformers.gathering import gather
from workbench.engines.transformers.memory import Memory, Run
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.transformers.places import PATIENCE, Places
from workbench.engines.transformers.prefixes import Prefixes
from workbench.engines.transformers.row import MemoryRow, WeighingRow
from workbench.engines.transformers.scales import Scales
from workbench.engines.transformers.sharing import Sharing
from workbench.engines.transformers.turns import Turns
from workbench.engines.vocabulary import Vocabulary

_LEAST = 32
"""Tokens of a prompt for which one more pass over the weights is worth its while, unless they are the last ones."""


class Tools(NamedTuple):
    """What the scheduler works with.

    own_pace: prompt tokens of a step for a row that is computed by itself. threads: that the next step may use.
    """

    vocabulary: Vocabulary
    clock: Callable[[], float]
    pace: Pace
    own_pace: int
    tally: Tally
    prefixes: Prefixes
    interrupts: Interrupts
    threads: Callable[[], int]


class Scheduler:
    """Continuous batching over the rows of one memory, at most `rows` of them.

    context_tokens: the longest one row may become.
    """

    def __init__(self, memory: Memory, tools: Tools, rows: int, context_tokens: int) -> None:
        self._memory = memory
        self._tools = tools
        self._orders = itertools.count()
        self._places = Places(memory, rows)
        self._sharing = Sharing(memory, tools.prefixes, tools.tally)
        self._rows = Rows[MemoryRow](tools.vocabulary, context_tokens, tools.clock, self._release)
        self._scales = Scales(memory, tools.interrupts)
        self._turns = Turns[MemoryRow](self._group)
        self._read = self._written = 0

    @property
    def busy(self) -> bool:
        return self._rows.busy

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
        """Tokens that the rows which run have seen."""
        return sum(row.position for row in self._rows.running)

    @property
    def overlays(self) -> Iterator[Overlay]:
        """What the requests under way run on."""
        return (row.overlay for row in self._rows.all)

    def add(self, row: MemoryRow) -> None:
        """Queue a row; it gets its place as soon as one is free."""
        row.order = next(self._orders)
        self._tools.interrupts.forget(row.id)  # an earlier request of this number may have ended before it was called
        self._rows.waiting.append(row)

    def cancel(self, request_id: int) -> None:
        self._rows.cancel(request_id)

    @torch.inference_mode()
    def step(self) -> Sequence[Outcome]:
        """A token for each row that writes, and pieces of prompts. A row that fails ends; the others go on.

        What was cancelled is told before anything is computed.
        """
        ended = self._rows.end_cancelled()
        events: list[Outcome] = [*ended, *self._admit()]
        if ended:
            return events
        active = self._choose()
        events += self._tell(active)
        if not active:
            return events
        self._places.close_gaps()
        use_threads(1 if active[0].alone else self._tools.threads())
        self._read = self._written = 0
        started = self._tools.clock()
        events += self._advance(active, self._allow(active))
        self._note(self._read, self._written, self._tools.clock() - started)
        return events

    def close(self) -> None:
        self._rows.clear()
        self._sharing.clear()

    def _note(self, read: int, written: int, seconds: float) -> None:
        self._tools.pace.note(read, written, seconds)
        self._tools.tally.note(read, written, seconds)

    def _allow(self, active: Sequence[MemoryRow]) -> int:
        """Tokens of prompts that the step may read."""
        if active[0].alone:
            return self._tools.own_pace
        writing = any(row.writing for row in active)
        watched = any(row.writing and row.priority == 0 for row in active)
        return self._tools.pace.allow(writing, watched)

    def _admit(self) -> list[Event]:
        events: list[Event] = []
        waiting, running = self._rows.waiting, self._rows.running
        while row := self._places.choose(tuple(waiting), self._sharing.known):
            if not self._make_room(row):
                break
            oldest = min(row.order for row in waiting)
            waiting.remove(row)
            running.append(row)
            fresh = row.aside is None
            try:
                self._places.enter(row, oldest)
                if fresh:
                    row.position = row.overlay.begin(self._memory, row.number)
            except Exception as error:  # noqa: BLE001  an adapter's failure is its request's alone
                events += self._rows.fail(row, explain(error))
        return events

    def _make_room(self, row: MemoryRow) -> bool:
        """Put someone aside for a row, where it needs that; False where there is no memory for it."""
        guest = self._places.find_guest(row)
        if guest is None:
            return True
        try:
            self._places.put_aside(guest)
        except Exception:  # noqa: BLE001  however memory runs out, the row can wait
            return False
        self._rows.running.remove(guest)
        self._rows.waiting.appendleft(guest)
        return True

    def _choose(self) -> list[MemoryRow]:
        """The rows that are computed in this step."""
        called = self._tools.interrupts.called
        rows = [row for row in self._rows.running if row.id not in called]
        first = min((row.priority for row in rows), default=0)
        return self._turns.take([row for row in rows if row.priority == first]) if rows else []

    def _group(self, row: MemoryRow) -> Hashable:
        """What the rows that one forward pass can evaluate have in common."""
        if self._memory.longest is None or row.alone:
            return id(row)
        if row.overlay.bare or row.overlay.recipe:
            return None
        return id(row.overlay.module)

    def _tell(self, active: Sequence[MemoryRow]) -> list[Event]:
        """Say of each row whether it runs or waits for its turn, where that is new."""
        events: list[Event] = []
        computed = set(map(id, active))
        for row in self._rows.all:
            state: State = "running" if id(row) in computed else "queued"
            if row.state != state:
                row.state = state
                events.append(Progress(row.id, state))
        return events

    def _advance(self, active: Sequence[MemoryRow], tokens: int) -> list[Outcome]:
        """Evaluate: a token in all rows that have but one to come, then pieces of prompts, then answers to weigh."""
        events: list[Outcome] = []
        for row in active:
            events += self._take_over(row)
        active = [row for row in active if row.number >= 0]  # an answer may be over with its first token
        single = sorted((row for row in active if len(row.pending) == 1), key=lambda row: row.number)
        reading = [row for row in active if len(row.pending) > 1]
        watched = any(row.priority == 0 for row in active)
        if single and (watched or len(single) > len(reading)):  # else a fuller batch is worth waiting for
            events += self._evaluate(single)
        events += self._read_prompts(reading, tokens)
        tokens -= self._read
        for row in active:
            if isinstance(row, WeighingRow) and row.begun and row.branches.left and tokens > 0:
                tokens -= self._weigh_on(row, tokens, events)
        return events

    def _read_prompts(self, reading: list[MemoryRow], tokens: int) -> list[Outcome]:
        """Evaluate so many tokens of prompts, the one that is soonest read first."""
        events: list[Outcome] = []
        newest = max((row.order for row in reading), default=0)
        reading.sort(key=lambda row: (row.order > newest - PATIENCE, len(row.pending), row.order))
        begun = False
        while reading and tokens > 0:
            for row in reading:
                events += self._take_over(row)
            reading = [row for row in reading if len(row.pending) > 1]  # the rest are the next step's
            if not reading or (begun and tokens < min(_LEAST, *(len(row.pending) for row in reading))):
                break
            batch, size = gather(reading, tokens, self._memory.longest, self._sharing.alike)
            tokens -= size * len(batch)
            events += self._evaluate(batch, size)
            begun, reading = True, [row for row in reading if row not in batch]
        return events

    def _take_over(self, row: MemoryRow) -> Sequence[Outcome]:
        ending = self._sharing.take_over(row)
        return self._go_on(row, ending) if ending else ()

    def _evaluate(self, rows: list[MemoryRow], size: int = 1) -> list[Outcome]:
        """Read as many of each row's next tokens."""
        runs = [row.run(row.pending[:size]) for row in rows]
        try:
            logits = self._run(rows, runs)
            likeliest = logits.argmax(-1)
            sound = torch.isfinite(logits.gather(-1, likeliest[:, None])[:, 0]).tolist()
        except Interrupted:
            return []
        except Exception as error:  # noqa: BLE001  whatever foreign code raises, the rows get a message
            if len(rows) > 1:
                return [event for row in rows for event in self._evaluate([row], size)]
            return [*self._rows.fail(rows[0], explain(error))]
        choices: list[int] = likeliest.tolist()
        events: list[Outcome] = []
        for place, row in enumerate(rows):
            reading = not row.writing
            row.advance(size)
            self._read += size if reading else 0
            self._written += not reading
            if not sound[place]:
                events += self._rows.fail(row, not_a_number())
                continue
            ending = Ending(choices[place], logits[place])
            if reading:
                self._sharing.keep(row, ending)
            if not row.pending:
                events += self._go_on(row, ending)
        return events

    def _run(self, rows: Sequence[MemoryRow], runs: Sequence[Run]) -> torch.Tensor:
        self._tools.interrupts.begin([row.id for row in rows], yields=all(row.yields for row in rows))
        named = next((row for row in rows if row.overlay.recipe), rows[0])
        return self._memory.evaluate(named.overlay.module, runs)

    def _go_on(self, row: MemoryRow, ending: Ending) -> Sequence[Outcome]:
        """A row has the numbers behind its last token."""
        row.begun = True
        likeliest, logits = ending
        if isinstance(row, WeighingRow):
            row.branches.begin(to_numbers(logits))
            return () if row.branches.left else self._finish(row)
        token = likeliest if row.sampler.plain else row.sampler.choose(to_numbers(logits))
        answer = row.answer
        if answer.request.guesses:
            answer.note(weigh(to_numbers(logits), token, answer.request.guesses, self._tools.vocabulary.spell))
        return self._rows.write(row, token)

    def _weigh_on(self, row: WeighingRow, tokens: int, events: list[Outcome]) -> int:
        """Weigh the next tokens of answers, in one place: what an earlier one left there is not looked at.

        How many tokens that took.
        """
        used = 0
        try:
            while row.branches.left and used < tokens:
                count = self._scales.weigh(row, tokens - used)
                self._read, used = self._read + count, used + count
        except Interrupted:
            return tokens
        except Exception as error:  # noqa: BLE001  as in _evaluate
            events += self._rows.fail(row, explain(error))
            return used
        if not row.branches.left:
            events += self._finish(row)
        return used

    def _finish(self, row: WeighingRow) -> Sequence[Outcome]:
        self._release(row, False)
        return (row.branches.outcome,)

    def _release(self, row: MemoryRow, failed: bool) -> None:
        if row in self._rows.waiting:
            self._rows.waiting.remove(row)
            return
        self._rows.running.remove(row)
        self._places.leave(row, failed)
        if not self._rows.running:
            self._turns.clear()


def use_threads(count: int) -> None:
    """Compute with so many threads from now on."""
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
