"""Whether a model fits beside those that are loaded, on each device and in RAM; if not, which are in its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import psutil

from workbench.errors import WorkbenchError
from workbench.models.device_share import Device
from workbench.models.memory_estimate import MemoryEstimate
from workbench.models.model import Model, ModelInfo
from workbench.offload import Offload
from workbench.units import format_bytes

_FRESH_SECONDS = 5.0
"""For so long what other programs leave of a device is not asked for again."""

Estimate = Callable[[Model, Sequence[Device], int], MemoryEstimate]
"""what a model takes with these devices and so much RAM free; raises WorkbenchError"""

_RAM_STEP, _MOST_ESTIMATES = 2**28, 256
"""Estimates are kept, since each reads a model's header: for every so many bytes of free RAM, and so many of them."""

_NOTHING = MemoryEstimate(0, 0, 0, 0)


class RunningModel(NamedTuple):
    """A model whose engine runs. info: None while it loads. pid: None where it has no process."""

    model: Model
    info: ModelInfo | None
    pid: int | None


class Shortage(NamedTuple):
    """Why a model has to wait. others: the indices of the running models that are in its way."""

    reason: str
    others: tuple[int, ...]


class MemoryShortage:
    """Finds what stands in a model's way.

    capacity: bytes of RAM that these processes and a further one may have together. find_devices: those that a model
    may be offloaded to, with what is free now; it may take a second.
    """

    def __init__(
        self,
        estimate: Estimate,
        capacity: Callable[[Collection[int]], int] | None = None,
        find_devices: Callable[[Offload], Sequence[Device]] = lambda offload: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._estimate = estimate
        self._capacity = capacity or measure_capacity
        self._find_devices = find_devices
        self._clock = clock
        self._devices: dict[tuple[str, ...], tuple[float, tuple[Device, ...]]] = {}
        self._estimates: dict[tuple[Model, tuple[Device, ...], int], MemoryEstimate] = {}

    def find(self, model: Model, running: Sequence[RunningModel]) -> Shortage | None:
        """None where it may be loaded now."""
        same_server = [
            index for index, one in enumerate(running) if set(one.model.offload.rpc) & set(model.offload.rpc)
        ]
        if same_server:
            return Shortage("both use the same RPC server, which serves one program at a time", tuple(same_server))
        if not running:
            return None
        ram = self._capacity([one.pid for one in running if one.pid])
        whole = self._measure_devices(model, running, ram)
        taken = [self._read_usage(one, whole, ram) for one in running]
        free = _subtract(whole, taken)
        ram_taken = sum(usage.ram for usage in taken)
        now = self._find_estimate(model, free, max(0, ram - ram_taken))
        if whole and (short := _find_short(now, self._find_estimate(model, whole, ram), free)):
            others = tuple(index for index, usage in enumerate(taken) if any(usage.devices.get(key) for key in short))
            if others:
                return Shortage("; ".join(short.values()), others)
        if now.total > ram - ram_taken:
            needed, used, room = map(format_bytes, (now.total, ram_taken, ram))
            return Shortage(f"{needed} and {used} do not fit into {room} of memory", tuple(range(len(running))))
        return None

    def _measure_devices(self, model: Model, running: Sequence[RunningModel], ram: int) -> tuple[Device, ...]:
        """The devices with all that our engines may have of each: what is free, and what those that run hold now."""
        if model.format != "gguf" or model.offload.gpu_layers in ("none", 0):
            return ()
        asked, known = self._devices.get(model.offload.rpc, (0.0, None))
        if known is None or self._clock() - asked >= _FRESH_SECONDS:
            found = tuple(self._find_devices(model.offload))
            held = [self._read_usage(one, found, ram).devices for one in running]
            known = tuple(
                msgspec.structs.replace(one, free_bytes=one.free_bytes + sum(usage.get(one.key, 0) for usage in held))
                for one in found
            )
            self._devices[model.offload.rpc] = (self._clock(), known)
        return known

    def _read_usage(self, one: RunningModel, devices: Sequence[Device], ram: int) -> _Usage:
        """What a running model holds: as its engine reported it, else by estimate."""
        if one.info and len(one.info.placement) > 1:
            *shares, host = one.info.placement
            unified = sum(share.bytes for share in shares if share.device.shares_ram)
            return _Usage(host.bytes + unified, {share.device.key: share.bytes for share in shares})
        expected = self._find_estimate(one.model, () if one.info else devices, ram)
        return _Usage(expected.total, {share.device.key: share.bytes for share in expected.shares})

    def _find_estimate(self, model: Model, devices: Sequence[Device], ram: int) -> MemoryEstimate:
        key = (model.identity, tuple(devices), ram // _RAM_STEP)
        if key not in self._estimates:
            if len(self._estimates) >= _MOST_ESTIMATES:
                self._estimates.clear()
            try:
                self._estimates[key] = self._estimate(model, devices, ram)
            except WorkbenchError:
                self._estimates[key] = _NOTHING  # its load says what is wrong with it
        return self._estimates[key]


class _Usage(NamedTuple):
    """Bytes: of RAM, and of each device by its key."""

    ram: int
    devices: Mapping[str, int]


def _subtract(devices: Sequence[Device], taken: Sequence[_Usage]) -> tuple[Device, ...]:
    """The devices with what is left of each."""
    return tuple(
        msgspec.structs.replace(
            one, free_bytes=max(0, one.free_bytes - sum(usage.devices.get(one.key, 0) for usage in taken))
        )
        for one in devices
    )


def _find_short(now: MemoryEstimate, unhindered: MemoryEstimate, free: Sequence[Device]) -> dict[str, str]:
    """Devices of which the model would have more without the others, each with a clause that says so; none where it
    gets all that it can use."""
    less = sum(share.layers for share in now.shares) < sum(share.layers for share in unhindered.shares)
    fewer_experts = now.expert_layers > unhindered.expert_layers
    if not (less or fewer_experts) and all(share.fits for share in now.shares):
        return {}
    room = {device.key: device.free_bytes for device in free}
    used = [share for share in unhindered.shares if share.layers]
    tight = [share for share in used if share.bytes > room[share.device.key]]
    return {
        share.device.key: f"it takes {format_bytes(share.bytes)} on {share.device.name},"
        f" and {format_bytes(room[share.device.key])} are free there"
        for share in tight or used
    }


def measure_capacity(pids: Collection[int]) -> int:
    """Bytes of RAM that these processes and new ones may have together: all but what other programs hold.

    A file's pages that are mapped into memory count as free, as the system counts them.
    """
    memory, own = psutil.virtual_memory(), 0
    for pid in pids:
        try:
            used = psutil.Process(pid).memory_info()
        except psutil.Error:
            continue
        own += int(used.rss) - int(getattr(used, "shared", 0))
    others = max(0, int(memory.total) - int(memory.available) - own)
    return int(memory.total) - others
