"""transformers as a backend of the scheduler: batches of many sequences, in passes of as many tokens in each row."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import torch

from workbench.errors import EngineError
from workbench.inference.logprobs import Logits
from workbench.inference.picture_tokens import PictureChunk, PictureSpan
from workbench.inference.scheduling.backend import Limits, SavedState, TokenRun
from workbench.inference.scheduling.preemption import StepAborted
from workbench.inference.slot_positions import SlotPositions
from workbench.inference.transformers.adapter_set import AppliedAdapters
from workbench.inference.transformers.kv_cache import KVCache, SlotInput
from workbench.inference.transformers.pictures import ProcessorPictures

LONGEST = 256
"""Tokens of one sequence in one pass: its attention scores take memory that grows with them."""

MIN_CHUNK = 32
"""Prompt tokens for which one more pass over the weights is worth its while, unless they are a prompt's last ones."""


class TorchOutputs:
    """The logits of the passes of a batch. A run's logits for its last token are in the last pass it is part of."""

    has_logits = True

    def __init__(self) -> None:
        self._passes: list[tuple[list[int], torch.Tensor]] = []
        self._last: dict[int, tuple[int, int]] = {}
        self._all: dict[int, list[torch.Tensor]] = {}

    def add(self, indices: Sequence[int], logits: torch.Tensor) -> None:
        """A pass over these runs. logits: [runs, tokens, vocabulary], after its last tokens."""
        for row, index in enumerate(indices):
            self._last[index] = len(self._passes), row
            self._all.setdefault(index, []).append(logits[row])
        self._passes.append((list(indices), logits[:, -1]))

    def last(self, index: int) -> Logits:
        index, row = self._last[index]
        return _to_numpy(self._passes[index][1][row])

    def all(self, index: int) -> Logits:
        return _to_numpy(torch.cat(self._all[index]))

    @torch.inference_mode()
    def likeliest(self, indices: Sequence[int]) -> tuple[list[int], list[bool]]:
        tokens: dict[int, int] = {}
        finite: dict[int, bool] = {}
        for index in sorted({self._last[index][0] for index in indices}):
            runs, logits = self._passes[index]
            best = logits.argmax(-1)
            sound = torch.isfinite(logits.gather(-1, best[:, None])[:, 0])
            tokens |= dict(zip(runs, best.tolist(), strict=True))
            finite |= dict(zip(runs, sound.tolist(), strict=True))
        return [tokens[index] for index in indices], [finite[index] for index in indices]


class TransformersBackend:
    """See scheduling.backend.

    A slot has a row of the KV cache. Rows are best without gaps, since a batch whose rows lie side by side is read
    where it lies: a gap is left to the next slot that comes, and only where none does, another row is moved.
    """

    def __init__(self, cache: KVCache, limits: Limits, pictures: ProcessorPictures | None = None) -> None:
        self.limits = limits
        self._pictures = pictures
        self._positions = SlotPositions()
        self._cache = cache
        self._rows: dict[int, int] = {}
        self._held: dict[int, int] = {}

    @torch.inference_mode()
    def evaluate(self, runs: Sequence[TokenRun], threads: int) -> TorchOutputs:
        use_threads(threads)
        try:
            self._compact()
            return self._evaluate(runs)
        except StepAborted:
            raise
        except Exception as error:  # whatever foreign code raises, the request gets a message
            raise explain(error) from error

    @torch.inference_mode()
    def start(self, slot: int, adapters: AppliedAdapters, pictures: Sequence[PictureSpan] = ()) -> int:
        try:
            held = self._held[slot] = adapters.begin(self._cache, self._row(slot))
            self._positions.begin(slot, [span._replace(start=span.start + held) for span in pictures])
        except Exception as error:
            raise explain(error) from error
        return self._held[slot]

    def group(self, adapters: AppliedAdapters) -> Hashable:
        return None if adapters.bare or adapters.blend else id(adapters.module)

    @torch.inference_mode()
    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self._positions.copy(source, target)
        self._cache.copy(self._row(source), self._row(target), start, end)
        self._held[target] = self._held[source] if end < 0 else end

    def cut(self, slot: int, start: int, end: int = -1) -> None:
        """What lies behind a position is overwritten by what comes next, and is not looked at before."""
        if end < 0:
            self._held[slot] = min(self._held.get(slot, 0), start)

    @torch.inference_mode()
    def free(self, slot: int, spoiled: bool = False) -> None:
        self._held.pop(slot, None)
        self._positions.free(slot)
        row = self._rows.pop(slot, None)
        if row is not None:
            self._cache.free(row, spoiled)

    @torch.inference_mode()
    def save(self, slot: int, start: int, end: int) -> SavedState | None:
        try:
            return self._cache.save(self._row(slot), start, end)
        except (MemoryError, RuntimeError):  # it is evaluated again, or waits until there is room
            return None

    @torch.inference_mode()
    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> bool:
        try:
            self._cache.load(self._row(slot), position, state, skip, count)
        except (MemoryError, RuntimeError):
            return False
        self._held[slot] = position + count
        return True

    def _evaluate(self, runs: Sequence[TokenRun]) -> TorchOutputs:
        outputs = TorchOutputs()
        for run in runs:
            if run.picture is not None:
                self._show(run, run.picture)
        whole = [index for index, run in enumerate(runs) if run.logits == "all"]
        others = [index for index, run in enumerate(runs) if run.logits != "all" and run.picture is None]
        for indices, keeps_all in ((others, False), (whole, True)):
            for batch, start, count in self._divide([runs[index] for index in indices], keeps_all):
                batch.sort(key=lambda index: self._row(runs[indices[index]].slot))
                found = self._pass([runs[indices[index]] for index in batch], start, count, count if keeps_all else 1)
                outputs.add([indices[index] for index in batch], found)
        return outputs

    def _show(self, run: TokenRun, picture: PictureChunk) -> None:
        """Evaluate a picture's positions, whose logits nobody wants, in passes of their own."""
        assert self._pictures is not None
        shown = self._pictures.read(picture)
        longest = len(shown.embeddings) if shown.both_ways else LONGEST
        saved = run.position - self._positions.find(run.slot, run.position)
        for start in range(0, len(shown.embeddings), longest):
            part = slice(start, start + longest)
            position = self._held[run.slot] = run.position + start
            grid = None if shown.grid is None else shown.grid[:, part] - start
            one = SlotInput(
                self._row(run.slot),
                position,
                (),
                shown.embeddings[part],
                run.adapters.blend,
                saved,
                grid,
                shown.both_ways,
            )
            self._cache.evaluate(run.adapters.module, [one])
        self._held[run.slot] = run.position + len(shown.embeddings)

    def _divide(self, runs: Sequence[TokenRun], keeps_all: bool) -> Iterator[tuple[list[int], int, int]]:
        """Passes: the places of their runs, and which tokens of each."""
        if self.limits.whole_prompts:  # what such a model has seen, it goes on from by one token at a time
            for index, run in enumerate(runs):
                steps = [(start, 1) for start in range(len(run.tokens))] if keeps_all else [(0, len(run.tokens))]
                yield from (([index], start, count) for start, count in steps)
            return
        done, left = 0, list(range(len(runs)))
        while left:
            count = min(LONGEST, min(len(runs[index].tokens) for index in left) - done)
            yield list(left), done, count
            done += count
            left = [index for index in left if len(runs[index].tokens) > done]

    def _pass(self, runs: Sequence[TokenRun], start: int, count: int, kept: int) -> torch.Tensor:
        """The logits of the last `kept` tokens of a pass, as [runs, kept, vocabulary]."""
        named = next((run.adapters for run in runs if run.adapters.blend), runs[0].adapters)
        inputs = [
            SlotInput(
                self._row(run.slot),
                run.position + start,
                run.tokens[start : start + count],
                blend=run.adapters.blend,
                saved=run.position - self._positions.find(run.slot, run.position),
            )
            for run in runs
        ]
        for run in runs:
            self._held[run.slot] = run.position + start + count
        return self._cache.evaluate(named.module, inputs, kept)

    def _row(self, slot: int) -> int:
        """The row of a slot; the first that is free, where it has none."""
        if slot not in self._rows:
            taken = set(self._rows.values())
            self._rows[slot] = next(row for row in range(len(taken) + 1) if row not in taken)
        return self._rows[slot]

    def _compact(self) -> None:
        """Move the last rows to where nobody is."""
        slots = {row: slot for slot, row in self._rows.items()}
        for row in range(len(slots)):
            if row not in slots:
                last = max(slots)
                slot = slots.pop(last)
                self._cache.move(last, row, self._held.get(slot, 0))
                self._rows[slot], slots[row] = row, slot


def explain(error: Exception) -> EngineError:
    """A failure of torch or of a model's code, as a message."""
    details = f"{type(error).__name__}: {error}"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error):
        return EngineError(
            "There was not enough memory to continue the request.",
            "Shorten the prompt, run fewer panes at once, or unload another model.",
            details,
        )
    return EngineError(
        f"The model could not evaluate the request: {details.splitlines()[0]}.", "Try another model.", details
    )


def use_threads(count: int) -> None:
    """Compute with so many threads from now on."""
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def _to_numpy(logits: torch.Tensor) -> Logits:
    numbers: Logits = logits.to("cpu", torch.float32, copy=True).numpy()
    return numbers
