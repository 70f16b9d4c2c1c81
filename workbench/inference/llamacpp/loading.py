"""A GGUF model's weights and first context, with its layers on the devices that have room for them.

The fit is an estimate: where llama.cpp then finds no memory, fewer layers are tried, and each step is noted.
"""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psutil

from workbench.errors import OutOfMemoryError
from workbench.inference.llamacpp.build import ContextBuild
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.devices import NativeDevice, choose_devices, cpu_buffer_type, make_device_list
from workbench.inference.llamacpp.native import LOG, Buffer, native, start
from workbench.inference.llamacpp.step_planner import PlacedWork, StepPlanner
from workbench.inference.llamacpp.weights import LoadedWeights, give_up
from workbench.models.device_share import Device, DeviceShare
from workbench.models.layer_sizes import LayerSizes, read_layer_sizes
from workbench.models.model import Model, ModelInfo
from workbench.models.offload_fit import (
    BatchShape,
    LayerPlacement,
    check_host,
    computes_on_cpu,
    fit_layers,
    step_back,
)
from workbench.models.step_plan import StepPlan
from workbench.offload import Offload

_SPLIT_NONE, _SPLIT_LAYER = 0, 1
"""llama_split_mode in llama.h"""

_HOST = "CPU"

_KINDS = {"model": "weights_bytes", "KV": "kv_bytes", "RS": "kv_bytes", "output": "compute_bytes"}


class TensorOverride(ctypes.Structure):
    """llama_model_tensor_buft_override in llama.h: tensors whose names match are kept in such a buffer."""

    _fields_ = [("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p)]


class PlacedModel(NamedTuple):
    """A loaded model with its first context. shares: what is where, as allocated. notes: steps that did not fit.

    on_cpu: whether the CPU computes any of it: whole layers, the attention over a KV cache in RAM, experts.
    """

    weights: LoadedWeights
    base: Context
    build: ContextBuild
    shares: tuple[DeviceShare, ...]
    notes: tuple[str, ...]
    on_cpu: bool

    @property
    def device(self) -> str:
        """What computes it, such as `cpu`, `CUDA0` or `CUDA0 and cpu`."""
        names = [share.device.name for share in self.shares[:-1] if share.layers]
        return " and ".join([*names, "cpu"] if not names or self.on_cpu else names)


class PlacedLoader:
    """Loads one model. info: from its header. work: of its first context. choose_build: how contexts are built, once
    weights are there.

    advance: see LoadedWeights.
    """

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        work: BatchShape,
        choose_build: Callable[[LoadedWeights], ContextBuild],
        advance: Callable[[float | None], bool],
        devices: Sequence[NativeDevice],
    ) -> None:
        self._model = model
        self._info = info
        self._work = work
        self._choose_build = choose_build
        self._advance = advance
        self._devices = devices
        self._own = [one.device for one in devices]
        self._notes: list[str] = []
        self._ram_bytes = 0

    def load(self) -> PlacedModel:
        """Raises ModelError; OutOfMemoryError where nothing smaller is left to try."""
        sizes, offload = read_layer_sizes(self._model.path), self._model.offload
        self._ram_bytes = int(psutil.virtual_memory().available)
        placement = fit_layers(sizes, self._work, offload, self._own)
        if self._devices:
            check_host(placement, self._ram_bytes)
        if offload.gpu_layers == "auto" and self._devices and not placement.gpu_layers:
            self._notes.append(f"No layer fits on {_list(self._own)}: the CPU computes the whole model.")
        while True:
            try:
                return self._attempt(placement, sizes)
            except OutOfMemoryError as error:
                smaller = self._step_back(placement, sizes)
                if smaller is None:
                    raise _with_notes(error, self._notes) from error
                self._notes.append(
                    f"{placement.describe(sizes)}: {_reason(error)}. Tried {smaller.describe(sizes)} instead."
                )
                placement = smaller

    def _step_back(self, placement: LayerPlacement, sizes: LayerSizes) -> LayerPlacement | None:
        offload = self._model.offload
        return step_back(placement, sizes, self._work, offload, self._own) if offload.gpu_layers == "auto" else None

    def _attempt(self, placement: LayerPlacement, sizes: LayerSizes) -> PlacedModel:
        LOG.buffers.clear()
        weights = LoadedWeights(self._model.path, self._advance, lambda parameters: self._set(parameters, placement))
        try:
            build = self._use_devices(self._choose_build(weights), placement)
            build, base = self._open_base(weights, build, PlacedWork(placement, sizes, self._work))
        except BaseException:
            weights.close()
            raise
        shares = measure(LOG.buffers, self._devices, placement, sizes, self._ram_bytes)
        on_cpu = not shares or computes_on_cpu(placement, sizes, self._model.offload)
        return PlacedModel(weights, base, build, shares, tuple(self._notes), on_cpu)

    def _use_devices(self, build: ContextBuild, placement: LayerPlacement) -> ContextBuild:
        """The build with the devices that have layers."""
        used = [one for one, layers in zip(self._devices, placement.split, strict=False) if layers]
        remote = tuple(one.handle for one in used if one.device.backend == "RPC")
        return dataclasses.replace(build, on_device=bool(used), remote=remote)

    def _open_base(
        self, weights: LoadedWeights, build: ContextBuild, placed: PlacedWork
    ) -> tuple[ContextBuild, Context]:
        """The first context; on devices with steps as they are planned, where there is memory for such."""
        if not build.on_device:
            return build, build.open(weights, self._work.kv_tokens)
        plan = StepPlanner(self._model, self._check).plan(weights, build, placed)
        if plan.source != "default":
            planned = build.with_plan(plan, self._info)
            logged = len(LOG.buffers)
            try:
                return planned, planned.open(weights, self._work.kv_tokens)
            except OutOfMemoryError as error:
                del LOG.buffers[logged:]
                too_large = f"{plan.prompt_tokens}-token pieces and {plan.rows} rows do not fit"
                plan = StepPlan(note=f"{too_large}: {_reason(error)}")
        usual = dataclasses.replace(build, plan=plan)
        return usual, usual.open(weights, self._work.kv_tokens)

    def _check(self) -> None:
        """Raise ModelError where the load was given up meanwhile."""
        if not self._advance(1.0):
            raise give_up(self._model.path)

    def _set(self, parameters: Any, placement: LayerPlacement) -> object:
        """Fill llama_model_params; what has to live as long as the load."""
        devices = make_device_list(self._devices)
        parameters.devices = ctypes.cast(devices, ctypes.c_void_p)
        parameters.n_gpu_layers = placement.gpu_layers
        if self._model.offload.main_gpu is not None and self._devices:
            parameters.split_mode, parameters.main_gpu = _SPLIT_NONE, self._model.offload.main_gpu
        else:
            parameters.split_mode = _SPLIT_LAYER
        most = max(int(native.llama_max_devices()), len(placement.split))
        split = (ctypes.c_float * most)(*placement.split)
        if any(placement.split):
            parameters.tensor_split = split
        names = [f"blk\\.{layer}\\.ffn_(up|down|gate|gate_up)_(ch|)exps".encode() for layer in range(placement.cpu_moe)]
        overrides = (TensorOverride * (len(names) + 1))()
        for index, name in enumerate(names):
            overrides[index] = TensorOverride(name, cpu_buffer_type())
        if names:
            parameters.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
        return devices, split, names, overrides


def find_devices(offload: Offload) -> list[NativeDevice]:
    """The devices for a model, once the library is ready. Raises ModelError."""
    start()
    return choose_devices(offload)


def measure(
    buffers: Sequence[Buffer],
    devices: Sequence[NativeDevice],
    placement: LayerPlacement,
    sizes: LayerSizes,
    ram_bytes: int,
) -> tuple[DeviceShare, ...]:
    """What llama.cpp allocated on each device, and last in RAM; nothing where its log did not tell.

    ram_bytes: what was free of it before.
    """
    if not any(buffer.kind == "model" for buffer in buffers):
        return ()
    buffer_names = [one.buffer_name for one in devices]
    totals: dict[str, dict[str, int]] = {buffer_name: {} for buffer_name in [*buffer_names, _HOST]}
    computed: dict[tuple[str, str], int] = {}
    for buffer in buffers:
        buffer_name = _find_buffer(buffer.buffer_name, buffer_names)
        if buffer.kind == "compute":  # logged anew each time the graph is laid out
            computed[buffer_name, buffer.buffer_name] = buffer.bytes
        else:
            field = _KINDS[buffer.kind]
            totals[buffer_name][field] = totals[buffer_name].get(field, 0) + buffer.bytes
    for (buffer_name, _), size in computed.items():
        totals[buffer_name]["compute_bytes"] = totals[buffer_name].get("compute_bytes", 0) + size
    layers = placement.split or (0,) * len(buffer_names)
    host = Device("CPU", "", "CPU", ram_bytes, int(psutil.virtual_memory().total), "cpu")
    return (
        *(
            DeviceShare(one.device, count, **totals[one.buffer_name])
            for one, count in zip(devices, layers, strict=True)
        ),
        DeviceShare(host, sizes.layer_count - placement.gpu_layers, **totals[_HOST]),
    )


def _find_buffer(name: str, buffer_names: Sequence[str]) -> str:
    """The device that a buffer is on; CUDA0_Mapped is on CUDA0, CUDA_Host and CPU_Mapped are RAM."""
    return next((one for one in buffer_names if name == one or name.startswith(f"{one}_")), _HOST)


def _reason(error: OutOfMemoryError) -> str:
    lines = [line.strip() for line in error.details.splitlines() if "alloc" in line]
    return lines[0] if lines else error.message.rstrip(".")


def _with_notes(error: OutOfMemoryError, notes: Sequence[str]) -> OutOfMemoryError:
    if not notes:
        return error
    return OutOfMemoryError(error.message, error.hint, "\n".join([*notes, error.details]))


def _list(devices: Sequence[Device]) -> str:
    return ", ".join(device.name for device in devices)
