"""How the steps of a model on devices are laid out: measured at its first load there, remembered for the next ones.

Only how much is computed at once is decided, never what: answers are cached without it, as they are without the number
of requests that happened to be decoded together.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from workbench import files, paths
from workbench.errors import EngineError, FileError, ModelError
from workbench.inference.llamacpp.build import OTHER_SLOTS, ContextBuild
from workbench.inference.llamacpp.native import LOG, VERSION, native
from workbench.inference.llamacpp.probe_context import ProbeContext
from workbench.inference.llamacpp.step_probe import PIECES, ROW_COUNTS, StepProbe
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.sizes import fits_spare
from workbench.models.layer_sizes import LayerSizes
from workbench.models.model import Model
from workbench.models.model_info import read_parts
from workbench.models.offload_fit import BatchShape, LayerPlacement, computes_on_cpu, has_room
from workbench.models.step_plan import CACHED_TOKENS, PROMPT_TOKENS, ROWS, StepPlan

_VERSION = 1
"""Of the measurement: plans of another one are measured anew."""

_CACHED_PART = 4
"""Ended prompts keep at most this part of the KV cache."""

FOLDER = "step-plans"
"""In the cache folder: a file for each model, build and placement."""


class PlacedWork(NamedTuple):
    """A model's layers on devices. work: what the fit has counted on."""

    placement: LayerPlacement
    sizes: LayerSizes
    work: BatchShape


class StepPlanner:
    """Plans the steps of one model. check: raises where the load is given up."""

    def __init__(self, model: Model, check: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._model = model
        self._check = check
        self._clock = clock

    def plan(self, weights: LoadedWeights, build: ContextBuild, placed: PlacedWork) -> StepPlan:
        """The plan for weights that are loaded. Raises what `check` does."""
        if not build.prefix_cache:
            return StepPlan(build.tokens, build.running, note="a recurrent model keeps a state for each row")
        tokens, rows = self._find_most(placed)
        file = paths.cache_folder() / FOLDER / f"{self._digest(placed, tokens, rows)}.json"
        found = _read(file)
        if found is None:
            found = self._measure(weights, build, placed, tokens, rows)
            if found.source == "measured":
                with contextlib.suppress(FileError):  # it is measured again next time
                    files.write_text(file, msgspec.json.encode(found).decode() + "\n", durable=False)
        kept = max(CACHED_TOKENS, min(found.cached_tokens, placed.work.kv_tokens // _CACHED_PART))
        picks = found.device_sampling and self._can_pick(placed, found.rows)
        return msgspec.structs.replace(found, cached_tokens=kept, device_sampling=picks)

    def _measure(
        self, weights: LoadedWeights, build: ContextBuild, placed: PlacedWork, tokens: int, rows: int
    ) -> StepPlan:
        logged = len(LOG.buffers)
        try:
            context = ProbeContext(weights, build, tokens, rows, self._can_pick(placed, rows))
        except ModelError as error:
            return StepPlan(note=error.message.rstrip("."))
        finally:
            del LOG.buffers[logged:]  # what is allocated for a moment is no part of the model
        try:
            return StepProbe(context, tokens, rows, self._clock, self._check).measure()
        except EngineError as error:
            return StepPlan(note=error.message.rstrip("."))
        finally:
            context.close()
            del LOG.buffers[logged:]

    def _can_pick(self, placed: PlacedWork, rows: int) -> bool:
        """Whether the logits are on a device, and there is RAM for what llama.cpp sets aside for samplers: a vocabulary
        of logits, probabilities and candidates for each slot (llama-context.cpp, output_reserve)."""
        needed = 3 * 4 * placed.sizes.vocabulary * (rows + OTHER_SLOTS)
        free = int(psutil.virtual_memory().available)
        return placed.placement.gpu_layers == placed.sizes.layer_count and fits_spare(needed, free)

    def _find_most(self, placed: PlacedWork) -> tuple[int, int]:
        """Prompt tokens and rows of a step that are tried: those whose buffers have room, by estimate."""
        work = placed.work

        def fits(tokens: int, rows: int) -> bool:
            larger = BatchShape(work.kv_tokens, tokens + rows + OTHER_SLOTS, max(work.outputs, rows + OTHER_SLOTS))
            return has_room(placed.placement, placed.sizes, work, larger, self._model.offload)

        usual = min(PROMPT_TOKENS, work.kv_tokens)  # what the fit has counted on is tried in any case
        larger = [count for count in PIECES if usual < count <= work.kv_tokens and fits(count, ROWS)]
        tokens = max(larger, default=usual)
        return tokens, max((count for count in ROW_COUNTS if count > ROWS and fits(tokens, count)), default=ROWS)

    def _digest(self, placed: PlacedWork, tokens: int, rows: int) -> str:
        """Of everything on which the time of a step depends: the shapes of the model, not its numbers."""
        parts = read_parts(self._model.path)
        shapes = sorted((tensor.name, tensor.shape, tensor.type) for part in parts for tensor in part.tensors)
        devices = [
            (share.device.name, share.device.description, share.device.backend, share.device.total_bytes, share.layers)
            for share in placed.placement.shares
        ]
        offload = msgspec.structs.replace(self._model.offload, rpc=(), public_rpc=False)
        on_cpu = computes_on_cpu(placed.placement, placed.sizes, self._model.offload)
        library = (VERSION, native.llama_print_system_info().decode("utf-8", "replace"))
        known = (_VERSION, library, shapes, devices, placed.placement.cpu_moe, on_cpu, offload, tokens, rows)
        return hashlib.blake2b(msgspec.json.encode(known, order="deterministic"), digest_size=16).hexdigest()


def _read(file: Path) -> StepPlan | None:
    try:
        plan = msgspec.json.decode(file.read_bytes(), type=StepPlan)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    sensible = plan.prompt_tokens in range(1, PIECES[-1] + 1) and plan.rows in range(1, ROW_COUNTS[-1] + 1)
    return msgspec.structs.replace(plan, source="remembered") if sensible else None
