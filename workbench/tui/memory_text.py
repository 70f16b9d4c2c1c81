"""Memory text: a bar for RAM and one for each device, against what is free there: by estimate, or as allocated."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from workbench.inference.device_inventory import FoundDevices
from workbench.models.device_share import DeviceShare
from workbench.models.memory_estimate import MemoryEstimate
from workbench.models.reference import ModelInfo
from workbench.sanitize import sanitize
from workbench.units import format_bytes, format_plural

Part = str | tuple[str, str]
_BAR_CELLS = 20
"""as many as fit on the narrowest screen"""

_LABEL = 15
_MUTED = "$foreground 60%"
_COLOURS = ("$primary", "$secondary", "$warning")
"""of weights, caches, and the rest"""

LOOKING = FoundDevices(problems=("Looking for devices…",))
"""What is shown while devices are asked for."""


def draw_estimate(estimate: MemoryEstimate, tokens: int) -> list[Part]:
    """What a model will take before it is loaded. tokens: of its context."""
    sizes = (estimate.weights, estimate.caches, estimate.adapters)
    if estimate.unified:  # in RAM as well, so that the bar is as long as what is taken
        sizes = (sizes[0], sizes[1], sizes[2] + estimate.unified)
    layers = f"{format_plural(estimate.layers, 'layer')}, " if estimate.shares else ""
    parts: list[Part] = ["\n"]
    parts += _draw_bar("memory", sizes, estimate.total, estimate.free, estimate.fits_ram)
    extra = f", adapters {format_bytes(estimate.adapters)}" if estimate.adapters else ""
    extra += f", devices that compute in RAM {format_bytes(estimate.unified)}" if estimate.unified else ""
    words = f"{layers}weights {format_bytes(estimate.weights)}"
    words += f", KV cache for {tokens:,} tokens {format_bytes(estimate.caches)}"
    parts += [(f"  {words}{extra}\n  process and buffers {format_bytes(estimate.overhead)}\n", _MUTED)]
    parts.append((f"  {format_bytes(estimate.total)} of {format_bytes(estimate.free)} free\n", _MUTED))
    for share in estimate.shares:
        parts += _draw_share(share)
    if estimate.expert_layers:
        experts = f"the experts of {format_plural(estimate.expert_layers, 'layer')} stay in RAM"
        parts.append((f"  {experts}\n", _MUTED))
    return parts


def draw_problems(found: FoundDevices) -> list[Part]:
    """Devices that cannot be counted on, and why."""
    return [(f"  {sanitize(problem)}\n", "$text-warning") for problem in found.problems]


def draw_placement(info: ModelInfo) -> list[Part]:
    """What of a loaded model is on each device, as allocated, and last in RAM; what the load gave up."""
    parts: list[Part] = ["\n"] if len(info.placement) > 1 else []
    for share in info.placement if len(info.placement) > 1 else ():
        parts += _draw_share(share, loaded=True)
    for number, line in enumerate(info.step_plan.lines if info.step_plan else ()):
        parts += [(f"{'' if number else 'steps':<{_LABEL}}", _MUTED), f"{sanitize(line)}\n"]
    return parts + [(f"\n{sanitize(note)}", "$text-warning") for note in info.load_notes]


def _draw_share(share: DeviceShare, loaded: bool = False) -> list[Part]:
    sizes = (share.weights_bytes, share.kv_bytes, share.compute_bytes + share.adapters_bytes)
    device = share.device
    name = sanitize(device.name)
    parts = _draw_bar(name, sizes, share.bytes, device.free_bytes, None if loaded else share.fits)
    rest = f", adapters {format_bytes(share.adapters_bytes)}" if share.adapters_bytes else ""
    what = f"weights {format_bytes(share.weights_bytes)}, KV cache {format_bytes(share.kv_bytes)}{rest}"
    what += f", buffers {format_bytes(share.compute_bytes)}"
    parts.append((f"  {format_plural(share.layers, 'layer')}, {what}\n", _MUTED))
    about = f"  {sanitize(device.description)}" if device.description else ""
    when = " before" if loaded else ""
    parts.append((f"  {format_bytes(share.bytes)} of {format_bytes(device.free_bytes)} free{when}{about}\n", _MUTED))
    return parts


def _draw_bar(name: str, sizes: Sequence[int], total: int, free: int, fits: bool | None) -> list[Part]:
    """A line with a bar of what is taken and what is left free. fits: None where there is nothing to say."""
    scale = max(free, total, 1)
    cells = [round(size / scale * _BAR_CELLS) for size in sizes]
    if sizes[0]:
        cells[0] = max(cells[0], 1)
    parts: list[Part] = [(f"{name:<{_LABEL}}", _MUTED)]
    parts += [("█" * count, colour) for count, colour in zip(cells, _COLOURS, strict=True)]
    parts.append(("░" * max(_BAR_CELLS - sum(cells), 0), "$border"))
    if fits is not None:
        parts.append(("  ✓ fits" if fits else "  ✗ does not fit", "$text-success" if fits else "$text-error"))
    return [*parts, "\n"]


def describe_devices(found: FoundDevices) -> Content:
    """The devices with what is free, on one line."""
    free = [
        f"{sanitize(one.name)} {format_bytes(one.free_bytes)} of {format_bytes(one.total_bytes)}"
        for one in found.devices
    ]
    return Content.assemble((f", {', '.join(free)}" if free else "", _MUTED))
