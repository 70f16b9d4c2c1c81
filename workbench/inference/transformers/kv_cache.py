"""The KV caches of transformers models: they evaluate the next tokens of rows and remember what those have seen.

There are two kinds. A batched one evaluates many rows at once; it knows full and sliding attention. Models that do
anything else get a cache of transformers' own for each row, and are evaluated row by row.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from transformers import DynamicCache

from workbench.inference.scheduling.backend import SavedState
from workbench.inference.scheduling.preemption import Preemption
from workbench.inference.transformers.slot_cache import Layers, Selection, SlotCache

LoraBlend = tuple[tuple[str, float], ...]
"""Adapters of a module, by name, with their scales; none for the base."""


class SlotInput(NamedTuple):
    """Tokens to evaluate next in one row; embeddings ([tokens, width]) stand for tokens that have no id.

    position: the cell of the first one. blend: for a module that has several adapters. saved: by how much the positions
    of its text are less than its cells. grid: of embeddings with positions in several dimensions, those from the first
    one on, [dimensions, tokens]. both_ways: each of the embeddings sees all of them.
    """

    slot: int
    position: int
    tokens: Sequence[int]
    embeddings: torch.Tensor | None = None
    blend: LoraBlend = ()
    saved: int = 0
    grid: torch.Tensor | None = None
    both_ways: bool = False


class KVCache(Protocol):
    """What rows have seen. Rows are numbers from 0 on, best without gaps.

    batched: many rows go in one pass, and a part of a row can be saved, loaded and copied; else a prompt must come
    whole, and only one row at a time.
    """

    batched: bool

    @property
    def size(self) -> tuple[int, int]:
        """Rows, and tokens of each, that there is room for now."""
        ...

    @property
    def bytes(self) -> int: ...

    def evaluate(self, module: Any, inputs: Sequence[SlotInput], kept: int = 1) -> torch.Tensor:
        """The logits after the last `kept` tokens of each, as [rows, kept, vocabulary]; each has as many tokens."""
        ...

    def prepend(self, slot: int, layers: Layers) -> None:
        """Begin an empty row with keys and values that no token gave."""
        ...

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Let a row have seen what another one has in these positions."""
        ...

    def save(self, slot: int, start: int, end: int) -> SavedState:
        """What a row has seen in these positions."""
        ...

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> None:
        """Let a row have seen what was saved: `count` tokens behind the first `skip` ones, from a position on."""
        ...

    def move(self, source: int, target: int, tokens: int) -> None:
        """Give a row another number; the target's contents are lost."""
        ...

    def free(self, slot: int, spoiled: bool) -> None:
        """Forget a row. spoiled: its values may not be numbers."""
        ...


class BatchedKVCache:
    """One block of memory for all rows."""

    batched = True

    def __init__(self, model: Any, most_slots: int, most_tokens: int, preemption: Preemption) -> None:
        """most_slots, most_tokens: what it may grow to."""
        config = model.config.get_text_config()
        self.preemption = preemption
        self._device = model.device
        self._dtype = model.dtype
        self._cache = SlotCache(most_slots, most_tokens, preemption.check)
        self._window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None) or ()
        self._mixed = "sliding_attention" in kinds
        self._additive = config._attn_implementation != "sdpa"
        self._extra = _extra_arguments(model)

    def evaluate(self, module: Any, inputs: Sequence[SlotInput], kept: int = 1) -> torch.Tensor:
        last = max(run.position + _length(run) for run in inputs)
        slots, positions = tuple(run.slot for run in inputs), tuple(run.position for run in inputs)
        self._cache.select(Selection(slots, positions, last), self._device)
        starts = torch.tensor(positions, device=self._device)[:, None]
        cells = starts + torch.arange(_length(inputs[0]), device=self._device)
        arguments = {
            **_inputs(inputs, self._device),
            **_blends(inputs),
            "attention_mask": self._masks(cells, last, inputs[0].both_ways),
            "position_ids": _find_positions(inputs, cells),
            "past_key_values": self._cache,
            "use_cache": True,
            **dict.fromkeys(self._extra, kept),
        }
        logits: torch.Tensor = module(**arguments).logits
        return logits[:, -kept:]

    @property
    def size(self) -> tuple[int, int]:
        return self._cache.size

    @property
    def bytes(self) -> int:
        return self._cache.bytes

    def prepend(self, slot: int, layers: Layers) -> None:
        typed = [(keys.to(self._dtype), values.to(self._dtype)) for keys, values in layers]
        self._cache.load(slot, 0, typed, self._device)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self._cache.copy(source, target, start, end)

    def save(self, slot: int, start: int, end: int) -> SavedState:
        layers = self._cache.save(slot, start, end)
        return SavedState(layers, sum(keys.nbytes + values.nbytes for keys, values in layers))

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> None:
        part = slice(skip, skip + count)
        self._cache.load(
            slot, position, [(keys[:, part], values[:, part]) for keys, values in state.data], self._device
        )

    def move(self, source: int, target: int, tokens: int) -> None:
        if tokens:
            self._cache.copy(source, target, 0, tokens)

    def free(self, slot: int, spoiled: bool) -> None:
        if spoiled:
            self._cache.wipe(slot)

    def _masks(self, cells: torch.Tensor, width: int, both_ways: bool) -> Any:
        """Who may see whom, [rows, 1, queries, keys], in the form that the model's attention wants."""
        tokens = torch.arange(width, device=self._device)
        seen = (tokens <= cells[:, :, None])[:, None]
        near = seen & (tokens > cells[:, :, None] - self._window)[:, None] if self._window else seen
        if both_ways:
            own = (tokens >= cells[:, :1, None])[:, None]
            seen, near = seen | own, near | own
        if not self._window:
            return self._form(seen)
        if not self._mixed:
            return self._form(near)
        return {"full_attention": self._form(seen), "sliding_attention": self._form(near)}

    def _form(self, seen: torch.Tensor) -> torch.Tensor:
        if not self._additive:
            return seen
        nothing = torch.zeros((), dtype=self._dtype, device=self._device)
        return torch.where(seen, nothing, torch.finfo(self._dtype).min)


class SequenceKVCache:
    """A cache of transformers' own for each row."""

    batched = False

    def __init__(self, model: Any) -> None:
        self._config = model.config
        self._device = model.device
        self._dtype = model.dtype
        self._caches: dict[int, Any] = {}
        self._extra = _extra_arguments(model)
        takes_states = "cache_params" in inspect.signature(model.forward).parameters
        self._name = "cache_params" if takes_states else "past_key_values"

    @property
    def size(self) -> tuple[int, int]:
        return len(self._caches), 0

    @property
    def bytes(self) -> int:
        return 0

    def evaluate(self, module: Any, inputs: Sequence[SlotInput], kept: int = 1) -> torch.Tensor:
        return torch.cat([self._evaluate(module, one, kept) for one in inputs])

    def prepend(self, slot: int, layers: Layers) -> None:
        for number, (keys, values) in enumerate(layers):
            self._cache(slot).update(keys[None].to(self._dtype), values[None].to(self._dtype), number)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        self._caches[target] = copy.deepcopy(self._cache(source))  # of a state, there is no part

    def save(self, slot: int, start: int, end: int) -> SavedState:
        return SavedState(self._cache(slot), 0)  # whoever swaps a row out lets it go

    def load(self, slot: int, position: int, state: SavedState, skip: int, count: int) -> None:
        self._caches[slot] = state.data

    def move(self, source: int, target: int, tokens: int) -> None:
        self._caches.pop(target, None)
        if source in self._caches:
            self._caches[target] = self._caches.pop(source)

    def free(self, slot: int, spoiled: bool) -> None:
        self._caches.pop(slot, None)

    def _evaluate(self, module: Any, one: SlotInput, kept: int) -> torch.Tensor:
        arguments = {**_inputs([one], self._device), **_blends([one]), self._name: self._cache(one.slot)}
        logits: torch.Tensor = module(**arguments, use_cache=True, **dict.fromkeys(self._extra, kept)).logits
        return logits[:, -kept:]

    def _cache(self, slot: int) -> Any:
        if slot not in self._caches:
            self._caches[slot] = DynamicCache(config=self._config)
        return self._caches[slot]


@torch.inference_mode()
def choose_kv_cache(model: Any, most_slots: int, most_tokens: int, preemption: Preemption) -> KVCache:
    """A batched cache where the model answers the same with it as by itself, tried on a few tokens; else its own."""
    tokens = [(7 * index + 3) % model.config.get_text_config().vocab_size for index in range(12)]
    expected = model(torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1].float()
    try:
        cache = BatchedKVCache(model, 2, len(tokens), preemption)
        cache.evaluate(model, [SlotInput(0, 0, tokens[:3])])
        cache.evaluate(model, [SlotInput(1, 0, tokens[:5])])
        cache.evaluate(model, [SlotInput(1, 5, tokens[5:11])])
        found = cache.evaluate(model, [SlotInput(0, 3, tokens[3:4]), SlotInput(1, 11, tokens[11:])])[1, -1].float()
    except Exception:  # noqa: BLE001  however foreign code fails, it then inputs row by row
        return SequenceKVCache(model)
    exact = model.dtype == torch.float32 and not getattr(model, "is_quantized", False)
    allowed = 1e-3 if exact else 0.05
    same = float((found - expected).abs().max()) <= allowed * float(expected.abs().max())
    return BatchedKVCache(model, most_slots, most_tokens, preemption) if same else SequenceKVCache(model)


def _find_positions(inputs: Sequence[SlotInput], cells: torch.Tensor) -> torch.Tensor:
    """What the model is told: [rows, tokens], or [dimensions, 1, tokens] of a picture."""
    first = inputs[0]
    if first.grid is not None:
        return (first.grid.to(cells.device) + first.position - first.saved)[:, None]
    if not any(one.saved for one in inputs):
        return cells
    return cells - torch.tensor([[one.saved] for one in inputs], device=cells.device)


def _length(one: SlotInput) -> int:
    return len(one.tokens) if one.embeddings is None else int(one.embeddings.shape[0])


def _inputs(inputs: Sequence[SlotInput], device: torch.device) -> dict[str, torch.Tensor]:
    if inputs[0].embeddings is not None:
        return {"inputs_embeds": inputs[0].embeddings[None]}
    return {"input_ids": torch.tensor([list(one.tokens) for one in inputs], device=device)}


def _blends(inputs: Sequence[SlotInput]) -> dict[str, list[LoraBlend]]:
    """What each row takes, where the module has several adapters."""
    return {"blends": [one.blend for one in inputs]} if any(one.blend for one in inputs) else {}


def _extra_arguments(model: Any) -> dict[str, int]:
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
