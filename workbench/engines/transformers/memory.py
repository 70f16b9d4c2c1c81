"""Memory: evaluates the next tokens of rows and remembers what they have seen.

There are two kinds. Shared memory evaluates many rows at once; it knows full and sliding attention. Models that do
anything else get memory of their own for each row, and are evaluated row by row. Knows nothing of requests.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from transformers import DynamicCache

from workbench.engines.interrupts import Interrupts
from workbench.engines.transformers.cache import Layers, RowCache, Selection

Recipe = tuple[tuple[str, float], ...]
"""Adapters of a module, by name, with their scales; none for the base."""


class Run(NamedTuple):
    """Tokens to evaluate next in one row; embeddings ([tokens, width]) stand for tokens that have no id.

    recipe: for a module that has several adapters.
    """

    row: int
    position: int
    tokens: Sequence[int]
    embeddings: torch.Tensor | None = None
    recipe: Recipe = ()


class Memory(Protocol):
    """What rows have seen. Rows are numbers from 0 on, best without gaps."""

    longest: int | None
    """tokens that one run may have; None: a prompt must come whole, and only one row at a time"""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and cells of each that there are now."""
        ...

    @property
    def bytes(self) -> int: ...

    def evaluate(self, module: Any, runs: Sequence[Run]) -> torch.Tensor:
        """The logits after each run's last token, as [runs, vocabulary]; several runs have as many tokens each."""
        ...

    def evaluate_all(self, module: Any, run: Run) -> torch.Tensor:
        """The logits after each of a run's tokens, as [tokens, vocabulary]."""
        ...

    def prepend(self, row: int, layers: Layers) -> None:
        """Begin an empty row with keys and values that no token gave."""
        ...

    def save(self, row: int, start: int, end: int) -> Layers:
        """A copy of what a row has seen in these positions; only where `longest` is set."""
        ...

    def load(self, row: int, start: int, layers: Layers) -> None:
        """Let a row have seen what another one has; only where `longest` is set."""
        ...

    def put_aside(self, row: int, cells: int) -> Any:
        """What a row has seen, for `bring_back`."""
        ...

    def bring_back(self, row: int, aside: Any) -> None:
        """Let an empty row have seen what was put aside."""
        ...

    def move(self, source: int, target: int, cells: int) -> None:
        """Give a row another number; the target's contents are lost."""
        ...

    def forget(self, row: int, spoiled: bool) -> None:
        """Free a row. spoiled: its numbers may not be numbers."""
        ...


class SharedMemory:
    """Memory over one cache for all rows."""

    longest: int | None = 256

    def __init__(self, model: Any, most_rows: int, most_cells: int, interrupts: Interrupts) -> None:
        """most_rows, most_cells: what it may grow to."""
        config = model.config.get_text_config()
        self._device = model.device
        self._dtype = model.dtype
        self._cache = RowCache(most_rows, most_cells, interrupts.check)
        self._window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None) or ()
        self._mixed = "sliding_attention" in kinds
        self._additive = config._attn_implementation != "sdpa"
        self._extra = _extra_arguments(model)

    def evaluate(self, module: Any, runs: Sequence[Run]) -> torch.Tensor:
        return self._pass(module, runs, 1)[:, -1]

    def evaluate_all(self, module: Any, run: Run) -> torch.Tensor:
        return self._pass(module, [run], len(run.tokens))[0]

    def _pass(self, module: Any, runs: Sequence[Run], kept: int) -> torch.Tensor:
        last = max(run.position + _length(run) for run in runs)
        rows, positions = tuple(run.row for run in runs), tuple(run.position for run in runs)
        self._cache.select(Selection(rows, positions, last), self._device)
        starts = torch.tensor(positions, device=self._device)[:, None]
        places = starts + torch.arange(_length(runs[0]), device=self._device)
        arguments = {
            **_inputs(runs, self._device),
            **_recipes(runs),
            "attention_mask": self._masks(places, last),
            "position_ids": places,
            "past_key_values": self._cache,
            "use_cache": True,
            **dict.fromkeys(self._extra, kept),
        }
        logits: torch.Tensor = module(**arguments).logits
        return logits

    @property
    def size(self) -> tuple[int, int]:
        return self._cache.size

    @property
    def bytes(self) -> int:
        return self._cache.bytes

    def prepend(self, row: int, layers: Layers) -> None:
        self.load(row, 0, [(keys.to(self._dtype), values.to(self._dtype)) for keys, values in layers])

    def save(self, row: int, start: int, end: int) -> Layers:
        return self._cache.save(row, start, end)

    def load(self, row: int, start: int, layers: Layers) -> None:
        self._cache.load(row, start, layers, self._device)

    def put_aside(self, row: int, cells: int) -> Any:
        return self.save(row, 0, cells) if cells else ()

    def bring_back(self, row: int, aside: Any) -> None:
        self.load(row, 0, aside)

    def move(self, source: int, target: int, cells: int) -> None:
        if cells:
            self._cache.move(source, target, cells)

    def forget(self, row: int, spoiled: bool) -> None:
        if spoiled:
            self._cache.wipe(row)

    def _masks(self, places: torch.Tensor, width: int) -> Any:
        """Who may see whom, [rows, 1, tokens, cells], in the form that the model's attention wants."""
        cells = torch.arange(width, device=self._device)
        seen = (cells <= places[:, :, None])[:, None]
        if not self._window:
            return self._form(seen)
        near = seen & (cells > places[:, :, None] - self._window)[:, None]
        if not self._mixed:
            return self._form(near)
        return {"full_attention": self._form(seen), "sliding_attention": self._form(near)}

    def _form(self, seen: torch.Tensor) -> torch.Tensor:
        if not self._additive:
            return seen
        nothing = torch.zeros((), dtype=self._dtype, device=self._device)
        return torch.where(seen, nothing, torch.finfo(self._dtype).min)


class OwnMemory:
    """Memory with a cache of transformers' own for each row."""

    longest: int | None = None

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

    def save(self, row: int, start: int, end: int) -> Layers:
        raise NotImplementedError

    def load(self, row: int, start: int, layers: Layers) -> None:
        raise NotImplementedError

    def put_aside(self, row: int, cells: int) -> Any:
        return self._caches.pop(row, ())

    def bring_back(self, row: int, aside: Any) -> None:
        if aside != ():
            self._caches[row] = aside

    def evaluate(self, module: Any, runs: Sequence[Run]) -> torch.Tensor:
        return torch.cat([self._pass(module, run, 1)[:, -1] for run in runs])

    def prepend(self, row: int, layers: Layers) -> None:
        for number, (keys, values) in enumerate(layers):
            self._cache(row).update(keys[None].to(self._dtype), values[None].to(self._dtype), number)

    def move(self, source: int, target: int, cells: int) -> None:
        self._caches.pop(target, None)
        if source in self._caches:
            self._caches[target] = self._caches.pop(source)

    def forget(self, row: int, spoiled: bool) -> None:
        self._caches.pop(row, None)

    def evaluate_all(self, module: Any, run: Run) -> torch.Tensor:
        return self._pass(module, run, len(run.tokens))[0]

    def _pass(self, module: Any, run: Run, kept: int) -> torch.Tensor:
        arguments = {**_inputs([run], self._device), **_recipes([run]), self._name: self._cache(run.row)}
        logits: torch.Tensor = module(**arguments, use_cache=True, **dict.fromkeys(self._extra, kept)).logits
        return logits

    def _cache(self, row: int) -> Any:
        if row not in self._caches:
            self._caches[row] = DynamicCache(config=self._config)
        return self._caches[row]


@torch.inference_mode()
def choose_memory(model: Any, most_rows: int, most_cells: int, interrupts: Interrupts) -> Memory:
    """Shared memory where the model answers the same with it as by itself, tried on a few tokens; else its own."""
    tokens = [(7 * place + 3) % model.config.get_text_config().vocab_size for place in range(12)]
    expected = model(torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1].float()
    try:
        memory = SharedMemory(model, 2, len(tokens), interrupts)
        memory.evaluate(model, [Run(0, 0, tokens[:3])])
        memory.evaluate(model, [Run(1, 0, tokens[:5])])
        memory.evaluate(model, [Run(1, 5, tokens[5:11])])
        found = memory.evaluate(model, [Run(0, 3, tokens[3:4]), Run(1, 11, tokens[11:])])[1].float()
    except Exception:  # noqa: BLE001  however foreign code fails, it then runs row by row
        return OwnMemory(model)
    exact = model.dtype == torch.float32 and not getattr(model, "is_quantized", False)
    allowed = 1e-3 if exact else 0.05
    same = float((found - expected).abs().max()) <= allowed * float(expected.abs().max())
    return SharedMemory(model, most_rows, most_cells, interrupts) if same else OwnMemory(model)


def _length(run: Run) -> int:
    return len(run.tokens) if run.embeddings is None else int(run.embeddings.shape[0])


def _inputs(runs: Sequence[Run], device: torch.device) -> dict[str, torch.Tensor]:
    if runs[0].embeddings is not None:
        return {"inputs_embeds": runs[0].embeddings[None]}
    return {"input_ids": torch.tensor([list(run.tokens) for run in runs], device=device)}


def _recipes(runs: Sequence[Run]) -> dict[str, list[Recipe]]:
    """What each row takes, where the module has several adapters."""
    return {"recipes": [run.recipe for run in runs]} if any(run.recipe for run in runs) else {}


def _extra_arguments(model: Any) -> dict[str, int]:
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
